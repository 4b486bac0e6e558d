// Gallery: a grid of pictures for each of x_t, x0-hat and the real ones, at the step that was computed last before the
// time of the clock.

import {AT, button, chip, end, find, fullscreen, make, sub} from "../page/dom.js";
import {opened} from "../page/plots.js";
import {css, hex, onTheme} from "../page/theme.js";
import {t} from "../page/words.js";
import {Bar} from "../pieces/bar.js";
import {Feed} from "../pieces/feed.js";
import {Player} from "../pieces/player.js";
import {Readout, TITLE} from "../pieces/readout.js";
import {Sheet, columnsOf} from "../pieces/sheet.js";
import {pixel} from "../pure/colour.js";
import {Pictures} from "../pure/pictures.js";

/** @type {Record<string, string>} */
const SYMBOLS = {x: sub("x", AT), x0: sub("x̂", 0), real: sub("x", 0)};
const MOVING = 2;  // frames; then plotly.js may start

/** @param {Props} props */
const markup = ({bar = true}) => `<section class="lab-stage lab-gallery lab-empty${bar ? "" : " lab-bare"}">
  <div class="lab-picture-area">${TITLE}<div class="lab-panels"></div>${Feed.markup()}</div>
  ${Bar.markup()}
  <div class="lab-tools">${chip(t("follow"), `data-do="follow" title="${t("follow_title")}"`)}${fullscreen()}</div>
  ${Readout.markup(["alpha_bar", "snr", "lam", "nfe"])}
  <figure class="lab-reel" hidden>
    <figcaption>${button("before", "‹", "picture_before")}<span data-text="followed"></span>${
      button("after", "›", "picture_after")}</figcaption>
    <div><canvas role="img"></canvas></div>
    <p>${end("data", "data")}${end("noise", "noise")}</p>
  </figure>
</section>`;

/** @extends {Player<Pictures>} */
class Gallery extends Player {
  followed = -1;  // a picture whose way is the film, -1 for none
  /** @type {Record<string, Sheet>} */
  sheets = {};
  /** @type {Sheet | null} one picture at every step */
  film = null;
  #ink = 0;  // the line around the one that is followed

  /** @param {HTMLElement} element @param {Props} props */
  constructor(element, props) {
    super(element, props, markup(props));
    this.panels = find(element, ".lab-panels");
    this.reel = find(element, ".lab-reel");
    this.chip = find(element, ".lab-chip");
    this.readout = new Readout(element);
    Object.assign(this.actions, {
      follow: () => this.tellAll(this.followed < 0 ? 0 : -1),
      before: () => this.next(-1),
      after: () => this.next(1),
    });
    document.addEventListener("lab-follow", ({detail: {clock, image}}) => {  // galleries that move together
      if (clock === this.clock && this.run) this.follow(image);
    });
    this.dress();
    onTheme(() => this.dress(), element);
  }

  /** The theme has changed. */
  dress() {
    const colour = css("--lab-data");
    this.#ink = colour ? pixel(hex(colour)) : 0;
    this.repaint();
  }

  // ---- the stream

  /** @param {Header} header */
  runOf(header) { return new Pictures(header); }

  /** @param {string} seconds */
  progress(seconds) {
    const run = this.incoming;
    if (!run?.there || run.melts || run.header.done) return "";
    const {length: k, [k - 1]: newest} = run.times;
    return t("computing", {k, of: run.header.times?.length, nfe: run.nfe(newest), seconds});
  }

  /** @param {Pictures} run */
  prepare(run) {
    this.#choose(this.value.image ?? this.followed);
    this.readout.begin(run.header);
    this.readout.show("nfe", !run.melts);
    this.#lay(run);
  }

