// One field on a canvas: colours behind, arrows before. Pixels by hand: as paths, the arrows of eight panels would take
// three frames' time.

import {css, hex} from "../page/theme.js";
import {blend, pixel} from "../pure/colour.js";

const EVERY = 2;      // an arrow for every second node,
const LONGEST = 2.4;  // at most so many nodes long

export class Arrows {
  ratio = 1;
  width = 0;  // in pixels; the canvas is a square
  #ink = "";
  #arrow = 0;
  #shades = new Uint32Array(256);  // an opacity of the colour behind, as a pixel
  #image = new ImageData(1, 1);
  #pixels = new Uint32Array(1);

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  }

  /**
   * Sizes and colours may have changed; asking for them in each frame would force a layout in each frame.
   * @param {string} heat @param {string} arrow CSS variables
   */
  measure(heat, arrow) {
    const {canvas} = this, width = Math.round(canvas.clientWidth * (devicePixelRatio || 1));
    this.ratio = devicePixelRatio || 1;
    this.width = width;
    this.#ink = css("--lab-ink");
    this.#arrow = pixel(css(arrow));
    const over = pixel(css(heat)), paper = pixel(hex(css("--lab-paper")));
    this.#shades = Uint32Array.from({length: 256}, (_, a) => blend(paper, over, a));
    if (!width || (canvas.width === width && this.#image.width === width)) return;
    [canvas.width, canvas.height] = [width, width];
    this.#image = new ImageData(width, width);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
  }

  /**
   * heat: opacities [side²]; field: int16 [side², 2], at most 1 / unit long; node: one with a ring around it, or -1.
   * @param {Uint8Array} heat @param {Int16Array} field @param {number} unit @param {number} side @param {number} node
   */
  draw(heat, field, unit, side, node) {
    const cell = this.width / side;
    this.#paintHeat(heat, side, cell);
    this.#paintArrows(field, unit, side, cell);
    this.ctx.putImageData(this.#image, 0, 0);
    if (node >= 0) this.#ring(node % side, Math.floor(node / side), cell);
  }

  /** @param {Uint8Array} heat @param {number} side @param {number} cell */
  #paintHeat(heat, side, cell) {
    const {width} = this, pixels = this.#pixels, shades = this.#shades;
    for (let y = 0, above = -1; y < width; y++) {
      const i = side - 1 - Math.floor(y / cell), start = y * width;  // row 0 of a picture is at its top
      if (i === above) pixels.copyWithin(start, start - width, start);
      else for (let j = 0; j < side; j++) {
        pixels.fill(shades[heat[i * side + j]], start + Math.round(j * cell), start + Math.round((j + 1) * cell));
      }
      above = i;
    }
  }

  /** @param {Int16Array} field @param {number} unit @param {number} side @param {number} cell */
  #paintArrows(field, unit, side, cell) {
    const {width, ratio} = this, longest = LONGEST * cell * unit, head = .9 * cell;
    for (let i = EVERY >> 1; i < side; i += EVERY) for (let j = EVERY >> 1; j < side; j += EVERY) {
      const k = i * side + j, x = (j + .5) * cell, y = width - (i + .5) * cell;
      const dx = field[2 * k] * longest, dy = -field[2 * k + 1] * longest, length = Math.hypot(dx, dy);
      if (length < ratio) continue;
      const h = Math.min(head, length) / length / 2, ex = x + dx, ey = y + dy;
      this.#line(x, y, ex, ey);
      this.#line(ex - h * (dx - .6 * dy), ey - h * (dy + .6 * dx), ex, ey);
      this.#line(ex - h * (dx + .6 * dy), ey - h * (dy - .6 * dx), ex, ey);
    }
  }

  /**
   * Steps along the longer side; across it, each pixel is covered as far as the line reaches into it.
   * @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1
   */
  #line(x0, y0, x1, y1) {
    const {width, ratio} = this, pixels = this.#pixels, arrow = this.#arrow;
    const dx = x1 - x0, dy = y1 - y0, steep = Math.abs(dy) > Math.abs(dx), half = .5 * ratio + .5;
    const n = Math.max(1, Math.ceil(Math.max(Math.abs(dx), Math.abs(dy))));
    for (let k = 0; k <= n; k++) {
      const x = x0 + dx * k / n, y = y0 + dy * k / n, along = Math.floor(steep ? y : x), across = steep ? x : y;
      if (along < 0 || along >= width) continue;
      for (let p = Math.floor(across - half + .5); p < across + half - .5; p++) {
        const cover = Math.min(1, half - Math.abs(p + .5 - across));
        if (cover <= 0 || p < 0 || p >= width) continue;
        const at = steep ? along * width + p : p * width + along;
        pixels[at] = blend(pixels[at], arrow, 255 * cover | 0);
      }
    }
  }

  /** @param {number} column @param {number} row @param {number} cell */
  #ring(column, row, cell) {
    const {ctx, ratio, width} = this;
    ctx.strokeStyle = this.#ink;
    ctx.lineWidth = 2 * ratio;
    ctx.beginPath();
    ctx.arc((column + .5) * cell, width - (row + .5) * cell, 6 * ratio, 0, 2 * Math.PI);
    ctx.stroke();
  }
}
