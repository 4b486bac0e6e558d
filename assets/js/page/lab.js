// window.lab: the handle by which tests and measurements get at what is on the page.

import {clock} from "./clocks.js";
import {visible} from "./dom.js";

/** @type {Record<string, any>} what moves, by name */
export const stages = {};
/** @type {Record<string, any>} figures, by name */
export const charts = {};

window.lab = {stages, charts, clock, visible};
