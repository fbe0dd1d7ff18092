// What the network looks at when it restores the pixel that was clicked.

import * as api from "./api.js";

const byId = (id) => document.getElementById(id);

export class Looks {
  constructor() {
    this.asked = false;
    this.told = () => {};
  }

  clear() {
    this.abort?.abort();
    if (this.source) URL.revokeObjectURL(this.source);
    this.source = null;
    this.asked = false;
    byId("looks-image").removeAttribute("src");
    byId("looks-image").alt = "";
    byId("looks-said").textContent = "";
    this.told();
  }

  async ask(x, y, now) {
    this.clear();
    if (!now) return;
    const abort = this.abort = new AbortController();
    this.asked = true;
    byId("looks-said").textContent = `Pixel ${x}, ${y}: at work…`;
    this.told();
    try {
      const blob = await api.blob(`/pictures/${now.picture.id}/looks`, { x, y, page: now.page, order: now.order }, abort.signal);
      this.source = URL.createObjectURL(blob);
      byId("looks-image").src = this.source;
      byId("looks-image").alt = `For pixel ${x}, ${y}: a heat map for each step of the network, bright where it takes in a neighbour, above with and below without what earlier steps found`;
      await byId("looks-image").decode();
      byId("looks").scrollIntoView({ block: "nearest" }); // on a phone it lies below the picture
      byId("looks-said").textContent = `Pixel ${x}, ${y}. Bright: neighbours whose features the pixel takes in, step by step.`;
    } catch (error) {
      if (!abort.signal.aborted) byId("looks-said").textContent = error.message;
    }
  }
}
