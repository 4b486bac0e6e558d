// plotly.js: when it is fetched and when it starts, and what every figure takes from the page.

import {config} from "./config.js";
import {make, onShow} from "./dom.js";
import {css} from "./theme.js";

/** After these, plot area or ranges may be others. */
export const CHANGES = ["plotly_afterplot", "plotly_relayouting", "plotly_relayout"];
const PATIENCE = 2000;  // ms that it waits for something to move

/** @type {() => void} */
let begin;
const moving = new Promise(done => { begin = () => done(undefined); });

/** Points move: now plotly.js may hold up the page. */
export const opened = () => begin();

/** @type {Promise<unknown> | undefined} */
let begun;
/** @type {Promise<void> | undefined} */
let loading;

/**
 * plotly.js holds up the page for a good while as it starts: it is fetched at once, and starts when points move already
 * and what it is to draw is on show. @param {Element} place
 */
export async function plotly(place) {
  const src = `${config.root}/lab/plotly-${config.plotly}.min.js`;
  await (begun ??= prepare(src));
  await onShow(place);
  await (loading ??= load(src));
}

/** @param {string} src */
function prepare(src) {
  const tab = new URLSearchParams(location.search).get("tab") ?? "";
  const preload = make("link", {rel: "preload", as: "script", href: src});
  if (!config.without_plotly.includes(tab)) document.head.append(preload);
  return Promise.race([moving, new Promise(late => setTimeout(late, PATIENCE))]);
}

/** @param {string} src @returns {Promise<void>} */
const load = src => new Promise((done, fail) => {
  // "./" says nothing, but for it plotly.js writes the address of that moment into its clip paths: with the next t in
  // the address they are no longer part of this page, clip nothing and are fetched.
  document.querySelector('base[href="./"]')?.removeAttribute("href");
  document.head.append(make("script", {
    src,
    onload: () => done(),
    onerror: () => {
      loading = undefined;
      fail(new TypeError("plotly.js did not load"));
    },
  }));
});

export const axis = () => ({
  color: css("--lab-muted"), gridcolor: css("--lab-grid"), linecolor: css("--lab-line"),
  zerolinecolor: css("--lab-line"), zerolinewidth: 1,
});

/** The figure's own settings come on top. */
export const layout = () => ({
  paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true, uirevision: "kept",
  hovermode: "closest",
  font: {family: css("--lab-font"), size: parseFloat(css("--lab-plot-size")), color: css("--lab-ink")},
  modebar: {bgcolor: "rgba(0,0,0,0)", color: css("--lab-muted"), activecolor: css("--lab-ink")},
  hoverlabel: {bgcolor: css("--lab-paper"), bordercolor: css("--lab-line"), font: {color: css("--lab-ink")}},
});
