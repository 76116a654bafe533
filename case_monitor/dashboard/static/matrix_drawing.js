// Draws a confusion matrix on a canvas: cells, counts and names where there is room, and what is pointed at.
import { HeatColours } from "./heat_colours.js";

const LINE = 13; // pixels that a name needs
const TITLE = 18; // for "true class" and "predicted class"
const GRID_FROM = 12; // pixels of a cell from which on lines part the cells
const LEAST = 1.5; // pixels of the smallest cell that is drawn

export class MatrixDrawing {
  constructor(canvas, cells, view) {
    Object.assign(this, { canvas, cells, view, context: canvas.getContext("2d"), shortened: new Map() });
    this.recolour();
  }

  recolour() {
    const style = getComputedStyle(document.documentElement);
    const property = (name) => style.getPropertyValue(name).trim();
    this.heat = new HeatColours(property);
    this.ink = property("--ink");
    this.muted = property("--muted");
    this.line = property("--line");
    this.ground = property("--surface");
    this.missing = property("--sunken");
    this.accent = property("--focus");
    this.font = property("--font");
  }

  // Fit the canvas into this many CSS pixels, sharp on every screen.
  resize(width) {
    this.gutter = TITLE + Math.round(Math.min(Math.max(width * 0.2, 56), 130));
    const side = Math.max(width - this.gutter, 40);
    const scale = devicePixelRatio || 1;
    this.canvas.width = Math.round((this.gutter + side) * scale);
    this.canvas.height = this.canvas.width;
    this.canvas.style.aspectRatio = "1";
    this.scale = scale;
    this.width = this.gutter + side;
    this.view.resize(side);
    this.shortened.clear();
  }

  // `marked`: { pointed, kept, row, column }: cells, and a row and a column to frame.
  draw(marked) {
    const { context, view, gutter } = this;
    context.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    context.fillStyle = this.ground;
    context.fillRect(0, 0, this.width, this.width);
    context.save();
    context.translate(gutter, gutter);
    context.beginPath();
    context.rect(0, 0, view.side, view.side);
    context.clip();
    this.#background();
    this.#squares();
    if (view.size >= GRID_FROM) this.#grid();
    this.#counts();
    this.#frames(marked);
    context.restore();
    this.#axes(marked);
  }

