// The list of pictures, each with its state.

import { address } from "./api.js";
import { left, percent } from "./words.js";

/** Keeps the elements of `list` in step with the pictures. */
export class List {
  constructor(list, { chosen, removed }) {
    this.list = list;
    this.chosen = chosen;
    this.removed = removed;
    this.items = new Map();
  }

  /** `stateOf` says of a picture: a class, words, and the share that is done. */
  show(pictures, current, stateOf) {
    for (const [id, item] of this.items) {
      if (pictures.some((picture) => picture.id === id)) continue;
      const hadFocus = item.contains(document.activeElement);
      const next = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      this.items.delete(id);
      if (hadFocus) (next?.querySelector(".pick") ?? document.querySelector("[data-choose]")).focus();
    }
    for (const [at, picture] of pictures.entries()) {
      if (!this.items.has(picture.id)) this.#add(picture);
      const item = this.items.get(picture.id), there = this.list.children[at];
      if (there !== item) this.list.insertBefore(item, there);
      this.#update(item, picture, picture.id === current, stateOf(picture));
    }
  }

  #add(picture) {
    const item = document.createElement("li");
    item.innerHTML = '<button type="button" class="pick"><span class="blank"></span><span class="name"></span>'
      + '<span class="state"></span></button><button type="button" class="drop">×</button><i hidden></i>';
    item.querySelector(".name").textContent = picture.name;
    item.querySelector(".pick").title = picture.name;
    item.querySelector(".pick").onclick = () => this.chosen(picture.id);
    item.querySelector(".drop").setAttribute("aria-label", `Take ${picture.name} away`);
    item.querySelector(".drop").onclick = () => this.removed(picture.id);
    this.items.set(picture.id, item);
    this.list.append(item);
  }

  #update(item, picture, current, [kind, words, share]) {
    item.className = kind;
    const pick = item.querySelector(".pick");
    if (current) pick.setAttribute("aria-current", "true");
    else pick.removeAttribute("aria-current");
    const state = item.querySelector(".state");
    if (state.textContent !== words) state.textContent = words;
    const bar = item.querySelector("i");
    bar.hidden = share === null;
    bar.style.setProperty("--share", `${100 * (share ?? 0)}%`);
    if (picture.state === "ready" && item.querySelector(".blank")) {
      const image = new Image();
      image.alt = "";
      image.src = address(`/pictures/${picture.id}/view?longest=96`);
      item.querySelector(".blank").replaceWith(image);
    }
  }
}

/** A class, words and the share done, for the list. `isStale`: whether its result is of other settings. */
export function stateOf(picture, isStale) {
  if (picture.state === "sending") return ["", "being added", null];
  if (picture.state === "refused") return ["wrong", picture.error, null];
  if (picture.state === "opening") return ["", "being read", null];
  if (picture.work?.state === "waiting") return ["", "waiting", 0];
  if (picture.work) {
    const { share } = picture.work;
    return ["", [percent(share), left(picture.work.left)].filter(Boolean).join(", "), share];
  }
  if (picture.failed) return ["wrong", picture.failed, null];
  if (picture.result) return isStale(picture) ? ["stale", "done, with other settings", null] : ["done", "done", null];
  const [page] = picture.pages;
  return ["", `${page.width} × ${page.height}${picture.pages.length > 1 ? `, ${picture.pages.length} pages` : ""}`, null];
}
