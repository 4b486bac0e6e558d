// Elements: small pieces of markup, texts that change often, and whether anybody can see them.

import {t} from "./words.js";

/** @param {string} path */
const icon = path => `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`;
export const ICONS = {
  play: icon("M4 2.5v11l9-5.5z"),
  pause: icon("M4 3h3v10H4zM9 3h3v10H9z"),
  back: icon("M3 3h2v10H3zM13 3v10L6 8z"),
  forward: icon("M11 3h2v10h-2zM3 3v10l7-5z"),
  fullscreen: icon("M2 6V2h4v1.5H3.5V6zM10 2h4v4h-1.5V3.5H10zM14 10v4h-4v-1.5h2.5V10zM6 14H2v-4h1.5v2.5H6z"),
};

/** A button that an owner's actions know by name. @param {string} action @param {string} content */
export const button = (action, content, key = action) =>
  `<button type="button" data-do="${action}" aria-label="${t(key)}" title="${t(key)}">${content}</button>`;

/** The button for full screen, where a browser can do it. */
export const fullscreen = () => document.fullscreenEnabled ? button("fullscreen", ICONS.fullscreen) : "";

/** A choice of what is on show. @param {string} content @param {string} attributes */
export const chip = (content, attributes) => `<button type="button" class="lab-chip" ${attributes}>${content}</button>`;

/** One end of an axis. @param {string} key @param {string} [end] */
export const end = (key, end) => `<span class="lab-end"${end ? ` data-end="${end}"` : ""}>${t(key)}</span>`;

/** @param {string} label */
export const range = label =>
  `<input class="lab-range" type="range" min="0" max="0" step="1" value="0" aria-label="${label}">`;

/** A symbol as a formula has it. @param {string} letter @param {string | number} index */
export const sub = (letter, index) => `<var>${letter}</var><sub>${index}</sub>`;
export const AT = "<var>t</var>";

/** An equal text would still cost a layout. @param {Node} node @param {string} text */
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * An element with its settings and what is in it.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Partial<HTMLElementTagNameMap[Tag]>} [settings] @param {(Node | string)[]} content
 */
export function make(tag, settings = {}, ...content) {
  const node = Object.assign(document.createElement(tag), settings);
  node.append(...content);
  return node;
}

/**
 * The one element that a part has of this kind.
 * @template {Element} [Found=HTMLElement]
 * @param {Element} parent @param {string} selector @returns {Found}
 */
export function find(parent, selector) {
  const found = parent.querySelector(selector);
  if (!found) throw new Error(`there is no ${selector}`);
  return /** @type {Found} */ (found);
}

/** offsetParent would be null in full screen. @param {Element} element */
export const visible = element => element.getClientRects().length > 0;

/** Now, or as soon as the tab of the element is on show. @param {Element} place @returns {Promise<void>} */
export const onShow = place => new Promise(done => new ResizeObserver((_, observer) => {
  if (!visible(place)) return;
  observer.disconnect();
  done();
}).observe(place));

/**
 * For what costs the server time: a function that acts at once while the element is near the view, else as soon as it
 * is.
 * @param {Element} element @param {() => unknown} act
 */
export function nearing(element, act) {
  let near = false, wanted = false;
  new IntersectionObserver(entries => {
    near = entries[entries.length - 1].isIntersecting;
    if (near && wanted) act();
    wanted &&= !near;
  }, {rootMargin: "50% 0px"}).observe(element);
  return () => {
    wanted = !near;
    if (near) act();
  };
}

export const TOUCH = matchMedia("(pointer: coarse)").matches;
