// A picture on a canvas: before on the left of a line, after on the right, with zoom and pan down to single pixels.

import * as api from "./api.js";
import { STEP, clamp, listenToKeys, listenToLine, listenToPointers } from "./gestures.js";

const SETTLED = 140; // milliseconds without a move, after which what is missing is fetched
const MOST_ZOOM = 48;
const FADED = 0.45;

export class Viewer {
  /** `moved` is called whenever another part of the picture is looked at and the eye has come to rest. */
  constructor(stage, { moved, picked }) {
    this.stage = stage;
    this.canvas = stage.querySelector("#canvas");
    this.line = stage.querySelector("#line");
    this.zoomSaid = stage.querySelector("#zoom-said");
    this.moved = moved;
    this.picked = picked;
    this.picking = false;
    this.mark = null;
    this.divide = 0.5;
    this.clear();
    new ResizeObserver(() => this.#resized()).observe(stage);
    listenToPointers(this);
    listenToKeys(this);
    listenToLine(this);
    stage.querySelector("#zoom-in").onclick = () => this.zoomBy(STEP ** 2);
    stage.querySelector("#zoom-out").onclick = () => this.zoomBy(STEP ** -2);
    stage.querySelector("#zoom-fit").onclick = () => this.fit();
    stage.querySelector("#zoom-one").onclick = () => this.zoomTo(1 / devicePixelRatio);
  }

  clear() {
    this.width = this.height = 0;
    this.layers = { before: null, after: null }; // each: { path, factor of the pixels, whole, part }
    this.pieces = [];
    this.mark = null;
    this.draw();
  }

  /** Look at another picture of that size; `path` is where the server shows it. */
  show(path, width, height) {
    const same = this.layers.before?.path === path;
    if (same) return;
    const sameSize = width === this.width && height === this.height;
    this.width = width;
    this.height = height;
    this.pieces = [];
    this.faded = false;
    this.mark = null;
    this.layers = { before: { path, scale: 1, whole: null, part: null }, after: null };
    if (!sameSize) this.fit(); // a picture of the same size is looked at in the same place
    this.#fetchWhole("before");
  }

  /** The whole result beside it, `scale` times as large; null: none. */
  showResult(path, scale) {
    if (path === (this.layers.after?.path ?? null)) return;
    this.layers.after = path === null ? null : { path, scale, whole: null, part: null };
    if (path !== null) this.#fetchWhole("after");
    this.draw();
  }

  /** Parts of the result; `faded`: what lies beside them is shown to be missing. */
  showPieces(pieces, faded) {
    this.pieces = pieces;
    this.faded = faded;
    this.draw();
  }

  setMark(mark) {
    this.mark = mark;
    this.draw();
  }

  /** What is seen, in whole pixels of the picture. */
  visible() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const [halfWidth, halfHeight] = [width / 2 / this.zoom, height / 2 / this.zoom];
    const left = clamp(Math.floor(this.x - halfWidth), 0, this.width);
    const top = clamp(Math.floor(this.y - halfHeight), 0, this.height);
    const right = clamp(Math.ceil(this.x + halfWidth), 0, this.width);
    const bottom = clamp(Math.ceil(this.y + halfHeight), 0, this.height);
    return { left, top, width: right - left, height: bottom - top };
  }

  fit() {
    const { width, height } = this.canvas.getBoundingClientRect();
    this.fitted = true;
    this.zoom = Math.min(width / this.width, height / this.height, 8) || 1;
    this.x = this.width / 2;
    this.y = this.height / 2;
    this.#changed();
  }

  draw() {
    const context = this.canvas.getContext("2d");
    const ratio = devicePixelRatio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.width) return;
    const zoom = this.zoom * ratio;
    const originX = Math.round(this.canvas.width / 2 - this.x * zoom);
    const originY = Math.round(this.canvas.height / 2 - this.y * zoom);
    const cut = this.picking ? this.canvas.width : Math.round(this.divide * this.canvas.width);
    const side = (from, to, paint) => {
      context.save();
      context.beginPath();
      context.rect(from, 0, to - from, this.canvas.height);
      context.clip();
      context.beginPath();
      context.rect(originX, originY, this.width * zoom, this.height * zoom);
      context.clip();
      context.setTransform(zoom, 0, 0, zoom, originX, originY);
      paint();
      context.restore();
    };
    side(0, cut, () => this.#paint(context, this.layers.before, zoom));
    if (cut < this.canvas.width) {
      side(cut, this.canvas.width, () => {
        const { before, after } = this.layers;
        if (!after) context.globalAlpha = this.faded ? FADED : 1; // as it came, where nothing is computed yet
        this.#paint(context, before, zoom);
        context.globalAlpha = 1;
        if (after) {
          this.#paint(context, after, zoom);
          return;
        }
        for (const piece of this.pieces) {
          context.imageSmoothingEnabled = zoom < 2 * piece.scale;
          context.drawImage(piece.bitmap, piece.left, piece.top, piece.width, piece.height);
        }
      });
    }
    if (this.mark) this.#paintMark(context, zoom, originX, originY);
  }

