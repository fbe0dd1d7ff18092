// What is looked at through every model of the task, one beside the other.

import * as api from "./api.js";
import { duration } from "./words.js";

const SIDE = 160; // pixels of the picture: the slowest model takes a while for more

export class Gallery {
  constructor(element, settings) {
    this.element = element;
    this.settings = settings;
    this.key = null;
  }

  clear() {
    this.stop();
    this.key = null;
    this.element.replaceChildren();
  }

  stop() {
    this.abort?.abort();
    this.abort = null;
  }

  /** Show them all; what is there for the same already stays, and what was stopped goes on. */
  async show({ picture, page, size, order, seen }) {
    const [width, height] = [Math.min(SIDE, size.width), Math.min(SIDE, size.height)];
    const middle = (start, length, part, whole) => Math.min(Math.max(Math.round(start + (length - part) / 2), 0), whole - part);
    const box = { left: middle(seen.left, seen.width, width, size.width), top: middle(seen.top, seen.height, height, size.height), width, height };
    const suits = (model) => (model.colours === "gray") === size.gray ? 0 : 1;
    const models = this.settings.models().toSorted((a, b) => suits(a) - suits(b) || a.parameters - b.parameters);
    const key = JSON.stringify([picture.id, page, order, box]);
    if (key === this.key && this.abort) return;
    this.stop();
    const abort = this.abort = new AbortController();
    if (key !== this.key) {
      this.key = key;
      this.cards = [null, ...models].map(card);
      this.element.style.setProperty("--columns", Math.min(3, Math.ceil(Math.sqrt(this.cards.length))));
      this.element.replaceChildren(...this.cards.map((one) => one.element));
    }
    const [before, ...others] = this.cards;
    const area = Object.entries(box).map(([name, value]) => `${name}=${value}`).join("&");
    try {
      if (!before.done) before.show(api.address(`/pictures/${picture.id}/view?page=${page}&${area}`), "");
      for (const [i, model] of models.entries()) {
        if (others[i].done) continue;
        others[i].wait();
        const began = performance.now();
        let blob;
        try {
          blob = await api.blob(`/pictures/${picture.id}/piece`, { ...box, page, order: { ...order, model: model.name } }, abort.signal);
        } catch (error) {
          if (abort.signal.aborted) throw error;
          others[i].fail(error.message);
          continue;
        }
        others[i].show(URL.createObjectURL(blob), duration((performance.now() - began) / 1000));
      }
    } catch { /* stopped: something else is looked at */ }
  }
}

function card(model) {
  const element = document.createElement("div");
  element.setAttribute("role", "listitem");
  element.innerHTML = '<div class="frame"></div><p><b></b> <span></span></p>';
  const frame = element.querySelector(".frame");
  const name = model?.name ?? "As it came";
  element.querySelector("b").textContent = name;
  element.querySelector("span").textContent = model ? model.good : "";
  return {
    element,
    done: false,
    wait() { frame.textContent = "at work…"; },
    fail(words) { frame.textContent = words; },
    show(source, time) {
      const image = new Image();
      image.alt = model ? `The picture through ${name}` : "The picture as it came";
      image.src = source;
      image.onload = () => { if (source.startsWith("blob:")) URL.revokeObjectURL(source); };
      frame.replaceChildren(image);
      if (time) element.querySelector("span").textContent = `${time}. ${model.good}`;
      this.done = true;
    },
  };
}
