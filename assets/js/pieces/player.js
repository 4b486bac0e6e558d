// A picture that moves under a clock and is filled by one stream: what Stage, Gallery and Fields have in common.

import {clock} from "../page/clocks.js";
import {find, nearing, visible} from "../page/dom.js";
import {write} from "../page/address.js";
import {stages} from "../page/lab.js";
import {Bar, Track} from "./bar.js";
import {Feed} from "./feed.js";

/** @typedef {import("../page/clocks.js").PageClock} PageClock */

/**
 * A stream, as far as it has arrived.
 * @typedef {object} Run
 * @property {Header} header
 * @property {boolean} there  there is something to show
 * @property {number} order  1: its steps go towards noise, -1: towards data, 0: there is every t
 * @property {ArrayLike<number> | null} steps  that have arrived, or null where there is every t
 * @property {(t: number) => number} at  what is on show at a time
 * @property {(kind: string, payload: Uint8Array) => boolean} take  whether there is more to show now
 */

/**
 * What Python says: the address of a stream, and how it is to be seen. t === null: nobody asked for a step.
 * @typedef {{src?: string, link?: string, t: number | null, play?: boolean | null, [more: string]: any}} Value
 */

const READ = 80;   // ms between two readings of numbers while something plays: nobody reads faster
const REST = 250;  // ms after the last movement: then the picture is at rest

/** @template {Run} R */
export class Player {
  /** @type {Value} */
  value = {t: null};
  /** @type {R | null} what is on show */
  run = null;
  /** @type {R | null} what is arriving; the old one stays until it has something to show */
  incoming = null;
  drawn = -1;    // the step on show, -1 for none of this run
  stale = true;  // something else than the time has changed
  painted = 0;   // frames
  #seenAt = -1;  // the time of the clock when it was drawn
  #readAt = 0;
  #movedAt = 0;
  #resting = 0;  // a timer

  /**
   * @param {HTMLElement} element @param {Props} props
   * @param {string} markup with places for a bar and for Feed
   * @param {typeof Track} TimeBar
   */
  constructor(element, props, markup, TimeBar = Bar) {
    element.innerHTML = markup;
    this.element = element;
    this.props = props;
    this.stage = find(element, ".lab-stage");
    this.own = props.bar ?? true;  // a time bar and an address to keep, unless another picture has them
    this.clock = clock(props.clock ?? props.name);
    this.bar = new TimeBar(element, this.clock);
    this.feed = new Feed(element, {
      told: part => this.told(part),
      take: (kind, payload) => this.take(kind, payload),
      progress: seconds => this.progress(seconds),
      failed: () => this.stay(),
      ended: () => this.ended(),
    });
  }

  /** @param {Gradio} gradio */
  start({watch}) {
    const {element} = this;
    // A button that is pressed must not take the keys away from the picture.
    element.addEventListener("mousedown", event => {
      if (/** @type {Element} */ (event.target).closest("button")) event.preventDefault();
    });
    element.addEventListener("click", event => this.clicked(event));
    new ResizeObserver(() => {  // also: a tab that is shown
      if (visible(element)) this.writeAddress();
    }).observe(this.stage);
    stages[this.props.name] = this;
    this.clock.subscribe(this.draw, element);
    this.load();
    watch("value", () => this.load());
  }

  // ---- the stream

  get header() { return this.run?.header; }
  get shown() { return this.drawn; }

  load() {
    const next = this.props.value ? JSON.parse(this.props.value) : {}, fresh = next.src !== this.value.src;
    this.value = {t: null, ...next};
    if (fresh && this.value.src) this.ask();
    else if (this.run) this.revisit();
  }

