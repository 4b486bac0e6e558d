// Points on a canvas over Plotly's plot area, pixel by pixel: 60 frames a second for 10,000 of them, without a GPU.

import {palette} from "../page/config.js";
import {make} from "../page/dom.js";
import {css} from "../page/theme.js";
import {pixel} from "../pure/colour.js";
import {clamp} from "../pure/number.js";
import {TRAIL_POINTS} from "../pure/points.js";
import {splat, stamps} from "./dots.js";

/** @typedef {ReturnType<typeof import("../pure/points.js").runOf>} Run */
/** @typedef {{_offset: number, _length: number, range: number[]}} Axis  As Plotly has it. */

const TRAILS = 40;           // particles that leave one
export const DIMMED = .45;   // opacity of particles under their trails
const NEAR = 12;             // pixels from a particle that still mean it

/** The colour of what a run takes for the data. @param {Run} run */
export const estimateColour = run => css(run.header.badge === "exact" ? "--lab-exact" : "--lab-learned");

export class Painter {
  canvas = make("canvas", {className: "lab-canvas"});
  ring = make("div", {className: "lab-ring", hidden: true});
  /** @type {Run | null} */
  run = null;
  /** @type {Set<string>} what a person wants to see beside the particles */
  layers = new Set();
  followed = -1;  // a particle, -1 for none
  radius = 0;     // of a dot, in CSS pixels
  /** @type {import("./dots.js").View | null} from the plane to the canvas; null as long as there is no room */
  view = null;
  xy = new Float32Array(0);                          // the particles on show
  line = new Float32Array(2 * (TRAIL_POINTS + 2));   // scratch for a trail
  #x0 = new Float32Array(0);
  /** @type {number[]} particles with a trail, evenly chosen */
  #trailing = [];
  /** @type {Record<string, Uint32Array>} colours as pixels */
  #tint = {};
  #pad = 0;  // a margin of the image that saves clipping every dot
  #image = new ImageData(1, 1);
  #pixels = new Uint32Array(1);
  #background = new Uint32Array(1);  // what does not move

  /** @param {HTMLElement} area with Plotly's figure */
  constructor(area) {
    this.ctx = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    area.append(this.canvas, this.ring);  // Plotly puts its own before them
  }

  /** @param {Run} run */
  begin(run) {
    const {n} = this.run = run, trails = Math.min(TRAILS, n);
    this.xy = new Float32Array(2 * n);
    this.#x0 = new Float32Array(2 * n);
    this.#trailing = Array.from({length: trails}, (_, k) => Math.floor((k + .5) * n / trails));
    if (this.followed >= n) this.followed = -1;
    this.dress();
  }

