// Chart: a Plotly figure on one kept div, so that zoom survives; with a clock, a cursor at t.

import {Refused, ask} from "../page/config.js";
import {clock} from "../page/clocks.js";
import {TOUCH, find, make, nearing, visible} from "../page/dom.js";
import {enter} from "../page/lab.js";
import {CHANGES, plotly} from "../page/plots.js";
import {onTheme} from "../page/theme.js";
import {t} from "../page/words.js";
import {EMPTY, dressed} from "../pieces/figure.js";

const WAIT = 300;    // ms after which a person wonders
const MOVING = 80;   // ms that the cursor takes to where t is
const AGAIN = 3000;  // ms until plotly.js is asked for again, if it did not come

const BUTTONS = ["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"];
const CONFIG = {
  displaylogo: false, showTips: false, modeBarButtons: [BUTTONS],
  ...TOUCH && {displayModeBar: false},  // where nothing hovers it would lie over the curves
};

class Chart {
  figure = EMPTY;
  #drawn = "";  // the value whose figure is on show
  /** @type {AbortController | null} */
  #request = null;
  #due = 0;  // a timer of the cursor

  /** @param {HTMLElement} element @param {Props} props */
  constructor(element, props) {
    element.innerHTML = `<p class="lab-caption" hidden></p>
      <div class="lab-chart" role="img" style="height: ${props.height}px"></div><p class="lab-hidden"></p>`;
    this.element = element;
    this.props = props;
    this.clock = props.clock ? clock(props.clock) : null;
    this.caption = find(element, ".lab-caption");
    this.alt = find(element, ".lab-hidden");
    /** @type {HTMLElement & Record<string, any>} */
    this.gd = find(element, ".lab-chart");
    this.cursor = make("div", {className: "lab-cursor", hidden: true});
    this.ask = nearing(element, () => this.load());
  }

  /** @param {Gradio} gradio */
  async start({watch}) {
    await this.#plotly();
    await this.draw();  // empty axes: whatever becomes of the figure, there is a plot to listen to
    for (const event of CHANGES) this.gd.on(event, () => this.place());
    if (this.clock) this.#follow(this.clock);
    onTheme(() => this.draw(), this.element);
    new ResizeObserver(() => this.#resize()).observe(this.gd);
    watch("value", () => this.refresh());
    this.refresh();
    enter(this.props.name, this);
  }

  async #resize() {
    if (!visible(this.element)) return;
    await Plotly.Plots.resize(this.gd);
    this.place();
  }

  /** @returns {Promise<void>} */
  #plotly() {
    return plotly(this.gd).catch(() => new Promise(done => setTimeout(done, AGAIN)).then(() => this.#plotly()));
  }

  /** A figure that the server has to compute is asked for when somebody is about to see it. */
  refresh() {
    if (this.props.value.startsWith('{"src"')) this.ask();
    else this.load();
  }

  async load() {
    this.#request?.abort();
    const {signal} = this.#request = new AbortController();
    const {value} = this.props, {src} = value ? JSON.parse(value) : {};
    const waiting = setTimeout(() => src && this.tell("drawing"), WAIT);
    try {
      this.figure = src ? await (await ask(src, {signal})).text() : value || EMPTY;
      await this.draw();
      this.#drawn = value;
    } catch (error) {
      this.#explain(error);
    } finally {
      clearTimeout(waiting);
    }
  }

  /** @param {unknown} error */
  #explain(error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    if (error instanceof Refused) this.tell(...error.words ?? [error.message]);
    else if (error instanceof TypeError) this.tell("network");
    else throw error;
  }

  /**
   * What there is to say where the figure is not there yet, or will not come.
   * @param {[string, Record<string, any>?]} words
   */
  tell(...words) {
    this.caption.hidden = false;
    this.caption.textContent = t(...words);
  }

  get idle() { return this.#drawn === this.props.value; }

  async draw() {
    const {gd, caption, alt, clock} = this, {data, layout} = dressed(this.figure), {meta = {}} = layout;
    await Plotly.react(gd, data, {...clock && {dragmode: false}, ...layout}, CONFIG);
    gd.append(this.cursor);
    const {title, badges = [], said = {}} = meta;
    caption.hidden = !title;
    const lists = Object.entries(said).map(([key, words]) => {
      const listed = words.map((/** @type {string} */ word) => t(word)).join(t("comma")) || "–";
      return ` · ${t("labelled", {label: t(key), words: listed})}`;
    });
    caption.replaceChildren(...badges.map((/** @type {string} */ badge) =>
      make("span", {className: `lab-badge ${badge}`, textContent: t(badge)})), title ? t(title) : "", ...lists);
    alt.textContent = meta.alt ? t(.../** @type {[string, object]} */ (meta.alt)) : "";
    gd.setAttribute("aria-label", alt.textContent ?? "");
  }

  /** New numbers for the traces of the figure that is there: [x, y] each. @param {[number[], number[]][]} series */
  feed(series) {
    const {data, layout} = JSON.parse(this.figure);
    series.forEach(([x, y], i) => Object.assign(data[i], {x, y}));
    this.figure = JSON.stringify({data, layout});
    return this.draw();
  }

  // ---- the cursor at the clock's t

  /** A div, not a shape: no Plotly call a frame. d2p and p2d know about log axes and zoom. */
  place() {
    const {cursor, clock, gd: {_fullLayout: {xaxis, _size} = {}}} = this;
    cursor.hidden = !clock?.T || !xaxis?._length;
    if (cursor.hidden || !clock) return;
    const x = xaxis.d2p(clock.t);
    cursor.hidden = !(x >= 0 && x <= xaxis._length);
    Object.assign(cursor.style, {top: `${_size.t}px`, height: `${_size.h}px`,
      transform: `translateX(${xaxis._offset + x}px)`, transition: `transform ${MOVING}ms linear`});
  }

  /**
   * The cursor follows the clock, a click or a drag sets it. Whatever moves here makes Chromium lay out all its layers
   * anew, 8 ms for a page of charts: hence less often than every frame.
   * @param {import("../page/clocks.js").PageClock} clock
   */
  #follow(clock) {
    const {gd} = this;
    clock.subscribe(() => {
      this.#due ||= window.setTimeout(() => {
        this.#due = 0;
        this.place();
      }, MOVING);
    }, this.element);
    gd.classList.add("lab-seek");
    /** @param {PointerEvent} event */
    const seek = ({clientX}) => {
      const {xaxis} = gd._fullLayout;
      clock.setT(Math.round(xaxis.p2d(clientX - gd.getBoundingClientRect().left - xaxis._offset)));
    };
    gd.addEventListener("pointerdown", event => {
      const inside = /** @type {Element} */ (event.target).closest(".draglayer");
      if (!clock.T || gd._fullLayout.dragmode || !inside) return;  // with a dragmode the drag is a zoom
      gd.setPointerCapture(event.pointerId);
      seek(event);
    });
    gd.addEventListener("pointermove", event => {
      if (gd.hasPointerCapture(event.pointerId)) seek(event);
    });
  }
}

/** @param {HTMLElement} element @param {Props} props @param {Gradio} gradio */
export const mount = (element, props, gradio) => new Chart(element, props).start(gradio);
