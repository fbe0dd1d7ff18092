// How pictures come: chosen, dropped anywhere on the page, or pasted.

import * as api from "./api.js";

const AT_ONCE = 3;

/** Brings files to the server; `told(files)` is called with those under way or refused whenever that changes. */
export class Adding {
  constructor({ told, added }) {
    this.told = told;
    this.added = added;
    this.files = []; // { id, name, state, error }
    this.waiting = [];
    this.active = 0;
    this.pasted = 0;
    this.#choose();
    this.#drop();
    this.#paste();
  }

  add(files) {
    for (const [file, name] of files) {
      const one = { id: `new-${crypto.randomUUID()}`, name, state: "sending", file, abort: new AbortController() };
      this.files.push(one);
      this.waiting.push(one);
    }
    this.told(this.files);
    for (let i = this.active; i < AT_ONCE; i++) this.#next();
  }

  remove(id) {
    const one = this.files.find((file) => file.id === id);
    one.abort.abort();
    this.waiting = this.waiting.filter((file) => file !== one);
    this.#forget(one);
  }

  #forget(one) {
    this.files = this.files.filter((file) => file !== one);
    this.told(this.files);
  }

  async #next() {
    const one = this.waiting.shift();
    if (!one) return;
    this.active++;
    try {
      const { id } = await api.upload(one.file, one.name, one.abort.signal);
      this.added(id);
      this.#forget(one);
    } catch (error) {
      if (error.name === "AbortError") this.#forget(one);
      else Object.assign(one, { state: "refused", error: error.message });
      this.told(this.files);
    }
    one.file = null;
    this.active--;
    this.#next();
  }

  #choose() {
    const input = document.getElementById("files");
    for (const button of document.querySelectorAll("[data-choose]")) button.onclick = () => input.click();
    input.onchange = () => {
      this.add([...input.files].map((file) => [file, file.name]));
      input.value = "";
    };
  }

  #drop() {
    const shade = document.getElementById("dropping");
    const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
    let hiding;
    // dragover comes all the time while something is held above the page; dragleave comes at every element's edge
    document.addEventListener("dragover", (event) => {
      event.preventDefault(); // or the browser leaves the page for the file
      shade.hidden = !carriesFiles(event);
      clearTimeout(hiding);
      hiding = setTimeout(() => { shade.hidden = true; }, 300);
    });
    document.addEventListener("drop", async (event) => {
      event.preventDefault();
      shade.hidden = true;
      this.add(await dropped(event.dataTransfer));
    });
  }

  #paste() {
    document.addEventListener("paste", (event) => {
      const files = [...event.clipboardData.files].filter((file) => file.type.startsWith("image/"));
      if (!files.length) return;
      event.preventDefault();
      this.add(files.map((file) => {
        // every browser calls what is copied from a screen image.png
        const name = file.name === "image.png" || !file.name ? `pasted-${++this.pasted}.png` : file.name;
        return [file, name];
      }));
    });
  }
}

/** The files that were dropped, and those in folders that were. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => [file, file.name]);
  const found = [];
  const visit = async (entry, inFolder) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      const looksLikeOne = /\.(png|tiff?|jpe?g|jpe|jfif|webp|bmp|dib|p[bgpn]m|avif|hei[cf])$/i.test(entry.name);
      if (!inFolder || (looksLikeOne && !entry.name.startsWith("."))) found.push([file, entry.name]);
      return;
    }
    const reader = entry.createReader();
    for (;;) { // a folder is read in portions
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const inner of some) await visit(inner, true);
    }
  };
  for (const entry of entries) await visit(entry, false);
  return found;
}
