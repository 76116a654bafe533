// Mouse, pen and fingers on the confusion matrix: pointing, keeping, moving, zooming.
const DRAG_FROM = 5; // pixels; less is a click
const PER_PIXEL = 0.002; // how much a wheel zooms
const PER_PINCH = 0.01; // browsers report a touchpad's pinch as a wheel with Ctrl
const LINE_HEIGHT = 16;

export function listenToPointers(matrix) {
  const { canvas } = matrix;
  const down = new Map(); // pointer -> where it is
  let start = null; // where a drag began, and whether it is one already

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    down.set(event.pointerId, matrix.at(event));
    start = down.size === 1 ? { at: matrix.at(event), dragging: false } : null;
  });

  canvas.addEventListener("pointermove", (event) => {
    const [at, before] = [matrix.at(event), down.get(event.pointerId)];
    if (!before) return matrix.point(matrix.view.cellAt(...at));
    if (down.size === 2) pinch(matrix, down, event.pointerId, at);
    else if (start) drag(matrix, start, before, at, event.pointerId);
    return down.set(event.pointerId, at);
  });

  const release = (event) => {
    const cell = matrix.view.cellAt(...matrix.at(event));
    if (event.type === "pointerup" && start && !start.dragging && cell) matrix.keep(cell);
    down.delete(event.pointerId);
    start = null;
    canvas.classList.remove("dragging");
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => { if (!down.size) matrix.point(null); });

  canvas.addEventListener("wheel", (event) => {
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_HEIGHT : 1);
    const zoomed = matrix.zoom(Math.exp(-pixels * (event.ctrlKey ? PER_PINCH : PER_PIXEL)), ...matrix.at(event));
    // Where the matrix does not zoom any more, the page scrolls; but not because it is as large as it gets.
    if (zoomed || event.ctrlKey || (pixels < 0 && !matrix.view.whole)) event.preventDefault();
    if (zoomed) matrix.point(matrix.view.cellAt(...matrix.at(event)));
  }, { passive: false });

  // Two fingers are the matrix's; one moves the page, as long as the whole matrix is seen.
  canvas.addEventListener("touchmove", (event) => { if (event.touches.length > 1) event.preventDefault(); }, { passive: false });
}

function drag(matrix, start, before, at, pointerId) {
  start.dragging ||= Math.hypot(at[0] - start.at[0], at[1] - start.at[1]) >= DRAG_FROM;
  if (!start.dragging) return;
  matrix.canvas.setPointerCapture(pointerId);
  matrix.canvas.classList.add("dragging");
  matrix.pan(at[0] - before[0], at[1] - before[1]);
}

function pinch(matrix, down, pointerId, at) {
  const before = [...down.values()];
  const after = [...down].map(([id, place]) => (id === pointerId ? at : place));
  const [from, to] = [middle(before), middle(after)];
  matrix.zoom(apart(after) / apart(before), ...from);
  matrix.pan(to[0] - from[0], to[1] - from[1]);
}

function middle([[ax, ay], [bx, by]]) { return [(ax + bx) / 2, (ay + by) / 2]; }

function apart([[ax, ay], [bx, by]]) { return Math.max(Math.hypot(ax - bx, ay - by), 1); }
