// Runs of points: one stream, as far as it has arrived, and where every particle is at a time.

import {between} from "./levels.js";
import {clamp} from "./number.js";
import {int16, int32} from "./reader.js";

export const TRAIL_POINTS = 64;  // at most so many make a trail

/** What every run has: its header, the colours of its particles, the data to compare with. */
class Points {
  data = new Int16Array(0);
  count = 0;  // steps that have arrived
  order = 0;  // 1: towards noise, -1: towards data, 0: there is every t
  /** @type {Int32Array | null} of the steps, in the order in which they come */
  times = null;
  /** @type {Int32Array | null} evaluations up to each step */
  nfe = null;

  /** @param {Header} header */
  constructor(header) {
    this.header = header;
    this.unit = header.unit;
    this.n = header.n;
    this.colours = new Uint8Array(header.n);
  }

  /** Whether there is more to show now. @param {string} kind @param {Uint8Array} payload */
  take(kind, payload) {
    if (kind === "COLOURS") this.colours = payload.slice();
    else if (kind === "CLOUD") this.data = int16(payload);
    return false;
  }

  get there() { return this.count > 0; }

  /** The steps that have arrived, or null where there is every t. */
  get steps() { return this.times && [...this.times.subarray(0, this.count)]; }

  /** The data, [m, 2]. */
  truth() { return Float32Array.from(this.data, q => q * this.unit); }
}

/** The closed form: x0 and eps of every particle, hence every t. */
export class ClosedForm extends Points {
  /** @type {Int16Array | undefined} [2, n, 2] */
  #pair;

  /** @param {string} kind @param {Uint8Array} payload */
  take(kind, payload) {
    if (kind !== "PAIR") return super.take(kind, payload);
    [this.#pair, this.count] = [int16(payload), 1];
    return true;
  }

  /** @param {string} layer */
  has(layer) { return layer === "trails" || (layer === "data" && this.data.length > 0); }

  /** @param {number} t */
  at(t) { return t; }

  /** The index of a step; here all are one. */
  before() { return 0; }

  /**
   * Particles [first, last) at t into out from o on: alpha x0 + sigma eps, in variance-preserving coordinates.
   * @param {number} t @param {Float32Array} out
   */
  positions(t, out, first = 0, last = this.n, o = 0) {
    const {n, header: {alpha, sigma}} = this, q = this.#pair;
    if (!alpha || !sigma || !q) return out;
    const signal = between(alpha, t), noise = between(sigma, t), scale = this.unit / Math.hypot(signal, noise);
    const a = signal * scale, s = noise * scale;
    for (let i = 2 * first, j = 2 * (first + n); i < 2 * last; i++, j++, o++) out[o] = a * q[i] + s * q[j];
    return out;
  }

  /** There are none: nobody estimates what is known. @param {number} _t @param {Float32Array} out */
  estimates(_t, out) { return out; }

  /**
   * The way of particle i from data to t into out; returns its number of points.
   * @param {number} i @param {number} t @param {Float32Array} out
   */
  trail(i, t, out) {
    for (let k = 0; k <= TRAIL_POINTS; k++) this.positions(t * k / TRAIL_POINTS, out, i, i + 1, 2 * k);
    return TRAIL_POINTS + 1;
  }
}

/** A walk, step by step: layers of int16 [n, 2] at stored times. */
export class Walk extends Points {
  times;

  /** @param {Header} header */
  constructor(header) {
    super(header);
    const {layers, times = []} = header, steps = times.length;
    this.order = Math.sign(times[steps - 1] - times[0]) || 1;
    this.times = new Int32Array(steps);
    this.nfe = new Int32Array(steps);
    /** @type {Int16Array[]} */
    this.frames = layers.map(() => new Int16Array(steps * 2 * this.n));
  }

  /** @param {string} kind @param {Uint8Array} payload */
  take(kind, payload) {
    if (kind !== "FRAME" || !this.nfe) return super.take(kind, payload);
    const {n, count} = this;
    [this.times[count], this.nfe[count]] = int32(payload, 2);
    const layers = int16(payload, 8);
    this.frames.forEach((frames, k) => frames.set(layers.subarray(2 * n * k, 2 * n * (k + 1)), 2 * n * count));
    this.count++;
    return true;
  }

  /** @param {string} layer */
  has(layer) {
    if (layer === "data") return this.data.length > 0;
    return layer === "trails" || this.header.layers.includes(layer);
  }

  get newest() { return this.times[this.count - 1]; }

  /** The time nearest to t that can be shown. @param {number} t */
  at(t) { return this.order > 0 ? Math.min(t, this.newest) : Math.max(t, this.newest); }

  /** Index of the last stored step that comes before t, or at it, on the way that the run goes. @param {number} t */
  before(t) {
    let low = 0, high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.order * this.times[middle] <= this.order * t) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * Particles [first, last) at t into out from o on: on the straight line between two stored steps.
   * @param {number} t @param {Float32Array} out
   */
  positions(t, out, first = 0, last = this.n, o = 0) {
    const {n, unit, times, frames: [q]} = this, k = this.before(t), next = Math.min(k + 1, this.count - 1);
    const f = next > k ? clamp((t - times[k]) / (times[next] - times[k]), 0, 1) : 0;
    const a = (1 - f) * unit, b = f * unit, end = 2 * (k * n + last);
    for (let i = 2 * (k * n + first), j = 2 * (next * n + first); i < end; i++, j++, o++) out[o] = a * q[i] + b * q[j];
    return out;
  }

  /**
   * What the network takes for the data at the last step before t, into out.
   * @param {number} t @param {Float32Array} out
   */
  estimates(t, out) {
    const q = this.frames[this.header.layers.indexOf("x0")], start = this.before(t) * 2 * this.n;
    for (let i = 0; i < 2 * this.n; i++) out[i] = q[start + i] * this.unit;
    return out;
  }

  /**
   * The way of particle i from its start to t into out; returns its number of points.
   * @param {number} i @param {number} t @param {Float32Array} out
   */
  trail(i, t, out) {
    const last = this.before(t), stride = Math.max(1, last / TRAIL_POINTS);
    let points = 0;
    for (let k = 0; k < last; k += stride) this.positions(this.times[Math.floor(k)], out, i, i + 1, 2 * points++);
    this.positions(t, out, i, i + 1, 2 * points++);
    return points;
  }
}

/** Whole walks along a second axis, of a network that is learning, say; one of them is on show. */
export class Shots extends Walk {
  /** @type {{step: number, walk: Int16Array}[]} */
  shots = [];
  shot = -1;

  /** @param {Header} header */
  constructor(header) {
    super({...header, layers: []});
    Object.assign(this, {header, order: 1, nfe: null, times: Int32Array.from(header.times ?? [])});
  }

  /**
   * A newer walk takes the place of the newest one, if that is on show.
   * @param {string} kind @param {Uint8Array} payload
   */
  take(kind, payload) {
    if (kind !== "SHOT") return super.take(kind, payload);
    this.shots.push({step: int32(payload, 1)[0], walk: int16(payload, 8)});
    const last = this.shots.length - 1;
    if (this.shot === last - 1) this.select(last);
    return true;
  }

  /** @param {number} shot */
  select(shot) {
    this.shot = shot;
    this.frames = [this.shots[shot].walk];
    this.count = this.times.length;
  }
}

/** @param {Header} header @returns {ClosedForm | Walk | Shots} */
export function runOf(header) {
  const Run = {mix: ClosedForm, frames: Walk, shots: Shots}[header.mode];
  if (!Run) throw new Error(`${header.mode} is no run of points`);
  return new Run(header);
}
