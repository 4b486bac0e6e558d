// window.lab: the handle by which tests and measurements get at what is on the page.

import {clock} from "./clocks.js";
import {visible} from "./dom.js";

/** @type {Record<string, any>} what moves, by name */
export const stages = {};
/** @type {Record<string, any>} figures, by name */
export const charts = {};

/** @type {Record<string, [number[], number[]][]>} the newest numbers of a figure, which may come before it is made */
const fed = {};

/** New numbers for the traces of a figure, [x, y] each. @param {string} name @param {[number[], number[]][]} series */
export function feed(name, series) {
  fed[name] = series;
  charts[name]?.feed(series);
}

/** A figure is there. @param {string} name @param {any} chart */
export function enter(name, chart) {
  charts[name] = chart;
  if (fed[name]) chart.feed(fed[name]);
}

window.lab = {stages, charts, clock, visible};
