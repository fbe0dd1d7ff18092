// Requests to the server of this page, and what it tells by itself.

let token = null;
let hasBegun;
const begun = new Promise((resolve) => { hasBegun = resolve; });

/** The server said no: the message is for the person in front of the page. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export const address = (path) => `/api/pages/${token}${path}`;

async function answered(url, options) {
  let answer;
  try {
    answer = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("nlrn does not answer. Is it still running in its terminal?", 0);
  }
  if (answer.ok) return answer;
  let said = null;
  try {
    said = (await answer.json()).error;
  } catch { /* not one of ours */ }
  throw new Refused(said || `nlrn answered ${answer.status}.`, answer.status);
}

export async function about() {
  return (await answered("/api/about")).json();
}

export async function begin() {
  token = (await (await answered("/api/pages", { method: "POST" })).json()).token;
  hasBegun();
}

export async function send(path, value, signal) {
  const body = JSON.stringify(value);
  return answered(address(path), { method: "POST", body, signal, headers: { "Content-Type": "application/json" } });
}

export async function upload(file, name, signal) {
  await begun; // a file may be dropped sooner
  return (await answered(address(`/pictures?name=${encodeURIComponent(name)}`), { method: "POST", body: file, signal })).json();
}

export async function remove(id) {
  await answered(address(`/pictures/${id}`), { method: "DELETE" });
}

/** A picture that the server makes, and by how much it is reduced. */
export async function image(path, value, signal) {
  const answer = value === null ? await answered(address(path), { signal }) : await send(path, value, signal);
  const bitmap = await createImageBitmap(await answer.blob());
  return { bitmap, factor: Number(answer.headers.get("X-Reduced")) };
}

export async function blob(path, value, signal) {
  return (await send(path, value, signal)).blob();
}

/** Calls `told` with all pictures at every change, `lost(true)` when the server goes and `lost(false)` when it is back. */
export function listen(told, lost, ended) {
  const events = new EventSource(address("/events"));
  events.onmessage = (event) => {
    lost(false);
    told(JSON.parse(event.data).pictures);
  };
  events.onerror = async () => {
    lost(true);
    if (events.readyState === EventSource.CLOSED) {
      ended(); // the server is there and knows this page no more
    }
  };
  window.addEventListener("pagehide", () => {
    events.close();
    navigator.sendBeacon(address("/end"));
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload(); // what it held was removed when it was left
  });
}
