// What is on a Stage's canvas, as Plotly traces: for hover, lasso, PNG, and whoever reads gd.data.

import {palette} from "../page/config.js";
import {css} from "../page/theme.js";
import {t} from "../page/words.js";
import {DIMMED, estimateColour} from "./painter.js";

/** @typedef {import("./painter.js").Painter} Painter */
/** @typedef {import("./painter.js").Run} Run */

/** Points [x, y, x, y, ...] as Plotly wants them. @param {Float32Array} points */
const columns = points => ({x: points.filter((_, i) => i % 2 === 0), y: points.filter((_, i) => i % 2 === 1)});

/** @param {string} name @param {Float32Array} points @param {object} marker */
const markers = (name, points, marker) => ({
  type: "scatter", mode: "markers", name: t(name), ...columns(points), showlegend: false,
  hovertemplate: "%{x:.3f}, %{y:.3f}<extra>%{fullData.name} %{pointNumber}</extra>", marker,
});

/** @param {Float32Array} points @param {string} color */
const line = (points, color) => ({
  type: "scatter", mode: "lines", ...columns(points), showlegend: false, hoverinfo: "skip", line: {width: 1.5, color},
});

/** @param {Run} run @param {Painter} painter @param {number} step */
export function traces(run, painter, step) {
  const size = 2 * painter.radius, all = [];
  if (painter.shows("data")) {
    all.push(markers("layer_data", run.truth(), {size, color: css("--lab-data"), opacity: .35}));
  }
  if (painter.shows("x0")) {
    const points = run.estimates(step, new Float32Array(2 * run.n));
    all.push(markers("layer_x0", points, {size, color: estimateColour(run), opacity: .6}));
  }
  all.push(markers("particle", painter.xy, {
    size, color: Array.from(run.colours), cmin: 0, cmax: 255, opacity: painter.shows("trails") ? DIMMED : 1,
    colorscale: palette.map((colour, i) => [i / 255, colour]),
  }));
  for (const i of painter.trails) {
    const points = run.trail(i, step, painter.line);
    all.push(line(painter.line.slice(0, 2 * points), palette[run.colours[i]]));
  }
  return all;
}
