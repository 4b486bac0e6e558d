// A sheet of pictures on a canvas: a grid of cells, a line of one pixel around every picture.

import {clamp} from "../pure/number.js";

const GREYS = Uint32Array.from({length: 256}, (_, grey) => (255 << 24 | grey << 16 | grey << 8 | grey) >>> 0);

/** How many columns: as wide as the pictures are many, if that comes out even; else nearly square. @param {number} n */
export function columnsOf(n) {
  const side = Math.ceil(Math.sqrt(n));
  for (let k = side; k <= 2 * side; k++) if (n % k === 0) return k;
  return side;
}

export class Sheet {
  /**
   * @param {HTMLCanvasElement} canvas @param {number} columns @param {number} rows
   * @param {{height: number, width: number}} picture
   */
  constructor(canvas, columns, rows, {height, width}) {
    this.canvas = canvas;
    this.columns = columns;
    this.rows = rows;
    this.height = height;
    this.width = width;
    [canvas.width, canvas.height] = [columns * (width + 1) + 1, rows * (height + 1) + 1];
    this.image = new ImageData(canvas.width, canvas.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  }

  get ratio() { return this.canvas.width / this.canvas.height; }

  clear() { this.pixels.fill(0); }

  show() { this.ctx.putImageData(this.image, 0, 0); }

  /** The pixel at the upper left of a cell, on the line around it. @param {number} cell */
  #corner(cell) {
    const row = Math.floor(cell / this.columns), column = cell % this.columns;
    return row * (this.height + 1) * this.canvas.width + column * (this.width + 1);
  }

  /**
   * Picture k of several goes into a cell.
   * @param {ArrayLike<number>} pictures @param {number} k @param {number} cell
   */
  place(pictures, k, cell) {
    const {pixels, height, width, canvas: {width: stride}} = this, corner = this.#corner(cell) + stride + 1;
    for (let y = 0, i = k * height * width; y < height; y++) {
      for (let x = 0; x < width; x++, i++) pixels[corner + y * stride + x] = GREYS[pictures[i]];
    }
  }

  /**
   * A line around so many cells, one below the other.
   * @param {number} cell @param {number} ink @param {number} [rows]
   */
  frame(cell, ink, rows = 1) {
    const {pixels, canvas: {width: stride}} = this, corner = this.#corner(cell);
    const right = this.width + 1, bottom = rows * (this.height + 1);
    for (let k = 0; k <= right; k++) pixels[corner + k] = pixels[corner + bottom * stride + k] = ink;
    for (let k = 0; k <= bottom; k++) pixels[corner + k * stride] = pixels[corner + k * stride + right] = ink;
  }

  /**
   * Which cell is under the pointer, whatever size the sheet has on the screen.
   * @param {{clientX: number, clientY: number}} at
   */
  cell({clientX, clientY}) {
    const {left, top, width, height} = this.canvas.getBoundingClientRect(), {canvas, columns, rows} = this;
    const column = Math.floor((clientX - left) / width * canvas.width / (this.width + 1));
    const row = Math.floor((clientY - top) / height * canvas.height / (this.height + 1));
    return clamp(row, 0, rows - 1) * columns + clamp(column, 0, columns - 1);
  }
}
