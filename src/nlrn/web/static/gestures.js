// How the viewer is moved: by mouse, touch and keys.

export const STEP = 1.25;

export const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

/** Drag to move, two fingers or the wheel to zoom, a click to pick a pixel. */
export function listenToPointers(viewer) {
  const down = new Map();
  let travelled = 0;
  viewer.canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    viewer.canvas.setPointerCapture(event.pointerId);
    if (!down.size) travelled = 0;
    down.set(event.pointerId, viewer.fromMiddle(event));
  });
  viewer.canvas.addEventListener("pointermove", (event) => {
    const last = down.get(event.pointerId);
    if (!last || !viewer.width) return;
    const now = viewer.fromMiddle(event);
    travelled += Math.hypot(now[0] - last[0], now[1] - last[1]);
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const apart = (a, b) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
      viewer.zoomBy(apart(now, other) / apart(last, other), other[0], other[1]);
    } else {
      viewer.pan(now[0] - last[0], now[1] - last[1]);
    }
    down.set(event.pointerId, now);
  });
  const up = (event) => {
    if (!down.delete(event.pointerId)) return;
    if (event.type === "pointerup" && viewer.picking && !down.size && travelled < 5 && viewer.width) {
      viewer.pick(...viewer.fromMiddle(event));
    }
  };
  viewer.canvas.addEventListener("pointerup", up);
  viewer.canvas.addEventListener("pointercancel", up);
  viewer.stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (viewer.width) viewer.zoomBy(STEP ** -clamp(event.deltaY / 60, -2, 2), ...viewer.fromMiddle(event));
  }, { passive: false });
  viewer.canvas.addEventListener("dblclick", (event) => {
    if (!viewer.width || viewer.picking) return;
    if (viewer.fitted) viewer.zoomTo(Math.max(1 / devicePixelRatio, viewer.zoom * 2), ...viewer.fromMiddle(event));
    else viewer.fit();
  });
}

/** All of that without a mouse. */
export function listenToKeys(viewer) {
  viewer.canvas.addEventListener("keydown", (event) => {
    if (!viewer.width || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? viewer.zoom : 40; // with shift one pixel of the picture
    const act = {
      ArrowLeft: () => viewer.pan(step, 0),
      ArrowRight: () => viewer.pan(-step, 0),
      ArrowUp: () => viewer.pan(0, step),
      ArrowDown: () => viewer.pan(0, -step),
      "+": () => viewer.zoomBy(STEP),
      "=": () => viewer.zoomBy(STEP),
      "-": () => viewer.zoomBy(1 / STEP),
      0: () => viewer.fit(),
      1: () => viewer.zoomTo(8 / devicePixelRatio),
      Enter: () => viewer.picking && viewer.pick(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

/** The line between before and after, by pointer and by keys. */
export function listenToLine(viewer) {
  viewer.line.addEventListener("pointerdown", (event) => {
    viewer.line.setPointerCapture(event.pointerId);
  });
  viewer.line.addEventListener("pointermove", (event) => {
    if (!viewer.line.hasPointerCapture(event.pointerId)) return;
    const box = viewer.stage.getBoundingClientRect();
    viewer.setDivide((event.clientX - box.left) / box.width);
  });
  viewer.line.addEventListener("keydown", (event) => {
    const to = {
      ArrowLeft: viewer.divide - 0.02,
      ArrowDown: viewer.divide - 0.02,
      ArrowRight: viewer.divide + 0.02,
      ArrowUp: viewer.divide + 0.02,
      PageDown: viewer.divide - 0.1,
      PageUp: viewer.divide + 0.1,
      Home: 0,
      End: 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    viewer.setDivide(to);
  });
}
