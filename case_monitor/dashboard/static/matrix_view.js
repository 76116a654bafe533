// Which part of a square matrix is seen: geometry alone. Pixels are CSS pixels from the matrix's upper left corner.
const CELL_LIMIT = 44; // the largest cell that zooming makes

export class MatrixView {
  constructor(cells) {
    this.cells = cells;
    this.side = 0;
    this.zoom = 1;
    this.left = 0; // of the view, in cells
    this.top = 0;
  }

  get size() { return (this.side / this.cells) * this.zoom; }
  get shown() { return this.cells / this.zoom; }
  get most() { return Math.max(1, (CELL_LIMIT * this.cells) / Math.max(this.side, 1)); }
  get whole() { return this.zoom === 1; }

  resize(side) {
    this.side = side;
    this.#keepInside();
  }

  reset() {
    this.zoom = 1;
    this.#keepInside();
  }

  // Whatever is below the point stays there. False: it cannot zoom any further.
  zoomAt(x, y, factor) {
    const before = this.zoom;
    const [column, row] = [this.left + x / this.size, this.top + y / this.size];
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), this.most);
    this.left = column - x / this.size;
    this.top = row - y / this.size;
    this.#keepInside();
    return this.zoom !== before;
  }

  panBy(x, y) {
    this.left -= x / this.size;
    this.top -= y / this.size;
    this.#keepInside();
  }

  reveal({ row, column }) {
    this.left = Math.min(Math.max(this.left, column + 1 - this.shown), column);
    this.top = Math.min(Math.max(this.top, row + 1 - this.shown), row);
    this.#keepInside();
  }

  cellAt(x, y) {
    if (x < 0 || y < 0 || x >= this.side || y >= this.side) return null;
    const last = this.cells - 1;
    return {
      row: Math.min(Math.floor(this.top + y / this.size), last),
      column: Math.min(Math.floor(this.left + x / this.size), last),
    };
  }

  // Upper left corner of a cell.
  place(row, column) {
    return [(column - this.left) * this.size, (row - this.top) * this.size];
  }

  #keepInside() {
    this.zoom = Math.min(Math.max(this.zoom, 1), this.most);
    const most = this.cells - this.shown;
    this.left = Math.min(Math.max(this.left, 0), most);
    this.top = Math.min(Math.max(this.top, 0), most);
  }
}
