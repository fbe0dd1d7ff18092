// The page: what its parts tell one another.

import { Adding } from "./adding.js";
import * as api from "./api.js";
import { Download } from "./download.js";
import { Gallery } from "./gallery.js";
import { List, stateOf } from "./list.js";
import { Looks } from "./looks.js";
import { Preview } from "./preview.js";
import * as say from "./saying.js";
import { Settings, sameOrder } from "./settings.js";
import { Viewer } from "./viewer.js";
import { count, left } from "./words.js";

const byId = (id) => document.getElementById(id);
let onServer = []; // as it told last
let pictures = []; // those, and the ones on their way there
let current = null;
let pageNumber = 0;
let view = "compare";
let previewState = null;
let waitsForSettings;

const settings = new Settings(() => {
  viewer.smooth = settings.task === "sr";
  render();
  clearTimeout(waitsForSettings);
  waitsForSettings = setTimeout(look, 60);
});
const viewer = new Viewer(byId("stage"), { moved: look, picked: (x, y) => looks.ask(x, y, situation()) });
const preview = new Preview((pieces, state) => {
  viewer.showPieces(pieces, true);
  previewState = state;
  sayView();
});
const gallery = new Gallery(byId("gallery"), settings);
const looks = new Looks();
const download = new Download();
const list = new List(byId("list"), { chosen: choose, removed: remove });
const adding = new Adding({
  told: () => merge(),
  added: (id) => { current ??= id; },
});

const picture = () => pictures.find((one) => one.id === current) ?? null;
const ready = () => pictures.filter((one) => one.state === "ready");
const isStale = (one) => !sameOrder(settings.order(), one.result.order);

/** The page of the picture that is looked at, with what to do. */
function situation() {
  const one = picture();
  if (one?.state !== "ready") return null;
  return { picture: one, page: pageNumber, size: one.pages[pageNumber], order: settings.order(), seen: viewer.visible() };
}

function merge() {
  pictures = [...onServer, ...adding.files.filter((file) => !onServer.some((one) => one.id === file.id))];
  if (!picture()) {
    current = (ready()[0] ?? pictures[0])?.id ?? null;
    pageNumber = 0;
  } else if (picture().state === "refused" && ready().length && !chosenByHand) {
    current = ready()[0].id;
  }
  render();
}

let chosenByHand = false;
function choose(id) {
  if (id === current) return;
  chosenByHand = true;
  current = id;
  pageNumber = 0;
  render();
}

async function remove(id) {
  if (adding.files.some((file) => file.id === id)) {
    adding.remove(id);
    return;
  }
  onServer = onServer.filter((one) => one.id !== id);
  merge();
  await attempt(() => api.remove(id));
}

function turnPage(step) {
  pageNumber = Math.min(Math.max(pageNumber + step, 0), picture().pages.length - 1);
  render();
}

/** Whatever a person asked for, with a no said where it can be seen. */
async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    say.result(error.message, "wrong");
    return false;
  }
}

async function restore(some) {
  say.result("");
  if (some.length) await attempt(() => api.send("/restore", { pictures: some.map((one) => one.id), order: settings.order() }));
}

const cancel = (some) => attempt(() => api.send("/cancel", { pictures: some.map((one) => one.id) }));

function render() {
  document.body.classList.toggle("empty", !pictures.length);
  list.show(pictures, current, (one) => stateOf(one, isStale));
  renderAll();
  const one = picture();
  const page = one?.pages?.[pageNumber] ?? null;
  settings.setPage(page);
  byId("picture-name").textContent = one?.name ?? "No picture";
  byId("go").disabled = one?.state !== "ready";
  const noisy = settings.task === "sr" && page?.level > 4 ? " Remove it first, or it is enlarged too." : "";
  byId("found").textContent = page ? `${page.found}${noisy} ${page.about}.` : "";
  renderPaging(one);
  renderAct(one);
  download.show(one, ready().filter((other) => other.result));
  if (!page) {
    viewer.clear();
    preview.clear();
    gallery.clear();
    looks.clear();
    shown = null;
    sayView();
    return;
  }
  const place = `/pictures/${one.id}/view?page=${pageNumber}`;
  viewer.show(place, page.width, page.height);
  const result = one.result && !isStale(one) ? one.result : null;
  viewer.showResult(result ? `${place}&of=result&version=${result.version}` : null, result?.order.task === "sr" ? result.order.scale : 1);
  const now = JSON.stringify([one.id, pageNumber, result?.version]);
  if (now !== shown) {
    shown = now;
    looks.clear();
    look();
  }
  sayView();
}
let shown = null;

