// Vector fields over the plane, a row for each model and a column for each view, at every noise level on show.

import {nearest} from "./number.js";

/**
 * vectors [row][view]: int16 [side², 2] in units of the header's `unit` times the view's scale; errors [view] and
 * density as opacities, uint8 [side²].
 * @typedef {{scale: Float32Array, vectors: Int16Array[][], errors: Uint8Array[], density: Uint8Array}} Level
 */

export class Fields {
  order = 0;
  count = 0;  // levels that have arrived
  steps = null;
  /** @type {(Level | undefined)[]} */
  levels = [];

  /** @param {Header} header */
  constructor(header) {
    this.header = header;
    this.unit = header.unit;
    this.side = header.side ?? 0;
    this.rows = header.rows ?? [];
    this.views = header.views ?? [];
  }

  get there() { return this.count > 0; }

  /** The level nearest to t: its index, and t itself where the axis is that of the levels. @param {number} t */
  at(t) { return this.header.times ? nearest(this.header.times, t) : Math.round(t); }

  /**
   * int32 level; float32 [views] scales; int16 [rows, views, side², 2]; uint8 [side²]. Whether there is more to show.
   * @param {string} kind @param {Uint8Array} payload
   */
  take(kind, payload) {
    if (kind !== "FIELD") return false;
    const {side, rows, views} = this, n = side * side, bytes = payload.slice(), {buffer} = bytes;
    const [index] = new Int32Array(buffer, 0, 1), start = 4 + 4 * views.length;
    const all = new Int16Array(buffer, start, 2 * n * rows.length * views.length);
    /** @param {number} k */
    const field = k => all.subarray(2 * n * k, 2 * n * (k + 1));
    const vectors = rows.map((_, row) => views.map((_, view) => field(row * views.length + view)));
    const errors = rows.length > 1 ? views.map((_, view) => this.#errors(vectors[0][view], vectors[1][view])) : [];
    if (!this.levels[index]) this.count++;
    const scale = new Float32Array(buffer, 4, views.length), density = bytes.subarray(-n);
    this.levels[index] = {scale, vectors, errors, density};
    return true;
  }

  /**
   * How far a is from b; half of the largest vector is as dark as it gets.
   * @param {Int16Array} a @param {Int16Array} b
   */
  #errors(a, b) {
    const dark = 255 * this.unit / .5;
    return Uint8Array.from({length: a.length / 2}, (_, k) =>
      Math.min(255, dark * Math.hypot(a[2 * k] - b[2 * k], a[2 * k + 1] - b[2 * k + 1])));
  }

  /**
   * The vector at a node of a view.
   * @param {Level} level @param {number} row @param {number} view @param {number} node
   */
  vector({vectors, scale}, row, view, node) {
    return [0, 1].map(axis => vectors[row][view][2 * node + axis] * this.unit * scale[view]);
  }

  /** Where a node is in the plane. @param {number} node */
  place(node) {
    const {side, header: {view}} = this;
    return [node % side, Math.floor(node / side)].map(k => view * ((2 * k + 1) / side - 1));
  }
}
