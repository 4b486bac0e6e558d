// Numbers and the formula under a picture, its title, and what was measured of it.

import {AT, find, make, put, sub} from "../page/dom.js";
import {t, title} from "../page/words.js";
import {coefficients, levelAt} from "../pure/levels.js";
import {number} from "../pure/number.js";

/**
 * @typedef {{name: string, value: number | null, unit?: string, low?: number, high?: number, n?: number | null,
 *   interval?: [number, number], p?: number}} Measured
 */

const LABELS = {
  alpha_bar: sub("ᾱ", AT), snr: "SNR", lam: sub("λ", AT), beta: sub("β", AT), nfe: "NFE",
  alpha_bar_T: "<var>ᾱ<sub>T</sub></var>", snr_T: "SNR<sub><var>T</var></sub>",
  t: "t", alpha: "α", sigma: "σ", plain_lam: "λ",
};
const DIGITS = {alpha_bar: 4, snr: 3, lam: 2, beta: 4};

/** The closed form; what the network's estimates say of x_t; one step of the chain. */
const FORMULAS = {
  mix: `${sub("x", AT)} = <b></b> ${sub("x", 0)} + <b></b> <var>ε</var>`,
  reverse: `${sub("x", AT)} = <b></b> ${sub("x̂", 0)} + <b></b> <var>ε̂</var>`,
  forward: `${sub("x", AT)} = <b></b> ${sub("x", `${AT}−1`)} + <b></b> <var>z</var>`,
};

/** @param {Header} header @returns {keyof typeof FORMULAS} */
export const formulaOf = ({mode, direction}) => mode === "mix" ? "mix" : mode === "frames" ? direction : "reverse";

/** Place for the title of a picture, on it. */
export const TITLE =
  `<div class="lab-title"><span class="lab-badge" hidden></span> <span data-text="title"></span></div>`;

export class Readout {
  /** @param {(keyof typeof LABELS)[]} keys @param {string} [more] markup */
  static markup = (keys, more = "") => `<div class="lab-readout">
    <span class="lab-formula"></span>
    ${keys.map(key => `<span>${LABELS[key]} <b data-number="${key}"></b></span>`).join("")}${more}
    <span data-text="note"></span>
  </div>
  <div class="lab-metrics"></div>`;

  /** @param {Element} element */
  constructor(element) {
    /** @type {Record<string, HTMLElement>} */
    this.texts = {};
    for (const node of element.querySelectorAll("[data-text], [data-number]")) {
      const {dataset} = /** @type {HTMLElement} */ (node);
      this.texts[dataset.text ?? dataset.number ?? ""] = /** @type {HTMLElement} */ (node);
    }
    this.badge = find(element, ".lab-title .lab-badge");
    this.formula = find(element, ".lab-formula");
    this.metrics = find(element, ".lab-metrics");
    this.kind = /** @type {keyof typeof FORMULAS} */ ("mix");
  }

  /** @param {string} key @param {string} text */
  put(key, text) { put(this.texts[key], text); }

  /** A number with its label. @param {string} key @param {boolean} there */
  show(key, there) {
    const item = this.texts[key]?.parentElement;
    if (item) item.hidden = !there;
  }

  /** A new run: the formula that belongs to it, and only the numbers that it has. @param {Header} header */
  begin(header) {
    this.kind = formulaOf(header);
    this.formula.innerHTML = FORMULAS[this.kind];
    const known = levelAt(header, 0) !== null;
    this.formula.hidden = !known;
    for (const key of ["alpha_bar", "snr", "lam", "beta", "alpha_bar_T", "snr_T"]) this.show(key, known);
    const last = levelAt(header, header.axis.last);
    if (!last || !("snr_T" in this.texts)) return;
    this.put("alpha_bar_T", number(last.alpha_bar, 4));
    this.put("snr_T", number(last.snr, 4));
  }

  /** Everything that a schedule says of the step on show. @param {Header} header @param {number} t */
  levels(header, t) {
    const level = levelAt(header, t);
    if (!level) return;
    for (const [key, digits] of Object.entries(DIGITS)) {
      if (key in this.texts) this.put(key, number(level[/** @type {keyof typeof DIGITS} */ (key)], digits));
    }
    const numbers = coefficients(header, this.kind, t);
    this.formula.querySelectorAll("b").forEach((node, i) => put(node, number(numbers[i])));
  }

  /**
   * That a path grows or shrinks its points, and is drawn without that; "" where it does not.
   * @param {Header} header @param {number} step
   */
  scaled(header, step) {
    const scale = levelAt(header, step)?.scale ?? 1;
    return Math.abs(scale - 1) > 1e-3 ? t("scaled", {scale: number(scale, 2)}) : "";
  }

  /** @param {string[]} notes */
  note(notes) { this.put("note", notes.filter(Boolean).join(" · ")); }

  /** @param {Header} header @param {Measured[]} [rows] */
  head({title: keys, badge, metrics = []}, rows = metrics) {
    this.put("title", title(keys));
    this.badge.hidden = !badge;
    this.badge.className = `lab-badge ${badge}`;
    put(this.badge, t(badge));
    this.metrics.replaceChildren(...rows.map(measured));
  }

  get title() { return this.texts.title.textContent ?? ""; }
}

/** A line for a measurement, and in brackets how far it can be trusted. @param {Measured} measurement */
function measured({name, value, unit, low, high, n, interval, p}) {
  const trust = [
    name === "excess_nll" && (value ?? 0) < (low ?? NaN) && t("concentrated"),
    interval && t("interval", {low: number(interval[0]), high: number(interval[1])}),
    p != null && t("p_value", {p: number(p, 2)}),
    low != null && high != null && t("perfect_range", {low: number(low), high: number(high)}),
    n != null && `n = ${n}`,
  ].filter(Boolean).join(t("comma"));
  const figure = Number.isInteger(value) ? String(value) : number(value ?? NaN);
  const words = [unit ? ` ${unit}` : "", trust && t("brackets", {words: trust})];
  const means = {title: low == null ? "" : t("perfect_range_means")};
  return make("span", means, `${t(name)} `, make("b", {textContent: figure}), ...words);
}
