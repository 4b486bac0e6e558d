// A figure of the server in the language and the looks of the page.

import {config} from "../page/config.js";
import {axis, layout as pageLayout} from "../page/plots.js";
import {css} from "../page/theme.js";
import {t, title} from "../page/words.js";
import {template} from "../pure/template.js";

/** @typedef {Record<string, any>} Layout */

export const EMPTY = '{"data": [], "layout": {"xaxis": {"visible": false}, "yaxis": {"visible": false}}}';
const AXIS = /^[xy]axis\d*$/;

/**
 * What a figure says in English is said in the language of the page where that has words.
 * @param {object[]} data @param {Layout} layout
 */
function translate(data, layout) {
  for (const trace of /** @type {{name?: string}[]} */ (data)) {
    if (trace.name) trace.name = title(trace.name.split(" · "));
  }
  for (const [key, axis] of Object.entries(layout)) {
    if (!AXIS.test(key)) continue;
    if (axis.title?.text) axis.title.text = t(axis.title.text);
    if (axis.ticktext) axis.ticktext = axis.ticktext.map((/** @type {string} */ text) => title(text.split(" · ")));
  }
}

/** @param {string} figure JSON @returns {{data: object[], layout: Layout}} */
export function dressed(figure) {
  const {data, layout} = JSON.parse(figure), page = pageLayout(), base = axis();
  translate(data, layout);
  const {template: given} = layout;
  if (given) layout.template = template(data, given, meaning => css(`--lab-${meaning}`), config.heat);
  const axes = [...Object.keys(layout).filter(key => AXIS.test(key)), "xaxis", "yaxis"];
  /** Plotly would align the ticks of an axis with those of the one that it lies over. @param {Layout} [axis] */
  const own = axis => axis?.overlaying ? {tickmode: "auto", ...axis} : axis;
  const themed = Object.fromEntries(axes.map(key => [key, {automargin: true, ...base, ...own(layout[key])}]));
  const margin = {l: 48, r: 12, t: layout.title ? 36 : 12, b: 40};
  return {data, layout: {margin, ...page, ...layout, ...themed, font: {...page.font, ...layout.font}}};
}
