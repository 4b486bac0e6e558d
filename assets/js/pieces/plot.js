// The Plotly figure under moving points: it draws axes, zoom and pan once. At rest the points become real traces, so
// that hover, lasso, PNG and gd.data are true to what is seen.

import {TOUCH, visible} from "../page/dom.js";
import {CHANGES, axis, layout, plotly} from "../page/plots.js";
import {css, onTheme} from "../page/theme.js";
import {t} from "../page/words.js";

const MARGIN = {l: 40, r: 8, t: 8, b: 28};

/**
 * What the owner of a plot does.
 * @typedef {object} Owner
 * @property {() => void} fit  plot area or ranges have changed
 * @property {() => void} dress  the theme has changed
 * @property {() => Promise<void>} still  the picture rests, and Plotly has what is on show
 * @property {() => string} name  of a downloaded picture
 */

export class Plot {
  view = 3;        // half the width of the plane that is home
  zoomed = false;  // by a hand
  moving = false;  // the canvas shows; at rest Plotly's traces do
  /** @type {Promise<void> | null} */
  #started = null;

  /** @param {HTMLElement & Record<string, any>} gd @param {Owner} owner */
  constructor(gd, owner) {
    this.gd = gd;
    this.owner = owner;
  }

  get there() { return Boolean(this.gd._fullLayout); }

  /** Resolves when there is a plot; tries again if plotly.js did not come. */
  ready() {
    return this.#started ??= this.#start().catch(error => {
      this.#started = null;
      throw error;
    });
  }

  /**
   * Plot area and ranges. _fullLayout is what plotly_relayouting leaves up to date during a drag. Plotly takes a second
   * to start; the points need not wait for it, as its margins and ranges are known.
   * @returns {{xaxis: import("./painter.js").Axis, yaxis: import("./painter.js").Axis}}
   */
  get axes() {
    const {gd} = this;
    if (gd._fullLayout) return gd._fullLayout;
    const w = gd.clientWidth - MARGIN.l - MARGIN.r, h = gd.clientHeight - MARGIN.t - MARGIN.b;
    const [x, y] = this.#home(w, h);
    return {
      xaxis: {_offset: MARGIN.l, _length: w, range: [-x, x]},
      yaxis: {_offset: MARGIN.t, _length: h, range: [-y, y]},
    };
  }

  /** Equal axes from -view to view on the shorter side; the longer side shows more rather than leave a gap. */
  #home(/** @type {number[]} */ ...sides) {
    return sides.map(side => side * this.view / Math.min(...sides));
  }

  goHome = async () => {
    if (!this.gd._fullLayout) return;
    const {xaxis, yaxis, _size: {w, h}} = this.gd._fullLayout, [x, y] = this.#home(w, h);
    /** @param {{range: number[]}} axis @param {number} end */
    const off = ({range: [from, to]}, end) => Math.abs(from + end) + Math.abs(to - end) > 1e-6;
    if (!off(xaxis, x) && !off(yaxis, y)) return;  // a relayout is not free
    await Plotly.relayout(this.gd, {"xaxis.range": [-x, x], "yaxis.range": [-y, y]});
  };

  /** The canvas takes over. */
  move() {
    if (!this.moving) this.gd.classList.add("lab-moving");
    this.moving = true;
  }

  /** Plotly takes over; whether nothing moved meanwhile. @param {object[]} traces @param {() => boolean} still */
  async settle(traces, still) {
    this.moving = false;  // else what plotly.js draws now would be taken for news, and painted again, for ever
    await Plotly.react(this.gd, traces, this.gd.layout);
    if (still()) this.gd.classList.remove("lab-moving");
    return still();
  }

  #layout() {
    const base = layout();
    /** @param {string} name */
    const side = name => ({...axis(), range: this.gd._fullLayout?.[name].range ?? [-3, 3]});
    return {
      ...base, modebar: {...base.modebar, orientation: "v"}, margin: MARGIN, showlegend: false,
      xaxis: side("xaxis"), yaxis: {...side("yaxis"), scaleanchor: "x"},
      dragmode: TOUCH ? false : "zoom",  // a finger scrolls the page
    };
  }

  async #start() {
    const {gd, owner} = this;
    await plotly(gd);
    const save = {name: "save", title: t("download"), icon: Plotly.Icons.camera, click: () => this.#save()};
    const reset = {name: "reset", title: t("reset"), icon: Plotly.Icons.home, click: this.goHome};
    const buttons = [save, ...TOUCH ? [] : ["zoom2d", "pan2d", "lasso2d"], "zoomIn2d", "zoomOut2d", reset];
    const config = {displaylogo: false, doubleClick: false, showTips: false, modeBarButtons: [buttons]};
    await Plotly.newPlot(gd, [], this.#layout(), config);
    for (const event of CHANGES) gd.on(event, owner.fit);
    gd.on("plotly_relayout", (/** @type {object} */ change) => {
      const hand = "xaxis.range[0]" in change;  // goHome says xaxis.range, a resize neither
      if (hand || "xaxis.range" in change) this.zoomed = hand;
    });
    gd.on("plotly_doubleclick", this.goHome);
    onTheme(() => Plotly.react(gd, gd.data, this.#layout()).then(owner.dress), gd);
    new ResizeObserver(() => this.#resize()).observe(gd);  // also: a tab that is shown
  }

  async #resize() {
    if (!visible(this.gd)) return;
    await Plotly.Plots.resize(this.gd);
    if (!this.zoomed) await this.goHome();
    this.owner.dress();
  }

  /** A picture in a slide stands alone: with its title, and on paper. */
  async #save() {
    const {gd, owner} = this;
    await owner.still();
    const {data, layout, offsetWidth: width, offsetHeight: height} = gd, title = {text: gd.getAttribute("aria-label")};
    const alone = {...layout, paper_bgcolor: css("--lab-paper"), title, margin: {...layout.margin, t: 48}};
    Plotly.downloadImage({data, layout: alone}, {filename: owner.name(), width, height, scale: 2});
  }
}
