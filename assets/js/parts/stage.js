// Stage: moving points under a time bar. A canvas paints them; at rest Plotly shows what is on it.

import {goOn} from "../page/address.js";
import {config} from "../page/config.js";
import {chip, find, fullscreen, make} from "../page/dom.js";
import {feed} from "../page/lab.js";
import {opened} from "../page/plots.js";
import {t} from "../page/words.js";
import {Bar, ShotBar} from "../pieces/bar.js";
import {Feed} from "../pieces/feed.js";
import {Painter} from "../pieces/painter.js";
import {Player} from "../pieces/player.js";
import {Plot} from "../pieces/plot.js";
import {Readout, TITLE, formulaOf} from "../pieces/readout.js";
import {traces} from "../pieces/traces.js";
import {number} from "../pure/number.js";
import {Shots, runOf} from "../pure/points.js";

/** @typedef {ReturnType<typeof runOf>} Run */

const LAYERS = ["data", "x0", "trails"], FIRST_LAYERS = "data";
const MOVING = 12;  // frames, a fifth of a second: then plotly.js may start

const SERIES = `<span><span data-text="series_name"></span> <b data-number="series"></b></span>`;
const chips = LAYERS.map(layer =>
  chip(t(`layer_${layer}`), `data-layer="${layer}" title="${t(`layer_${layer}_title`)}"`)).join("");

/** @param {Props} props */
const markup = ({bar = true, shots}) => `<section class="lab-stage lab-empty${bar ? "" : " lab-bare"}">
  <div class="lab-picture-area"><div class="lab-plot" role="img"></div>${TITLE}${Feed.markup()}</div>
  ${Bar.markup()}
  ${shots ? ShotBar.markup() : ""}
  <div class="lab-tools">${chips}${fullscreen()}</div>
  ${Readout.markup(["alpha_bar", "snr", "lam", "beta", "nfe", "alpha_bar_T", "snr_T"], SERIES)}
  <div class="lab-links" hidden></div>
</section>`;

/** @extends {Player<Run>} */
class Stage extends Player {
  /** @type {Set<string>} what a person wants to see */
  layers = new Set([FIRST_LAYERS]);
  #rested = true;  // Plotly has what is on show

  /** @param {HTMLElement} element @param {Props} props */
  constructor(element, props) {
    super(element, props, markup(props));
    this.gd = find(element, ".lab-plot");
    this.links = find(element, ".lab-links");
    this.readout = new Readout(element);
    this.painter = new Painter(this.gd);
    this.shotBar = props.shots ? new ShotBar(element, shot => this.choose(shot)) : null;
    if (props.shots) this.shotBar?.name(props.shots);
    this.plot = new Plot(this.gd, {
      fit: () => this.fit(),
      dress: () => {
        this.painter.dress();
        this.repaint();
      },
      still: () => this.#still(),
      name: () => `${props.name}-t${this.clock.t}`,
    });
    this.actions.stop = () => this.feed.stop(!(this.run instanceof Shots));  // a training cannot be taken up again
    find(element, ".lab-picture-area").addEventListener("pointerdown", event => this.pressed(event), true);
    document.addEventListener("lab-layers", ({detail}) => {  // stages that move together show the same
      if (detail.clock === this.clock) this.showLayers(detail.layers);
    });
  }

  // ---- the stream

  load() {
    super.load();
    const {layers, links = []} = this.value;
    if (layers) this.showLayers(layers);
    else this.readLayers();
    if (!this.run && this.props.hint) this.readout.put("title", t(this.props.hint));
    this.describe();
    this.links.replaceChildren(...links.map((/** @type {[string, string]} */ [key, href]) =>
      make("a", {href: new URL(href, `${config.root}/`).href, textContent: t(key)})));
    this.offer();
    this.plot.ready().catch(() => {});  // the feed says what went wrong, and tries again
  }

  ask() { this.fetch(); }
  needed() { return this.plot.ready(); }

  /** @param {Header} header @returns {Run} */
  runOf(header) { return runOf(header); }

  /** @param {Partial<Header>} part */
  told(part) {
    super.told(part);
    for (const [name, series] of Object.entries(part.charts ?? {})) feed(name, series);
  }

  /** @param {string} seconds */
  progress(seconds) {
    const run = this.incoming;
    if (!run || run.header.done) return "";
    const {at, left = NaN, shots} = run.header;
    if (at !== undefined) return t("learning_progress", {k: at, of: shots?.last, left: number(left, 0)});
    if (!run.times || !run.there) return "";
    return t("computing", {k: run.count, of: run.times.length, nfe: run.nfe?.[run.count - 1], seconds});
  }

  ended() { this.offer(); }

  /** Where to go with a network that has stopped learning. */
  offer() { this.links.hidden = !this.value.links || this.feed.request !== null; }

  /** @param {Run} run */
  prepare(run) {
    const {value, painter, plot, readout, shotBar} = this, {header} = run;
    painter.followed = value.followed ?? painter.followed;
    painter.begin(run);
    plot.view = header.view;
    readout.begin(header);
    readout.show("nfe", header.direction === "reverse");
    if (header.shots) shotBar?.name(header.shots);
    if (!plot.zoomed) plot.goHome();
  }

  arrived() {
    super.arrived();
    if (!(this.run instanceof Shots)) return;
    this.shotBar?.read(this.run);
    if (this.run.header.per_shot) this.readHeader();
    this.repaint();
  }