  #paint(context, layer, zoom) {
    for (const image of layer ? [layer.whole, layer.part] : []) {
      if (!image) continue;
      const unit = image.factor / layer.scale; // pixels of the picture in a pixel of the image
      context.imageSmoothingEnabled = zoom * unit < 2 || (this.smooth && layer === this.layers.before);
      context.imageSmoothingQuality = "high";
      context.drawImage(image.bitmap, image.left, image.top, image.bitmap.width * unit, image.bitmap.height * unit);
    }
  }

  #paintMark(context, zoom, originX, originY) {
    context.setTransform(1, 0, 0, 1, originX, originY);
    const size = Math.max(zoom, 9 * devicePixelRatio);
    const [x, y] = [(this.mark.x + 0.5) * zoom, (this.mark.y + 0.5) * zoom];
    for (const [width, colour] of [[5, "#000"], [2.5, "#fff"]]) {
      context.lineWidth = width * devicePixelRatio;
      context.strokeStyle = colour;
      context.strokeRect(x - size / 2, y - size / 2, size, size);
    }
  }

  async #fetchWhole(name) {
    const layer = this.layers[name];
    try {
      const { bitmap, factor } = await api.image(layer.path, null);
      layer.whole = { bitmap, factor, left: 0, top: 0 };
    } catch { return; } // the picture was taken away, or the server went, which the page says by itself
    if (this.layers[name] !== layer) return;
    this.#changed();
  }

  /** Fetch what is seen in full detail, where the whole was too large for that. */
  async #fetchPart(name) {
    const layer = this.layers[name];
    if (!layer?.whole || layer.whole.factor === 1) return;
    if (this.zoom * devicePixelRatio * layer.whole.factor / layer.scale <= 1.2) return;
    const seen = this.visible();
    if (!seen.width || !seen.height) return;
    const { scale } = layer;
    const [left, top, right, bottom] = [seen.left, seen.top, seen.left + seen.width, seen.top + seen.height]
      .map((side) => Math.floor(side * scale));
    const [width, height] = [right - left, bottom - top];
    const wanted = [left, top, width, height].join();
    if (layer.wanted === wanted) return;
    layer.wanted = wanted;
    try {
      const found = await api.image(`${layer.path}&left=${left}&top=${top}&width=${width}&height=${height}`, null);
      if (this.layers[name] !== layer || layer.wanted !== wanted) return;
      layer.part = { ...found, left: seen.left, top: seen.top };
      this.draw();
    } catch { layer.wanted = null; }
  }

  #resized() {
    const { width, height } = this.stage.getBoundingClientRect();
    this.canvas.width = Math.max(1, Math.round(width * devicePixelRatio));
    this.canvas.height = Math.max(1, Math.round(height * devicePixelRatio));
    if (this.fitted && this.width) this.fit();
    else this.#changed();
  }

  #changed() {
    this.zoomSaid.textContent = `${Math.round(this.zoom * devicePixelRatio * 100) || 100} %`;
    this.draw();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      if (!this.width) return;
      this.#fetchPart("before");
      this.#fetchPart("after");
      this.moved();
    }, SETTLED);
  }

  pan(dx, dy) {
    this.fitted = false;
    this.x = clamp(this.x - dx / this.zoom, 0, this.width);
    this.y = clamp(this.y - dy / this.zoom, 0, this.height);
    this.#changed();
  }

  /** Zoom so that what is under a place of the canvas, counted from its middle, stays there. */
  zoomTo(zoom, fromX = 0, fromY = 0) {
    const { width, height } = this.canvas.getBoundingClientRect();
    const least = Math.min(1, width / this.width, height / this.height) / 2;
    const before = this.zoom;
    this.fitted = false;
    this.zoom = clamp(zoom, least, MOST_ZOOM);
    this.x = clamp(this.x + fromX / before - fromX / this.zoom, 0, this.width);
    this.y = clamp(this.y + fromY / before - fromY / this.zoom, 0, this.height);
    this.#changed();
  }

  zoomBy(factor, fromX, fromY) {
    this.zoomTo(this.zoom * factor, fromX, fromY);
  }

  fromMiddle(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
  }

  pick(fromX = 0, fromY = 0) {
    const x = Math.floor(this.x + fromX / this.zoom);
    const y = Math.floor(this.y + fromY / this.zoom);
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    this.setMark({ x, y });
    this.picked(x, y);
  }

  setDivide(share) {
    this.divide = clamp(share, 0, 1);
    this.line.style.left = `${this.divide * 100}%`;
    this.line.setAttribute("aria-valuenow", Math.round(this.divide * 100));
    this.draw();
  }
}
