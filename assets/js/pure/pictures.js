// Runs of pictures: one stream, as far as it has arrived. Nothing is made up between two steps; real pictures that melt
// are their closed form at any t.

import {nearest} from "./number.js";
import {int16, int32} from "./reader.js";

const MELTING = 10;  // steps of a film where there is every t

/** @typedef {{nfe: number, x: Uint8Array, x0: Uint8Array}} Step  x0 is empty before the network was asked. */

export class Pictures {
  order = -1;
  /** @type {number[]} that have arrived, from noise to data */
  times = [];
  /** @type {Map<number, Step>} */
  #steps = new Map();
  /** @type {Int16Array | undefined} x0 and eps, [2, n, ...shape] */
  #pair;
  /** @type {Uint8Array | undefined} that the walk starts from, for comparison */
  #real;
  height = 0;
  width = 0;

  /** @param {Header} header */
  constructor(header) {
    this.header = header;
    this.n = header.n;
    [this.height, this.width] = header.shape ?? [0, 0];
    this.area = this.height * this.width;
    this.melts = header.mode === "mix";
    this.scratch = new Uint8ClampedArray(this.n * this.area);
  }

  /** Whether there is more to show now. @param {string} kind @param {Uint8Array} payload */
  take(kind, payload) {
    if (kind === "REAL") this.#real = payload.slice();
    else if (kind === "PAIR") this.#pair = int16(payload);
    else if (kind === "PIXELS") this.#keep(payload);
    return kind === "PAIR" || kind === "PIXELS";
  }

  /** x_t comes first; the same step again, with x0-hat, when the network was asked. @param {Uint8Array} payload */
  #keep(payload) {
    const [t, nfe] = int32(payload, 2), both = payload.slice(8), size = this.n * this.area;
    if (!this.#steps.has(t)) this.times.push(t);
    this.#steps.set(t, {nfe, x: both.subarray(0, size), x0: both.subarray(size)});
  }

  get there() { return this.melts ? this.#pair !== undefined : this.times.length > 0; }

  /** The steps that have arrived, or null where there is every t. */
  get steps() { return this.melts ? null : this.times; }

  get layers() { return [...this.melts ? ["x"] : ["x", "x0"], ...this.#real ? ["real"] : []]; }

  /**
   * What is on show at t: the last step that was computed when the walk passes by; of the closed form, t.
   * @param {number} t
   */
  at(t) {
    if (this.melts) return Math.round(t);
    return this.times.findLast(time => time >= t) ?? this.times[0];
  }

  /** @param {number} t */
  nfe(t) { return this.#steps.get(t)?.nfe ?? 0; }

  /** The times of a film, data first. */
  get film() {
    const {axis: {last}, times = []} = this.header;
    if (!this.melts) return [...times].reverse();
    return [...new Set(Array.from({length: MELTING + 1}, (_, k) => Math.round(k * last / MELTING)))];
  }

  /** Which picture of the film is nearest to t. @param {number} t */
  frame(t) { return nearest(this.film, t); }

  /**
   * Pictures [first, last) of a layer at a step, one after the other; undefined where there are none yet.
   * @param {string} layer @param {number} t
   * @returns {Uint8Array | Uint8ClampedArray | undefined}
   */
  pictures(layer, t, first = 0, last = this.n) {
    const start = first * this.area, end = last * this.area;
    if (layer === "real") return this.#real?.subarray(start, end);
    if (this.melts) return this.#melted(t, start, end);
    return this.#steps.get(t)?.[layer === "x" ? "x" : "x0"].subarray(start, end);
  }

  /**
   * alpha x0 + sigma eps in variance-preserving coordinates, -1 .. 1 as 0 .. 255.
   * @param {number} t @param {number} start @param {number} end
   */
  #melted(t, start, end) {
    const {scratch, header: {alpha, sigma, unit}} = this, pair = this.#pair;
    if (!alpha || !sigma || !pair) return undefined;
    const scale = 127.5 * unit / Math.hypot(alpha[t], sigma[t]), a = alpha[t] * scale, s = sigma[t] * scale;
    const noise = scratch.length;
    for (let i = start; i < end; i++) scratch[i] = a * pair[i] + s * pair[noise + i] + 127.5;
    return scratch.subarray(start, end);
  }
}
