// Restored pictures as files: one, or all as a zip, in a format and quality of choice.

import { address } from "./api.js";
import { count } from "./words.js";

const byId = (id) => document.getElementById(id);
const LABELS = { same: "as it came", png: "PNG", tiff: "TIFF", jpeg: "JPEG", webp: "WebP" };
const ENDINGS = { png: /\.png$/i, tiff: /\.tiff?$/i, jpeg: /\.(jpe?g|jpe|jfif)$/i, webp: /\.webp$/i };
const LOSSY = /\.(jpe?g|jpe|jfif|webp|avif|hei[cf])$/i;

export class Download {
  constructor() {
    this.saved = new Set(); // versions of results
    this.one = null;
    this.all = [];
    byId("format").append(...Object.entries(LABELS).map(([value, label]) => new Option(label, value)));
    byId("download").addEventListener("input", () => this.#say());
    byId("save").addEventListener("click", () => this.saved.add(this.one.result.version));
    byId("save-all").addEventListener("click", () => this.all.forEach((one) => this.saved.add(one.result.version)));
  }

  show(one, all) {
    this.one = one?.result ? one : null;
    this.all = all;
    byId("download").hidden = !all.length;
    this.#say();
  }

  #say() {
    const format = byId("format").value;
    const quality = byId("quality").checkValidity() && byId("quality").value ? `&quality=${byId("quality").value}` : "";
    const names = this.all.map((one) => one.result.names[format]);
    byId("quality-field").hidden = !names.some((name) => LOSSY.test(name));
    byId("save").hidden = !this.one;
    if (this.one) byId("save").href = address(`/pictures/${this.one.id}/result?format=${format}${quality}`);
    byId("save").textContent = this.one ? `Download ${this.one.result.names[format].split(".").pop().toUpperCase()}` : "";
    byId("save").title = this.one ? this.one.result.names[format] : "";
    byId("save-all").hidden = this.all.length < 2;
    byId("save-all").href = address(`/results.zip?format=${format}${quality}`);
    byId("save-all").textContent = `All ${this.all.length} as zip`;
    const others = format === "same" ? [] : names.filter((name) => !ENDINGS[format].test(name));
    const what = others.length === names.length && names.length === 1 ? "This one" : count(others.length, "picture");
    byId("save-said").textContent = others.length
      ? `${what} cannot be ${LABELS[format]} without loss of depth, transparency or pages: saved as ${others[0].split(".").pop().toUpperCase()}.`
      : "";
  }
}