  /** Another walk along the second axis. @param {number} shot */
  choose(shot) {
    if (!(this.run instanceof Shots)) return;
    this.run.select(shot);
    this.shotBar?.read(this.run);
    if (this.run.header.per_shot) this.readHeader();
    this.repaint();
  }

  revisit() {
    this.painter.followed = this.value.followed ?? this.painter.followed;
    super.revisit();
  }

  // ---- a frame

  get paintable() { return this.painter.view !== null; }

  fit() {
    this.painter.fit(this.plot.axes);
    this.stale = true;
    if (this.plot.moving) this.clock.wake();
  }

  repaint() {
    this.#rested = false;
    this.fit();
    this.clock.wake();
  }

  /** @param {number} step */
  paint(step) {
    this.#rested = false;
    this.painter.paint(step);
    this.plot.move();
    if (this.painted === MOVING) opened();
  }

  /** @param {number} shown */
  readNumbers(shown) {
    const {run, readout, clock} = this;
    if (!run) return;
    const {header} = run, {series} = header, step = Math.round(shown), notes = [];
    readout.levels(header, step);
    if (run.nfe) readout.put("nfe", String(run.nfe[run.before(shown)]));
    if (series) readout.put("series", number(series.value[run.before(shown)], 2));
    if (formulaOf(header) !== "forward") notes.push(readout.scaled(header, step));
    if (shown !== clock.t) notes.push(t("reached", {t: step}));
    else if (!clock.playing && run.times && run.times[run.before(step)] !== step) notes.push(t("between"));
    const {followed: i, xy} = this.painter;
    if (i >= 0) notes.push(`${t("particle")} ${i}: (${number(xy[2 * i], 2)}, ${number(xy[2 * i + 1], 2)})`);
    readout.note(notes);
  }

  readHeader() {
    const {run, readout, value} = this;
    if (!run) return;
    const {header} = run, {series, per_shot: perShot} = header, shot = run instanceof Shots ? run.shot : 0;
    readout.head(header, perShot?.map(({name, value}) => ({name, value: value[shot]})));
    readout.show("series", series !== undefined);
    if (series) readout.put("series_name", t(series.name));
    readout.texts.title.style.boxShadow = value.ink ? `0 3px 0 var(--lab-${value.ink})` : "";
    this.readLayers();
    this.describe();
  }

  // ---- at rest

  async settle() {
    // What still comes would be drawn twice, and Plotly takes long.
    if (this.feed.request || !this.plot.there) this.restLater();
    else await this.#handOver();
  }

  async #handOver() {
    const at = this.painted, {run, painter, drawn} = this;
    if (run) this.#rested = await this.plot.settle(traces(run, painter, drawn), () => at === this.painted);
  }

  /** The step on show, drawn and handed to Plotly at once. */
  async #still() {
    this.clock.pause();
    this.draw(performance.now());
    this.describe();
    await this.#handOver();
  }

  get idle() { return super.idle && this.#rested; }

  positions(/** @type {number} */ step) { return this.run?.positions(step, new Float32Array(2 * this.run.n)); }
  get shots() { return this.run instanceof Shots ? this.run.shots.length : 0; }

  describe() {
    const {run, clock, readout, gd} = this, header = run?.header;
    gd.setAttribute("aria-label", header ? t("alt", {...header, T: header.axis.last, title: readout.title,
      t: Math.round(clock.t), badge: t(header.badge)}) : t("empty"));
  }

  // ---- hands

  view() {
    const layers = [...this.layers].join(",");
    return layers === FIRST_LAYERS ? {} : {layers};
  }

  /** @param {Iterable<string>} layers */
  showLayers(layers) {
    this.layers = new Set(layers);
    this.readLayers();
    this.repaint();
  }

  readLayers() {
    this.painter.layers = this.layers;
    for (const chip of this.element.querySelectorAll("[data-layer]")) {
      const {dataset: {layer = ""}} = /** @type {HTMLElement} */ (chip);
      /** @type {HTMLElement} */ (chip).hidden = !this.run?.has(layer);
      chip.setAttribute("aria-pressed", String(this.layers.has(layer)));
    }
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    super.clicked(event);
    const layer = /** @type {Element} */ (event.target).closest("button")?.dataset.layer;
    if (!layer) return;
    if (!this.layers.delete(layer)) this.layers.add(layer);
    document.dispatchEvent(new CustomEvent("lab-layers", {detail: {clock: this.clock, layers: this.layers}}));
  }

  /**
   * A click near a particle follows it; in empty space it lets go. Plotly covers the page while a button is down.
   * @param {PointerEvent} press
   */
  pressed(press) {
    if (/** @type {Element} */ (press.target).closest(".modebar, button") || !this.run?.there) return;
    addEventListener("pointerup", release => {
      if (Math.hypot(release.clientX - press.clientX, release.clientY - press.clientY) > 4) return;  // a drag
      const near = this.painter.pick(release);
      if (near === this.painter.followed) return;
      if (this.props.choose && near >= 0) goOn({particle: near});
      this.painter.followed = near;
      this.repaint();
    }, {once: true, capture: true});
  }
}

/** @param {HTMLElement} element @param {Props} props @param {Gradio} gradio */
export const mount = (element, props, gradio) => new Stage(element, props).start(gradio);
