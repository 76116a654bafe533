// The confusion matrix: loads it, draws it, and answers to pointer, fingers and keys.
import { ConfusionCells } from "./confusion_cells.js";
import { MatrixDrawing } from "./matrix_drawing.js";
import { MatrixView } from "./matrix_view.js";
import { listenToKeys } from "./matrix_keys.js";
import { listenToPointers } from "./matrix_pointers.js";

const SCALE = [0, 0.01, 0.05, 0.2, 0.5, 1];
const ROOM_BELOW = 160; // pixels of the window that are not the matrix's

class ConfusionMatrix {
  constructor(box, cells) {
    this.box = box;
    this.cells = cells;
    this.canvas = box.querySelector("canvas");
    this.view = new MatrixView(cells.size);
    this.marked = {};
    const chosen = cells.places[Number(box.dataset.class ?? NaN)];
    if (chosen !== undefined) Object.assign(this.marked, { row: chosen, column: chosen });
    this.show();
    this.drawing = new MatrixDrawing(this.canvas, cells, this.view);
    this.showScale();
    this.resize();
    new ResizeObserver(() => this.resize()).observe(box);
    addEventListener("resize", () => this.resize());
    addEventListener("themechange", () => this.recolour());
  }

  show() {
    this.part("loading").remove();
    for (const part of [this.canvas, this.part("told"), this.part("tools"), this.part("keys")]) part.hidden = false;
    this.tell(null);
  }

  part(name) { return this.box.querySelector(`[data-${name}]`); }

  resize() {
    const width = Math.min(this.box.clientWidth, Math.max(innerHeight - ROOM_BELOW, 300));
    this.canvas.style.width = `${width}px`;
    this.drawing.resize(width);
    this.draw();
  }

  draw() {
    this.drawing.draw(this.marked);
    this.box.dataset.zoomed = this.view.zoom.toFixed(2);
    this.canvas.classList.toggle("moved", !this.view.whole);
  }

  recolour() {
    this.drawing.recolour();
    this.showScale();
    this.redraw();
  }

  redraw() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      this.draw();
    });
  }

  point(cell) {
    const before = this.marked.pointed;
    if (cell?.row === before?.row && cell?.column === before?.column) return;
    this.marked.pointed = cell ?? undefined;
    this.tell(cell);
    this.redraw();
  }

  tell(cell) {
    this.part("told").textContent = cell ? this.cells.words(cell) : "Point at a cell to read what it says.";
  }

  keep(cell) {
    this.marked.kept = cell;
    const links = [...new Set([cell.row, cell.column])].flatMap((place, i) => [i ? " and " : "", this.link(place)]);
    const chosen = this.part("chosen-cell");
    chosen.replaceChildren(this.cells.words(cell), " More about ", ...links, ".");
    chosen.hidden = false;
    this.point(cell);
    this.redraw();
  }

  link(place) {
    const link = document.createElement("a");
    const address = new URL(location.href);
    address.searchParams.set("class", this.cells.order[place]);
    address.hash = "";
    link.href = address.href;
    link.textContent = this.cells.name(place);
    return link;
  }

  zoom(factor, x = this.view.side / 2, y = this.view.side / 2) {
    const zoomed = this.view.zoomAt(x, y, factor);
    if (zoomed) this.redraw();
    return zoomed;
  }

  pan(x, y) {
    this.view.panBy(x, y);
    this.redraw();
  }

  fit() {
    this.view.reset();
    this.redraw();
  }

  // Where an event is, from the matrix's upper left corner.
  at(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [event.clientX - left - this.drawing.gutter, event.clientY - top - this.drawing.gutter];
  }

  showScale() {
    this.part("scale").replaceChildren(...SCALE.map((share) => {
      const [entry, colour] = [document.createElement("li"), document.createElement("span")];
      colour.style.background = this.drawing.heat.fill(share);
      entry.append(colour, `${100 * share}%`);
      return entry;
    }));
  }
}

async function start(box) {
  try {
    const answer = await fetch(box.dataset.matrix);
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const matrix = new ConfusionMatrix(box, new ConfusionCells(await answer.json()));
    listenToKeys(matrix);
    listenToPointers(matrix);
    box.dataset.drawn = "yes";
  } catch (error) {
    const loading = box.querySelector("[data-loading]");
    if (!loading) throw error;
    loading.textContent = `The matrix could not be loaded: ${error.message}. Load the page again; the lists are complete without it.`;
  }
}

const numbers = document.querySelector("[data-numbers]");
if (numbers) {
  numbers.open = false;
  numbers.dataset.ready = "yes";
}
document.querySelectorAll("[data-matrix]").forEach(start);