  /** The theme has changed, or what its colours mean. */
  dress() {
    /** @param {number} alpha */
    const particles = alpha => Uint32Array.from(palette, colour => pixel(colour, alpha));
    this.#tint = {
      particles: particles(255), dimmed: particles(255 * DIMMED), data: Uint32Array.of(pixel(css("--lab-data"), 90)),
      x0: this.run ? Uint32Array.of(pixel(estimateColour(this.run), 150)) : new Uint32Array(1),
    };
  }

  /** @param {string} layer */
  shows(layer) { return this.run !== null && this.layers.has(layer) && this.run.has(layer); }

  get trails() { return [...this.shows("trails") ? this.#trailing : [], ...this.followed >= 0 ? [this.followed] : []]; }

  /** Takes over plot area and ranges, and paints what does not move. @param {{xaxis: Axis, yaxis: Axis}} axes */
  fit({xaxis, yaxis}) {
    const ratio = devicePixelRatio || 1;
    const width = Math.round(xaxis._length * ratio), height = Math.round(yaxis._length * ratio);
    if (!(width > 0 && height > 0)) return;
    const n = this.run?.n ?? 1000, room = clamp(Math.min(xaxis._length, yaxis._length) / 480, .75, 1.3);
    this.radius = clamp(3 * (1000 / n) ** .25, 1.5, 3) * room * (parseFloat(css("--lab-dot")) || 1);
    this.#resize(width, height, Math.ceil(this.radius * ratio + 1));
    Object.assign(this.canvas.style, {left: `${xaxis._offset}px`, top: `${yaxis._offset}px`,
      width: `${xaxis._length}px`, height: `${yaxis._length}px`});
    const [left, right] = xaxis.range, [bottom, top] = yaxis.range;
    const kx = width / (right - left), ky = height / (bottom - top);
    const dots = stamps(width, this.#pad, this.radius * ratio);
    this.view = {kx, bx: -kx * left, ky, by: -ky * top, width, height, pad: this.#pad, ratio, dots};
    this.#background.fill(0);
    if (this.run && this.shows("data")) {
      const points = this.run.truth();
      splat(this.#background, this.view, points, points.length / 2, this.#tint.data);
    }
    this.placeRing();
  }

  /** @param {number} width @param {number} height @param {number} pad */
  #resize(width, height, pad) {
    const {canvas} = this, [wide, high] = [width + 2 * pad, height + 2 * pad];
    this.#pad = pad;
    if (canvas.width === width && canvas.height === height && this.#image.width === wide) return;
    [canvas.width, canvas.height] = [width, height];
    this.#image = new ImageData(wide, high);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
    this.#background = new Uint32Array(this.#pixels.length);
  }

  /** @param {number} t */
  paint(t) {
    const {run, view, ctx, xy} = this, pixels = this.#pixels, tint = this.#tint;
    if (!run || !view) return;
    run.positions(t, xy);
    pixels.set(this.#background);
    if (this.shows("x0")) splat(pixels, view, run.estimates(t, this.#x0), run.n, tint.x0);
    splat(pixels, view, xy, run.n, this.shows("trails") ? tint.dimmed : tint.particles, run.colours);
    ctx.putImageData(this.#image, -view.pad, -view.pad);
    ctx.lineWidth = 1.5 * view.ratio;
    for (const i of this.trails) this.#trail(run, view, i, t);
    this.placeRing();
  }

  /** @param {Run} run @param {import("./dots.js").View} view @param {number} i @param {number} t */
  #trail(run, {kx, bx, ky, by}, i, t) {
    const {ctx, line} = this, points = run.trail(i, t, line);
    ctx.strokeStyle = palette[run.colours[i]];
    ctx.beginPath();
    for (let k = 0; k < points; k++) ctx.lineTo(kx * line[2 * k] + bx, ky * line[2 * k + 1] + by);
    ctx.stroke();
  }

  placeRing() {
    const {ring, canvas, followed, view, xy} = this;
    ring.hidden = followed < 0 || !view;
    if (ring.hidden || !view) return;
    const {kx, bx, ky, by, ratio} = view;
    const x = (kx * xy[2 * followed] + bx) / ratio, y = (ky * xy[2 * followed + 1] + by) / ratio;
    ring.style.transform = `translate(${parseFloat(canvas.style.left) + x}px, ${parseFloat(canvas.style.top) + y}px)`;
  }

  /** The particle near a place on the screen, or -1. @param {{clientX: number, clientY: number}} place */
  pick({clientX, clientY}) {
    const {run, view, xy} = this, {left, top} = this.canvas.getBoundingClientRect();
    if (!run?.there || !view) return -1;
    const {kx, bx, ky, by, ratio} = view, x = (clientX - left) * ratio, y = (clientY - top) * ratio;
    let near = -1, best = (NEAR * ratio) ** 2;
    for (let i = 0; i < run.n; i++) {
      const d = (kx * xy[2 * i] + bx - x) ** 2 + (ky * xy[2 * i + 1] + by - y) ** 2;
      if (d < best) [near, best] = [i, d];
    }
    return near;
  }
}
