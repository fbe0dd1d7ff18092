// The part of a picture that is looked at, restored piece by piece from the middle outwards while settings change.

import * as api from "./api.js";

const SIDES = [32, 48, 64, 96, 128, 192, 256];
const LONG = 0.55; // seconds that a piece may take: less than it takes to wonder
const MOST_PIECES = 400;
const MOST_SECONDS = 12; // of work in the background for what nobody asked for but by looking

export class Preview {
  /** `changed(pieces, state)` is called when there is more to see; state: "working", "done", "part" or a Refused. */
  constructor(changed) {
    this.changed = changed;
    this.side = new Map(); // by model
    this.clear();
  }

  stop() {
    this.abort?.abort();
    this.abort = null;
  }

  clear() {
    this.stop();
    this.key = this.place = null;
    this.pieces = [];
    this.older = []; // of other settings, shown below the new ones only until these have come
  }

  /** Show a part of a page under an order; what was made for the same order stays. */
  async look(picture, page, order, model, seen, size) {
    this.stop();
    const key = JSON.stringify([picture, page, order]);
    if (key !== this.key) {
      const place = JSON.stringify([picture, page, order.task, order.scale]);
      this.older = place === this.place ? [...this.older, ...this.pieces].slice(-MOST_PIECES) : [];
      [this.key, this.place, this.pieces] = [key, place, []];
    }
    if (!seen.width || !seen.height) return;
    const abort = this.abort = new AbortController();
    const began = performance.now();
    let index = this.side.get(model) ?? 2;
    this.#tell("working");
    const missing = () => outwards(seen, SIDES[index], size).filter((box) => !this.pieces.some((piece) => covers(piece, box)));
    let boxes = missing();
    while (boxes.length) {
      if (performance.now() - began > MOST_SECONDS * 1000) {
        this.#tell("part");
        return;
      }
      const box = boxes.shift();
      const asked = performance.now();
      let found;
      try {
        found = await api.image(`/pictures/${picture}/piece`, { ...box, page, order }, abort.signal);
      } catch (error) {
        if (abort.signal.aborted || error.name === "AbortError" || error.status === 409) return;
        this.#tell(error);
        return;
      }
      if (abort.signal.aborted) return;
      const seconds = (performance.now() - asked) / 1000;
      this.pieces = [...this.pieces.slice(-MOST_PIECES), { ...box, bitmap: found.bitmap, scale: found.bitmap.width / box.width }];
      this.#tell(boxes.length ? "working" : "done");
      const whole = box.width === SIDES[index] && box.height === SIDES[index];
      const better = seconds > LONG ? index - 1 : whole && seconds * 3 < LONG ? index + 1 : index;
      if (better !== index && SIDES[better]) {
        index = better;
        this.side.set(model, index);
        boxes = missing();
      }
    }
    this.#tell("done");
  }

  #tell(state) {
    if (state !== "working") this.older = [];
    this.changed([...this.older, ...this.pieces], state);
  }
}

const covers = (a, b) =>
  a.left <= b.left && a.top <= b.top && a.left + a.width >= b.left + b.width && a.top + a.height >= b.top + b.height;

/** The squares of a grid that are seen in a picture of that size, the one in the middle first. */
function outwards(seen, side, size) {
  const boxes = [];
  for (let top = seen.top - seen.top % side; top < seen.top + seen.height; top += side) {
    for (let left = seen.left - seen.left % side; left < seen.left + seen.width; left += side) {
      boxes.push({ left, top, width: Math.min(side, size.width - left), height: Math.min(side, size.height - top) });
    }
  }
  const x = seen.left + seen.width / 2, y = seen.top + seen.height / 2;
  const away = (box) => Math.hypot(box.left + box.width / 2 - x, box.top + box.height / 2 - y);
  return boxes.sort((a, b) => away(a) - away(b));
}