  /** A sheet for each layer. @param {Pictures} run */
  #lay(run) {
    const columns = columnsOf(run.n), rows = Math.ceil(run.n / columns);
    this.sheets = {};
    this.panels.replaceChildren(...run.layers.map(layer => {
      const caption = make("figcaption", {innerHTML: `${SYMBOLS[layer]} ${t(`pictures_${layer}`)}`});
      const canvas = make("canvas", {role: "img"}), figure = make("figure", {}, caption, canvas);
      figure.dataset.layer = layer;
      this.sheets[layer] = new Sheet(canvas, columns, rows, run);
      return figure;
    }));
    this.panels.style.setProperty("--ratio", String(this.sheets.x.ratio));
    this.panels.style.setProperty("--panels", String(run.layers.length));
    this.film = new Sheet(find(this.reel, "canvas"), run.film.length, run.melts ? 1 : 2, run);
  }

  arrived() {
    this.stale = true;  // the step on show may have got its x0-hat
    super.arrived();
  }

  revisit() {
    this.#choose(this.value.image ?? this.followed);
    this.readHeader();
    super.revisit();
  }

  // ---- a frame

  /** @param {number} step */
  paint(step) {
    const {run, followed} = this;
    if (!run) return;
    for (const [layer, sheet] of Object.entries(this.sheets)) {
      const pictures = run.pictures(layer, step), count = (pictures?.length ?? 0) / run.area;
      sheet.clear();
      for (let k = 0; k < count; k++) sheet.place(pictures ?? [], k, k);
      if (followed >= 0) sheet.frame(followed, this.#ink);
      sheet.show();
    }
    if (followed >= 0 && this.film) this.#paintFilm(run, this.film, step);
    if (this.painted === MOVING) opened();
  }

  /** @param {Pictures} run @param {Sheet} film @param {number} step */
  #paintFilm(run, film, step) {
    const {followed} = this, times = run.film;
    film.clear();
    times.forEach((time, column) => {
      for (let row = 0; row < film.rows; row++) {
        const picture = run.pictures(row ? "x0" : "x", time, followed, followed + 1);
        if (picture?.length) film.place(picture, 0, row * times.length + column);
      }
    });
    film.frame(run.frame(step), this.#ink, film.rows);
    film.show();
  }

  /** @param {number} step */
  readNumbers(step) {
    const {run, readout, clock} = this;
    if (!run) return;
    readout.levels(run.header, step);
    readout.put("nfe", String(run.nfe(step)));
    const between = !clock.playing && step !== clock.t;
    readout.note([readout.scaled(run.header, step), t("cut_off"), between ? t("step_shown", {t: step}) : ""]);
  }

  readHeader() {
    const {run, readout, followed, chip, reel} = this;
    if (!run) return;
    readout.head(run.header);
    chip.setAttribute("aria-pressed", String(followed >= 0));
    reel.hidden = followed < 0;
    if (followed >= 0) readout.put("followed", this.#who(run));
    this.describe();
  }

  /** The picture that is followed: what it was told to be, and what a classifier takes it for. @param {Pictures} run */
  #who({n, header: {labels = [], taken}}) {
    const {followed} = this, told = {label: t("picture_of", {i: followed + 1, n}), words: t(labels[followed])};
    const judged = taken && {label: t("taken_for"), words: t(taken[followed])};
    return [told, judged].flatMap(line => line ? [t("labelled", line)] : []).join(" · ");
  }

  describe() {
    const {run, clock, readout, film} = this;
    if (!run?.there) return;
    const {n, header: {axis: {last: T}, badge}} = run, step = run.at(clock.t), nfe = run.nfe(step), {title} = readout;
    for (const [layer, {canvas}] of Object.entries(this.sheets)) {
      const what = t(`pictures_${layer}`);
      canvas.setAttribute("aria-label", t("alt_pictures", {n, what, t: step, T, nfe, title, badge: t(badge)}));
    }
    const picture = readout.texts.followed.textContent;
    film?.canvas.setAttribute("aria-label", t("alt_reel", {picture, steps: run.film.length, t: step}));
  }

  get idle() { return super.idle && !this.stale; }

  // ---- hands

  view() { return this.followed >= 0 ? {image: this.followed} : {}; }

  /** @param {number} i */
  #choose(i) { this.followed = this.run && i < this.run.n ? i : -1; }

  /** @param {number} image */
  follow(image) {
    this.#choose(image);
    this.value.image = this.followed;
    this.readHeader();
    this.repaint();
  }

  /** @param {number} image */
  tellAll(image) {
    if (this.run) document.dispatchEvent(new CustomEvent("lab-follow", {detail: {clock: this.clock, image}}));
  }

  /** @param {1 | -1} by */
  next(by) {
    if (this.run) this.tellAll((this.followed + by + this.run.n) % this.run.n);
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    super.clicked(event);
    const {run, film} = this, canvas = /** @type {Element} */ (event.target).closest("canvas");
    if (!canvas || !run || !film) return;
    if (canvas === film.canvas) return this.clock.setT(run.film[film.cell(event) % film.columns]);
    const cell = Object.values(this.sheets).find(sheet => sheet.canvas === canvas)?.cell(event) ?? run.n;
    if (cell < run.n) this.tellAll(cell === this.followed ? -1 : cell);
  }

  pictures(/** @type {string} */ layer, /** @type {number} */ step) {
    return Array.from(this.run?.pictures(layer, step) ?? []);
  }
}

/** @param {HTMLElement} element @param {Props} props @param {Gradio} gradio */
export const mount = (element, props, gradio) => new Gallery(element, props).start(gradio);
