// What the page says in words, of the work and of what is seen.

import { duration, left, percent } from "./words.js";

const byId = (id) => document.getElementById(id);

/** Only what is new: a screen reader reads a status out whenever it is set. */
function put(element, words, kind) {
  if (element.textContent !== words) element.textContent = words;
  element.className = kind;
}

export function result(words, kind = "") {
  put(byId("said"), words, kind);
}

/** The progress of a picture; null: it is not at work. */
export function work(now) {
  if (!now) return;
  const waits = now.state === "waiting";
  if (waits) byId("bar").removeAttribute("value");
  else byId("bar").value = now.share;
  const state = waits ? "waiting for its turn" : percent(now.share);
  byId("bar-said").textContent = [state, left(now.left)].filter(Boolean).join(", ");
  result("");
}

/** What became of a picture. */
export function became(one, isStale, settings) {
  const done = one?.result;
  byId("command").hidden = !done?.command;
  if (done?.command) byId("command-said").textContent = done.command;
  if (one?.state === "refused") result(one.error, "wrong");
  else if (one?.failed) result(one.failed, "wrong");
  else if (done && isStale(one)) result("The result is of other settings than these.", "stale");
  else if (done?.notes.length) result(done.notes.join(" "));
  else if (done) result(`Done in ${duration(done.seconds)} with ${settings.model(done.order)}.`);
  else if (byId("said").className !== "wrong") result("");
}

/** Models that measure what they are told in a way of their own. */
const BY_PLANES = ["denoise-photo", "denoise-jpeg"];

/** Whether an order leaves a picture as it is. */
export function changesNothing({ order, size }) {
  if (order.task !== "denoise") return false;
  if (order.sigma !== null || order.strength === 0) return order.strength === 0 || order.sigma === 0;
  return order.model === null ? size.nothing : !BY_PLANES.includes(order.model) && size.sigma < 1;
}

/** What is seen. `now`: the picture, its page and the order; null without one. */
export function view(name, now, isStale, preview, asked) {
  let words = "", kind = "", after = "after";
  if (now && name === "compare") [words, kind, after] = compared(now, isStale, preview);
  else if (now && name === "models") words = "The middle of the view through every model, with these settings.";
  else if (now && !asked) {
    words = "Click a pixel, or move to it with the arrow keys and press Enter: which of its neighbours does the network look at there?";
  }
  byId("label-after").textContent = after;
  byId("label-before").textContent = now?.order.task === "sr" ? "before, interpolated" : "before";
  put(byId("view-said"), words, kind);
}

function compared(now, isStale, preview) {
  const { result: done } = now.picture;
  if (done && !isStale(now.picture)) return ["", "", now.order.task === "sr" ? `enlarged ${now.order.scale} ×` : "restored"];
  const same = changesNothing(now);
  if (done) return ["The result is of other settings; this is a preview of the ones set now.", "warn", same ? "as it came" : "preview"];
  if (same) {
    const none = now.order.sigma === null && now.order.strength > 0;
    return [none
      ? "Nothing would be done: there is no noise to speak of. Set a noise level by hand to smooth it all the same."
      : "Nothing would be done with these settings.", "", "as it came"];
  }
  if (preview instanceof Error) return [preview.message, "warn", "preview"];
  const words = {
    working: "Preview: what is looked at, as these settings make it…",
    done: "Preview: what is looked at, as these settings make it.",
    part: "A preview of the middle. Zoom in to see more of it, or have the whole done.",
  };
  return [words[preview] ?? "", "", "preview"];
}
