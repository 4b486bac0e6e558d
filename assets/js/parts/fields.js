// Fields: arrows over the plane, a panel for each view, a row for each model. Every noise level that can be shown was
// computed; nothing is drawn in between. With a bar its clock's t is the level; without, it shows the one nearest to
// the t of somebody else's.

import {end, find, make, put, range} from "../page/dom.js";
import {onTheme} from "../page/theme.js";
import {t} from "../page/words.js";
import {Arrows} from "../pieces/arrows.js";
import {Track} from "../pieces/bar.js";
import {Feed} from "../pieces/feed.js";
import {Player} from "../pieces/player.js";
import {Fields as Run} from "../pure/fields.js";
import {levelAt} from "../pure/levels.js";
import {clamp, number} from "../pure/number.js";

/** @type {Record<string, string>} */
const SYMBOLS = {
  eps: "ε̂", x0: "x̂₀", score: "∇ log p", v: "v̂", drift: "−½β x", diffusion: "−½β ∇ log p",
  current: "−½β (x + ∇ log p)", unmixing: "½β x + β ∇ log p",
};
const READ = 80;  // ms: texts change the layout, and nobody reads them faster

/** @param {string} key @param {string} label */
const item = (key, label) => `<span>${label} <b data-number="${key}"></b></span>`;

/** @param {Props} props */
const markup = ({bar = true}) => `<section class="lab-stage lab-fields">
  ${Feed.markup()}
  <div class="lab-grid"></div>
  <div class="lab-bar"${bar ? "" : " hidden"}>
    ${end("data", "data")}${range(t("noise_level"))}${end("noise", "noise")}
  </div>
  <div class="lab-readout">
    ${item("t", "t")}${item("lam", "λ")}${item("alpha", "α")}${item("sigma", "σ")}${item("residual", t("residual"))}
  </div>
  <div class="lab-point" aria-live="polite"></div>
</section>`;

/** @typedef {{row: number, view: string, column: number, badge: string, judged: boolean, arrows: Arrows}} Panel */

/** @param {number[]} xs */
const pair = xs => `(${xs.map(x => number(x, 2)).join(", ")})`;

/** @extends {Player<Run>} */
class Fields extends Player {
  node = -1;  // under the pointer
  /** @type {Panel[]} */
  panels = [];
  #reading = 0;  // a timer

  /** @param {HTMLElement} element @param {Props} props */
  constructor(element, props) {
    super(element, props, markup(props), Track);
    this.grid = find(element, ".lab-grid");
    this.point = find(element, ".lab-point");
    this.texts = Object.fromEntries([...element.querySelectorAll("[data-number]")].map(node =>
      [/** @type {HTMLElement} */ (node).dataset.number, /** @type {HTMLElement} */ (node)]));
    for (const type of /** @type {const} */ (["pointermove", "pointerdown"])) {
      this.grid.addEventListener(type, event => this.seek(event));
    }
    new ResizeObserver(() => this.measure()).observe(this.grid);
    onTheme(() => this.measure(), element);
  }

  // ---- the stream

  /** @param {Header} header */
  runOf(header) { return new Run(header); }

  get ready() { return this.run !== null && this.run.count === this.run.header.alpha?.length; }

  /** @param {Run} run */
  begin({header: {axis, start}}) {
    const {own, clock, draw, value} = this;
    if (own) clock.begin(draw, {T: axis.last, direction: "forward"}, {t: value.t ?? start ?? 0, play: false});
  }

  /**
   * A panel for each view of each model; in the last row, colours show the density, else the error.
   * @param {Run} run
   */
  prepare({rows, views}) {
    this.node = -1;
    this.grid.dataset.rows = String(rows.length);
    this.panels = rows.flatMap((badge, row) => views.map((view, column) =>
      ({row, view, column, badge, judged: row < rows.length - 1, arrows: new Arrows(make("canvas", {role: "img"}))})));
    this.grid.replaceChildren(...this.panels.map(({view, badge, arrows}) => {
      const kind = `<span class="lab-badge ${badge}">${t(badge)}</span>`, symbol = `<var>${SYMBOLS[view]}</var>`;
      const caption = make("figcaption", {innerHTML: `${kind} ${t(`view_${view}`)} ${symbol}`});
      return make("figure", {}, caption, arrows.canvas);
    }));
    this.measure();
  }

  arrived() {
    this.stale = true;
    super.arrived();
  }

  // ---- a frame

  get paintable() { return this.run?.levels[this.run.at(this.clock.t)] !== undefined; }

  measure() {
    for (const {arrows, badge, judged} of this.panels) {
      arrows.measure(judged ? "--lab-error" : "--lab-data", `--lab-${badge}`);
    }
    this.repaint();
  }

  /** @param {number} shown */
  paint(shown) {
    const {run, node} = this, level = run?.levels[shown];
    if (!run || !level) return;
    for (const {arrows, row, column, judged} of this.panels) {
      if (!arrows.width) continue;
      const heat = judged ? level.errors[column] : level.density;
      arrows.draw(heat, level.vectors[row][column], run.unit, run.side, node);
    }
  }