  #background() {
    const { context, view, cells } = this;
    context.fillStyle = this.heat.none;
    context.fillRect(0, 0, view.side, view.side);
    context.fillStyle = this.missing;
    for (let row = Math.floor(view.top); row < Math.min(view.top + view.shown, cells.size); row += 1) {
      if (!cells.images(row)) context.fillRect(0, view.place(row, 0)[1], view.side, view.size);
    }
  }

  #squares() {
    const { context, view } = this;
    const size = Math.max(view.size, LEAST);
    for (const cell of this.cells.cells) {
      if (!this.#seen(cell)) continue;
      const [x, y] = view.place(cell.row, cell.column);
      context.fillStyle = this.heat.fill(cell.share);
      if (size > LEAST) {
        const [left, top] = [this.#sharp(x), this.#sharp(y)];
        context.fillRect(left, top, this.#sharp(x + size) - left, this.#sharp(y + size) - top);
      } else {
        context.fillRect(x, y, size, size);
      }
    }
  }

  #seen({ row, column }) {
    const { left, top, shown } = this.view;
    return row + 1 > top && row < top + shown && column + 1 > left && column < left + shown;
  }

  #sharp(value) { return Math.round(value * this.scale) / this.scale; }

  #grid() {
    const { context, view } = this;
    context.fillStyle = this.ground;
    for (let i = Math.floor(Math.min(view.left, view.top)); i <= this.cells.size; i += 1) {
      const [x, y] = view.place(i, i);
      context.fillRect(this.#sharp(x), 0, 1, view.side);
      context.fillRect(0, this.#sharp(y), view.side, 1);
    }
  }

  #counts() {
    const { context, view } = this;
    const points = Math.min(Math.max(view.size * 0.36, 9), 14);
    if (view.size < 15) return;
    context.font = `${points}px ${this.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const cell of this.cells.cells) {
      if (!this.#seen(cell)) continue;
      const text = String(cell.count);
      if (context.measureText(text).width > view.size - 3) continue;
      const [x, y] = view.place(cell.row, cell.column);
      context.fillStyle = this.heat.ink(cell.share);
      context.fillText(text, x + view.size / 2, y + view.size / 2 + 0.5);
    }
  }

  #frames({ pointed, kept, row, column }) {
    const { view } = this;
    if (row !== undefined) this.#frame(0, view.place(row, 0)[1], view.side, view.size, 1.5);
    if (column !== undefined) this.#frame(view.place(0, column)[0], 0, view.size, view.side, 1.5);
    for (const [cell, width] of [[pointed, 2], [kept, 3]]) {
      if (cell) this.#frame(...view.place(cell.row, cell.column), view.size, view.size, width);
    }
  }

  #frame(x, y, width, height, line) {
    const { context } = this;
    const room = 5; // so that a tiny cell is found
    const [w, h] = [Math.max(width, room), Math.max(height, room)];
    context.lineWidth = line;
    context.strokeStyle = this.accent;
    context.strokeRect(x - (w - width) / 2, y - (h - height) / 2, w, h);
  }

  #axes({ pointed, row, column }) {
    const { context, gutter, view } = this;
    context.textBaseline = "middle";
    context.font = `12px ${this.font}`;
    this.#names(row, pointed?.row, view.top, (place) => [gutter - 5, gutter + view.place(place, 0)[1] + view.size / 2, 0]);
    this.#names(column, pointed?.column, view.left, (place) => [
      gutter + view.place(0, place)[0] + view.size / 2, gutter - 5, -Math.PI / 2]);
    context.fillStyle = this.muted;
    context.textAlign = "center";
    context.font = `600 12px ${this.font}`;
    context.fillText("predicted class", gutter + view.side / 2, TITLE / 2);
    this.#turned("true class", TITLE / 2, gutter + view.side / 2, -Math.PI / 2);
  }

  // Names along an axis: as many as there is room for, and always those pointed at.
  #names(framed, pointed, first, where) {
    const { view, cells } = this;
    const step = Math.ceil(LINE / view.size);
    const firm = [framed, pointed].filter((place) => place !== undefined && place + 1 > first && place < first + view.shown);
    const far = (place) => firm.every((other) => Math.abs(place - other) * view.size >= LINE);
    const start = Math.ceil(Math.max(first - 0.5, 0) / step) * step;
    for (let place = start; place < Math.min(first + view.shown - 0.5, cells.size); place += step) {
      if (far(place)) this.#name(place, where(place), false);
    }
    for (const place of firm) this.#name(place, where(place), true);
  }

  #name(place, [x, y, angle], strong) {
    const { context } = this;
    context.font = `${strong ? "600 " : ""}12px ${this.font}`;
    context.fillStyle = strong ? this.ink : this.muted;
    context.textAlign = angle ? "left" : "right";
    this.#turned(this.#short(place, strong), x, y, angle);
    context.fillStyle = this.line;
    context.fillRect(angle ? x : this.gutter - 4, angle ? this.gutter - 4 : y, angle ? 1 : 3, angle ? 3 : 1);
  }

  #turned(text, x, y, angle) {
    const { context } = this;
    context.save();
    context.translate(x, y);
    context.rotate(angle);
    context.fillText(text, 0, 0);
    context.restore();
  }

  // The class's name, cut to the gutter.
  #short(place, strong) {
    const key = `${strong}${place}`;
    let text = this.shortened.get(key);
    if (text === undefined) {
      text = cut(this.context, this.cells.name(place).slice(0, 60), this.gutter - TITLE - 8);
      this.shortened.set(key, text);
    }
    return text;
  }
}

function cut(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let kept = text;
  while (kept && context.measureText(`${kept}…`).width > room) kept = kept.slice(0, -1);
  return `${kept}…`;
}
