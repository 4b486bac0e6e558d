// Links: the query string says what is on show, and how the page looks stays in it.

const LOOK = ["mode", "__theme", "view"];  // of the whole page, whatever it shows

/**
 * The query string of a recipe with what a person chose to see of it. `now`: the one of the page.
 * @param {string} recipe @param {Record<string, unknown>} view @param {string} now
 */
export function linkTo(recipe, view, now) {
  const before = new URLSearchParams(now), link = new URLSearchParams(recipe);
  for (const key of LOOK) {
    const look = before.get(key);
    if (look !== null) link.set(key, look);
  }
  for (const [key, value] of Object.entries(view)) link.set(key, String(value));
  return `?${link}`.replaceAll("%2C", ",");  // as a person would write it
}

/**
 * The query string of the page with changes, without its "?".
 * @param {string} now @param {Record<string, unknown>} changes
 */
export function changed(now, changes) {
  const link = new URLSearchParams(now);
  for (const [key, value] of Object.entries(changes)) link.set(key, String(value));
  return link.toString();
}