  /** @param {number} _shown */
  readNumbers(_shown) {
    this.#reading ||= window.setTimeout(() => {
      this.#reading = 0;
      if (this.run) this.#read(this.run);
    }, READ);
  }

  readHeader() {
    if (this.drawn >= 0) this.readNumbers(this.drawn);
  }

  /** @param {Run} run */
  #read({header}) {
    const {drawn, texts} = this, level = levelAt(header, drawn), {residual} = header;
    if (!level || drawn < 0) return;
    put(texts.lam, number(level.lam, 2));
    put(texts.alpha, number(level.alpha));
    put(texts.sigma, number(level.sigma));
    put(texts.t, String(header.times?.[drawn]));
    put(texts.residual, number(residual ?? NaN));
    for (const [key, there] of Object.entries({t: !this.own, residual: residual !== undefined})) {
      /** @type {HTMLElement} */ (texts[key].parentElement).hidden = !there;
    }
    this.describe();
    this.#readPoint();
    if (!this.clock.playing) this.writeAddress();
  }

  describe() {
    const {run, drawn, panels} = this;
    if (!run) return;
    const {error} = run.header, lam = number(levelAt(run.header, drawn)?.lam ?? NaN, 2);
    for (const {arrows, view, badge} of panels) {
      const what = {view: t(`view_${view}`), row: t(badge), lam};
      const percent = error && number(100 * error[view][drawn], 1);
      const words = percent ? t("alt_field", {...what, error: percent}) : t("alt_drift", what);
      arrows.canvas.setAttribute("aria-label", words);
    }
  }

  // ---- the point under the pointer

  /** @param {PointerEvent} event */
  seek(event) {
    const {run} = this, canvas = /** @type {Element} */ (event.target).closest("canvas");
    if (!canvas || !run) return;
    const {left, top, width} = canvas.getBoundingClientRect(), {side} = run;
    /** @param {number} x */
    const index = x => clamp(Math.floor(x / width * side), 0, side - 1);
    const node = index(width - (event.clientY - top)) * side + index(event.clientX - left);
    if (node === this.node) return;
    this.node = node;
    this.repaint();
  }

  /** What the fields say there: of the four views, how they follow from one another. */
  #readPoint() {
    const {run, node, drawn} = this, level = run?.levels[drawn];
    if (!run || !level || node < 0) return this.#tell([run ? t("hover_field") : ""]);
    const x = run.place(node), {views} = run;
    if (run.rows.length > 1) return this.#tell(this.#derivation(run, level, x));
    this.#tell([`x = ${pair(x)}`, ...views.map((view, column) => {
      const vector = run.vector(level, 0, column, node).map(c => c.toExponential(1));
      return `${SYMBOLS[view]} = ${vector.join(", ")}`;
    })]);
  }

  /** @param {Run} run @param {import("../pure/fields.js").Level} level @param {number[]} x */
  #derivation(run, level, x) {
    const {views, header} = run, {node, drawn} = this, {alpha = NaN, sigma = NaN} = levelAt(header, drawn) ?? {};
    /** The vector of a view; x0 is drawn as the way from x to the estimate. @param {number} row @param {string} view */
    const at = (row, view) =>
      run.vector(level, row, views.indexOf(view), node).map((c, i) => view === "x0" ? c + x[i] : c);
    const [x0, eps, score, v] = ["x0", "eps", "score", "v"].map(view => pair(at(0, view)));
    const truth = views.map(view => `${SYMBOLS[view]} ${pair(at(1, view))}`), a = number(alpha), s = number(sigma);
    return [
      `x = ${pair(x)} · x̂₀ = ${x0}`,
      `ε̂ = (x − α x̂₀) / σ = (${pair(x)} − ${a} · ${x0}) / ${s} = ${eps}`,
      `∇ log p = −ε̂ / σ = −${eps} / ${s} = ${score}`,
      `v̂ = α ε̂ − σ x̂₀ = ${a} · ${eps} − ${s} · ${x0} = ${v}`,
      `${t("exact")}: ${truth.join(" · ")}`,
    ];
  }

  /** @param {string[]} lines */
  #tell(lines) { this.point.replaceChildren(...lines.map(textContent => make("div", {textContent}))); }

  /**
   * The vectors of a view at a level, [side², 2]: for tests.
   * @param {string} row @param {string} view @param {number} index
   */
  field(row, view, index) {
    const {run} = this, level = run?.levels[index];
    if (!run || !level) return [];
    const column = run.views.indexOf(view), unit = run.unit * level.scale[column];
    return Array.from(level.vectors[run.rows.indexOf(row)][column], q => q * unit);
  }
}

/** @param {HTMLElement} element @param {Props} props @param {Gradio} gradio */
export const mount = (element, props, gradio) => new Fields(element, props).start(gradio);