function renderAll() {
  const busy = pictures.filter((one) => one.work);
  const open = ready().filter((one) => !one.work && (!one.result || isStale(one)));
  const verb = settings.task === "denoise" ? "Remove noise from" : "Enlarge";
  byId("go-all").hidden = ready().length < 2 || !open.length;
  byId("go-all").textContent = open.length === ready().length ? `${verb} all ${open.length}` : `${verb} the other${open.length > 1 ? ` ${open.length}` : ""}`;
  byId("stop-all").hidden = busy.length < 2;
  const done = ready().filter((one) => one.result && !isStale(one)).length;
  const last = Math.max(...busy.map((one) => one.work.left ?? 0), 0);
  byId("all-said").textContent = busy.length > 1 ? [`${count(done, "picture")} done, ${busy.length} to go`, last ? left(last) : ""].filter(Boolean).join(", ") : "";
}

function renderPaging(one) {
  const pages = one?.pages?.length ?? 1;
  byId("paging").hidden = pages < 2;
  byId("page-said").textContent = `${pageNumber + 1} / ${pages}`;
  byId("page-said").setAttribute("aria-label", `Page ${pageNumber + 1} of ${pages}`);
  byId("page-back").disabled = pageNumber === 0;
  byId("page-on").disabled = pageNumber === pages - 1;
}

function renderAct(one) {
  const work = one?.work ?? null;
  const hadFocus = [byId("go"), byId("stop")].includes(document.activeElement);
  byId("working").hidden = !work;
  byId("go").hidden = Boolean(work);
  if (hadFocus && !byId("settings").contains(document.activeElement)) byId(work ? "stop" : "go").focus();
  say.work(work);
  if (!work) say.became(one, isStale, settings);
}

/** Look at the picture as the settings would make it, in the view that is open. */
function look() {
  const now = situation();
  previewState = null;
  if (!now || !settings.about) return;
  if (view === "models") gallery.show(now);
  const result = now.picture.result && !isStale(now.picture);
  if (view !== "compare" || result) {
    preview.stop();
    sayView();
    return;
  }
  if (say.changesNothing(now)) {
    preview.clear();
    viewer.showPieces([], false);
    sayView();
    return;
  }
  preview.look(now.picture.id, now.page, now.order, settings.model(now.order), now.seen, now.size);
}

function sayView() {
  say.view(view, situation(), isStale, previewState, looks.asked);
}

function show(name) {
  view = name;
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const on = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", on);
    tab.tabIndex = on ? 0 : -1;
  }
  byId("panel").setAttribute("aria-labelledby", `tab-${name}`);
  byId("panel").className = name;
  byId("stage").hidden = byId("keys").hidden = name === "models";
  byId("stage").classList.toggle("picking", name === "looks");
  byId("gallery").hidden = name !== "models";
  byId("looks").hidden = name !== "looks" || !looks.asked;
  byId("panel").classList.toggle("asked", looks.asked);
  for (const id of ["line", "label-before", "label-after"]) byId(id).hidden = name !== "compare";
  viewer.picking = name === "looks";
  if (name !== "models") gallery.stop();
  viewer.draw();
  look();
  sayView();
}

function listenToTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  for (const tab of tabs) {
    tab.onclick = () => show(tab.id.slice(4));
    tab.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
      next.focus();
      show(next.id.slice(4));
    };
  }
}

function alarm(words) {
  byId("alarm").hidden = !words;
  byId("alarm").textContent = words;
}

let over = false;
function listenToServer() {
  api.listen(
    (told) => {
      onServer = told;
      merge();
    },
    (lost) => {
      if (over) return;
      alarm(lost ? "nlrn does not answer: it was stopped, or is very busy. This page goes on by itself when it is back." : "");
    },
    () => {
      over = true;
      alarm("nlrn was stopped or started anew, and what was on this page is gone there. Load the page again to go on.");
    },
  );
}

looks.told = () => {
  byId("looks").hidden = view !== "looks" || !looks.asked;
  byId("panel").classList.toggle("asked", looks.asked);
  sayView();
};
settings.form.addEventListener("submit", (event) => {
  event.preventDefault();
  restore(ready().filter((one) => one.id === current));
});
byId("stop").onclick = () => cancel([picture()]);
byId("go-all").onclick = () => restore(ready().filter((one) => !one.work && (!one.result || isStale(one))));
byId("stop-all").onclick = () => cancel(pictures.filter((one) => one.work));
byId("page-back").onclick = () => turnPage(-1);
byId("page-on").onclick = () => turnPage(1);
window.addEventListener("beforeunload", (event) => {
  if (!over && pictures.some((one) => one.work || (one.result && !download.saved.has(one.result.version)))) event.preventDefault();
});
listenToTabs();
try {
  await api.begin();
  listenToServer();
  settings.offer(await api.about());
  look();
} catch (error) {
  alarm(error.message);
}
