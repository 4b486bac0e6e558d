// The address of the page: it follows what is on show, and can ask for something else.

import {changed, linkTo} from "../pure/address.js";

/** @param {string} recipe @param {Record<string, unknown>} view */
export function write(recipe, view) {
  const next = linkTo(recipe, view, location.search);
  if (next !== location.search) history.replaceState(history.state, "", next + location.hash);
}

/**
 * Something else, by its query string, without loading the page again: the Link of its tab hears it.
 * @param {string} query
 */
export const go = query => document.dispatchEvent(new CustomEvent("lab-go", {detail: query}));

/** Another picture of the tab on show. @param {Record<string, unknown>} changes */
export const goOn = changes => go(changed(location.search, changes));
