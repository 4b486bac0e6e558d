// Time bars: the slider of a clock with its buttons, and the one of a second axis.

import {ICONS, button, end, find, put, range} from "../page/dom.js";
import {t} from "../page/words.js";

/** @typedef {import("../page/clocks.js").PageClock} PageClock */

const SPEEDS = [.25, .5, 1, 2, 4];
const options = SPEEDS.map(speed => `<option value="${speed}">${speed}×</option>`).join("");

/** The slider of a clock, alone. */
export class Track {
  /** @param {Element} element @param {PageClock} clock */
  constructor(element, clock) {
    this.clock = clock;
    /** @type {HTMLInputElement} */
    this.range = find(element, ".lab-bar .lab-range");
    this.range.addEventListener("input", () => clock.setT(+this.range.value));
  }

  /** What the time of the clock is. @param {Axis} _axis */
  name(_axis) {}

  /**
   * The thumb moves with every frame; texts change the layout, and nobody reads them that fast.
   * @param {boolean} _texts
   */
  read(_texts) {
    const {range, clock: {T, t}} = this, time = String(Math.round(t));
    if (range.max !== String(T)) range.max = String(T);
    if (range.value !== time) range.value = time;
  }

  /** From one share of the track to the other, something has been computed. @param {number} from @param {number} to */
  computed(from, to) {
    this.range.style.setProperty("--computed-from", String(from));
    this.range.style.setProperty("--computed-to", String(to));
  }
}

/** With buttons, numbers and speeds. Its owner has the buttons among its actions, and says how far a step goes. */
export class Bar extends Track {
  static markup = () => `<div class="lab-bar">
    ${button("toggle", ICONS.play, "play")}${button("back", ICONS.back)}${button("forward", ICONS.forward)}
    ${end("data", "data")}${range(t("time"))}${end("noise", "noise")}
    <span class="lab-now"><span data-text="axis"><var>t</var> =</span> <b data-number="t">0</b> /
      <span data-text="T">0</span></span>
    <select aria-label="${t("speed")}" title="${t("speed")}">${options}</select>
  </div>`;

  /** @param {Element} element @param {PageClock} clock */
  constructor(element, clock) {
    super(element, clock);
    /** @type {HTMLSelectElement} */
    this.pace = find(element, ".lab-bar select");
    this.toggle = find(element, ".lab-bar [data-do=toggle]");
    this.axis = find(element, "[data-text=axis]");
    this.ends = [...element.querySelectorAll(".lab-bar:not(.lab-shots) .lab-end")];
    this.now = find(element, "[data-number=t]");
    this.last = find(element, "[data-text=T]");
    this.pace.addEventListener("change", () => { clock.speed = +this.pace.value; });
  }

  /** @param {Axis} axis */
  name({name, ends}) {
    if (name === "t") this.axis.innerHTML = "<var>t</var> =";
    else put(this.axis, t(name));
    this.ends.forEach((node, i) => put(node, t(ends[i])));
  }

  /** @param {boolean} texts */
  read(texts) {
    super.read(texts);
    if (!texts) return;
    const {range, toggle, clock: {T, playing, speed}} = this, key = playing ? "pause" : "play";
    put(this.now, range.value);
    put(this.last, String(T));
    range.setAttribute("aria-valuetext", `t = ${range.value}`);
    if (toggle.dataset.key !== key) {
      Object.assign(toggle, {innerHTML: ICONS[key], title: t(key)}).setAttribute("aria-label", t(key));
      toggle.dataset.key = key;
    }
    this.pace.value = String(speed);
  }
}

/** The bar of a second axis: whole walks, one for each of its steps. */
export class ShotBar {
  static markup = () => `<div class="lab-bar lab-shots">
    <span class="lab-end" data-text="shots-from"></span>${range("")}<span class="lab-end" data-text="shots-to"></span>
    <span class="lab-now">
      <span data-text="shots-name"></span> <b data-number="shot">0</b> / <span data-text="steps">0</span>
    </span>
  </div>`;

  /** @param {Element} element @param {(shot: number) => void} choose */
  constructor(element, choose) {
    this.element = find(element, ".lab-shots");
    /** @type {HTMLInputElement} */
    this.range = find(element, ".lab-shots .lab-range");
    this.range.addEventListener("input", () => choose(+this.range.value));
  }

  /** @param {Axis} axis */
  name({name, last, ends: [from, to]}) {
    /** @type {Record<string, string>} */
    const texts = {"shots-from": t(from), "shots-to": t(to), "shots-name": t(name), steps: String(last)};
    for (const [key, text] of Object.entries(texts)) put(find(this.element, `[data-text=${key}]`), text);
    this.range.setAttribute("aria-label", t(name));
  }

  /** @param {{shots: {step: number}[], shot: number}} run */
  read({shots, shot}) {
    this.range.max = String(shots.length - 1);
    this.range.value = String(shot);
    put(find(this.element, "[data-number=shot]"), String(shots[shot].step));
  }
}
