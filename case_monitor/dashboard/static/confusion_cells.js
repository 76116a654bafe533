// A confusion matrix as the server sends it, by place in the order of the classes, and what a cell says in words.
const DIGITS = 1;
const TURNS_TEXT = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff]/;

export class ConfusionCells {
  constructor({ names, order, support, true: trueClasses, predicted, count }) {
    this.size = order.length;
    this.order = order;
    this.names = names.map((name, index) => (name.trim() ? contained(name) : `class ${index}`));
    this.support = support;
    this.places = [];
    order.forEach((index, place) => { this.places[index] = place; });
    this.counts = new Map();
    this.cells = count.map((n, i) => {
      const [row, column] = [this.places[trueClasses[i]], this.places[predicted[i]]];
      this.counts.set(row * this.size + column, n);
      return { row, column, count: n, share: n / support[trueClasses[i]] };
    });
    this.cells.sort((a, b) => a.share - b.share); // the strongest are drawn last, on top
  }

  name(place) { return this.names[this.order[place]]; }
  images(place) { return this.support[this.order[place]]; }
  count({ row, column }) { return this.counts.get(row * this.size + column) ?? 0; }

  words(cell) {
    const [actual, predicted, all] = [this.name(cell.row), this.name(cell.column), this.images(cell.row)];
    if (!all) return `True class ${actual}: no image with a prediction.`;
    const n = this.count(cell);
    const share = `${((100 * n) / all).toFixed(DIGITS)}%`;
    const meant = cell.row === cell.column ? `True class ${actual}, recognised` : `True class ${actual}, predicted ${predicted}`;
    return `${meant}: ${n} of ${all} images (${share} of the true class).`;
  }

  // The next cell in a direction that has an image; the last cell of that direction if there is none.
  nextWithImage({ row, column }, down, right) {
    const inside = (place) => place >= 0 && place < this.size;
    let [r, c] = [row + down, column + right];
    while (inside(r) && inside(c) && !this.count({ row: r, column: c })) [r, c] = [r + down, c + right];
    return inside(r) && inside(c) ? { row: r, column: c } : { row: r - down, column: c - right };
  }
}

// A name that is written from right to left, or turns the text that follows, is kept to itself.
function contained(name) { return TURNS_TEXT.test(name) ? `\u2068${name}\u2069` : name; }