  /** It costs the server time, so it waits until somebody is about to see it. */
  ask() { (this.#near ??= nearing(this.element, () => this.fetch()))(); }

  /** @type {(() => void) | undefined} */
  #near;

  /** @param {RequestCache} [cache] */
  fetch(cache) {
    const {src} = this.value;
    this.incoming = null;
    return src && this.feed.open(src, {cache, needed: this.needed()});
  }

  /** What else must be there before a stream counts as shown. @returns {Promise<unknown> | undefined} */
  needed() { return undefined; }

  /** @param {Header} _header @returns {R} */
  runOf(_header) { throw new Error("a picture says what its runs are"); }

  /** @param {Partial<Header>} part */
  told(part) {
    if (this.incoming) Object.assign(this.incoming.header, part);
    else if (part.axis) this.incoming = this.runOf(/** @type {Header} */ (part));
    const news = !("at" in part) || part.metrics;  // how far a training is comes often, and is no part of the header
    if (this.incoming && this.incoming === this.run && news) this.readHeader();
  }

  /** @param {string} kind @param {Uint8Array} payload */
  take(kind, payload) {
    const {incoming} = this;
    if (!incoming?.take(kind, payload)) return;
    if (incoming !== this.run) this.show(incoming);
    this.arrived();
  }

  /** @param {R} run */
  show(run) {
    this.run = run;
    this.drawn = -1;
    this.prepare(run);
    this.begin(run);
    this.bar.name(run.header.axis);
    this.bar.computed(0, 1);
    this.stage.classList.remove("lab-empty");
    this.readHeader();
    this.repaint();
    this.writeAddress();
  }

  /** @param {R} run */
  begin({header: {axis, direction}}) {
    this.clock.begin(this.draw, {T: axis.last, direction}, this.value);
  }

  /** Another step has come. */
  arrived() {
    const {run, clock, newest} = this;
    if (newest !== undefined && run && run.order < 0) {
      clock.reach(this.draw, newest, newest > 0);
      this.bar.computed(newest / clock.T, 1);
    } else if (newest !== undefined) {
      this.bar.computed(0, newest / clock.T);
    }
    clock.wake();
  }

  /** The step that came last; undefined where there is every t. */
  get newest() {
    const steps = this.run?.steps;
    return steps?.[steps.length - 1];
  }

  /** Where nothing more is coming: at a step that was computed, and without holding up the others of this clock. */
  stay() {
    const {run, clock, newest} = this;
    if (!run?.there) return;
    clock.setT(run.at(Math.round(clock.t)));
    if (run.order < 0 && newest !== undefined) clock.reach(this.draw, newest, false);
  }

  // ---- a frame; called by the clock

  draw = (/** @type {number} */ now) => {
    const {run, clock} = this, tick = Math.floor(now / READ);
    const read = !clock.playing || tick !== this.#readAt;  // all that move together read at the same frame
    this.#readAt = tick;
    this.bar.read(read);
    if (!run?.there || !this.paintable) return;
    const t = run.at(clock.t), changed = t !== this.drawn || this.stale;
    if (!changed && clock.t === this.#seenAt) return;
    [this.drawn, this.stale, this.#seenAt] = [t, false, clock.t];
    if (changed) {
      this.painted++;
      this.paint(t);
    }
    if (read) this.readNumbers(t);
    this.#movedAt = performance.now();
    this.restLater();
  };

  /** There is a place to paint on, and the step is there. */
  get paintable() { return true; }

  repaint() {
    this.stale = true;
    this.clock.wake();
  }

  // ---- at rest: what takes long, and what would be read by nobody while it moves

  restLater(ms = REST) {
    this.#resting ||= window.setTimeout(this.#rest, ms);
  }

  #rest = async () => {
    this.#resting = 0;
    if (!this.run?.there || this.drawn < 0) return;  // a new run: its first frame comes back here
    const wait = this.#movedAt + REST - performance.now();
    if (this.clock.playing || wait > 0) return this.restLater(Math.max(wait, REST / 2));
    this.readNumbers(this.drawn);
    this.describe();
    await this.settle();
    this.writeAddress();
  };

  async settle() {}

  get idle() {
    const {run, clock} = this;
    return !this.feed.request && !this.#resting && this.#seenAt === clock.t && this.drawn === run?.at(clock.t);
  }

  // ---- the address: what is on show is a link

  writeAddress() {
    const {own, run, clock, value: {link}} = this;
    if (!own || !run?.there || !link || !visible(this.element)) return;
    write(link, {...(!clock.playing && {t: Math.round(clock.t)}), ...this.view()});
  }

  /** What a person chose to see, beside the time. @returns {Record<string, unknown>} */
  view() { return {}; }

  // ---- hands

  /** @type {Record<string, () => unknown>} what the buttons do */
  actions = {
    toggle: () => this.clock.toggle(),
    back: () => this.step(-1),
    forward: () => this.step(1),
    stop: () => this.feed.stop(),
    retry: () => this.fetch("reload"),
    fullscreen: () => document.fullscreenElement ? document.exitFullscreen() : this.stage.requestFullscreen(),
  };

  /** @param {MouseEvent} event */
  clicked(event) {
    const action = /** @type {Element} */ (event.target).closest("button")?.dataset.do;
    if (action) this.actions[action]?.();
  }

  /** A step is what the sampler did, where steps are stored; else one t. @param {1 | -1} by */
  step(by) {
    const {run, clock} = this, t = Math.round(clock.t), steps = run?.steps && Array.from(run.steps);
    if (!steps) clock.setT(t + by);
    else if (by > 0) clock.setT(Math.min(...steps.filter(step => step > t), clock.T));
    else clock.setT(Math.max(...steps.filter(step => step < t), 0));
  }

  // ---- what each picture does in its own way

  /** The same stream is to be seen in another way. */
  revisit() {
    this.clock.apply(this.value);
    this.repaint();
    this.writeAddress();
  }

  /** Room for a run that is about to be shown. @param {R} _run */
  prepare(_run) {}

  /** @param {number} _t */
  paint(_t) {}

  /** @param {number} _t */
  readNumbers(_t) {}

  readHeader() {}

  /** The text alternative. */
  describe() {}

  /** Words about what has been computed, if there are any. @param {string} _seconds @returns {string} */
  progress(_seconds) { return ""; }

  ended() {}
}
