// Keys and buttons of the confusion matrix.
const STEP = 1.5;
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export function listenToKeys(matrix) {
  const buttons = { in: () => matrix.zoom(STEP), out: () => matrix.zoom(1 / STEP), fit: () => matrix.fit() };
  for (const button of matrix.box.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", buttons[button.dataset.zoom]);
  }
  const keys = { "+": () => zoom(matrix, STEP), "=": () => zoom(matrix, STEP), "-": () => zoom(matrix, 1 / STEP),
    0: () => matrix.fit(), Enter: () => matrix.keep(current(matrix)), " ": () => matrix.keep(current(matrix)) };
  matrix.canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (!arrow && !keys[event.key]) return;
    event.preventDefault();
    if (arrow) move(matrix, arrow, event.shiftKey);
    else keys[event.key]();
  });
  matrix.canvas.addEventListener("focus", () => {
    // A click focuses as well, and points at a cell of its own.
    if (matrix.canvas.matches(":focus-visible")) matrix.point(current(matrix));
  });
}

function current({ marked, view }) {
  return marked.pointed ?? marked.kept ?? { row: marked.row ?? Math.ceil(view.top), column: marked.column ?? Math.ceil(view.left) };
}

// Around the current cell, so that it stays in sight.
function zoom(matrix, factor) {
  const { row, column } = current(matrix);
  const [x, y] = matrix.view.place(row + 0.5, column + 0.5);
  matrix.zoom(factor, x, y);
}

function move(matrix, [down, right], far) {
  const { row, column } = current(matrix);
  const last = matrix.cells.size - 1;
  const next = far
    ? matrix.cells.nextWithImage({ row, column }, down, right)
    : { row: Math.min(Math.max(row + down, 0), last), column: Math.min(Math.max(column + right, 0), last) };
  matrix.view.reveal(next);
  matrix.point(next);
  matrix.redraw();
}
