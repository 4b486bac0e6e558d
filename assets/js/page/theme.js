// How the page looks: its colours for canvases, and a call when they change.

/** The value of a CSS variable. @param {string} name */
export const css = name => getComputedStyle(document.body).getPropertyValue(name).trim();

/** Any CSS colour as "#rrggbb". @param {string} colour */
export function hex(colour) {
  const ctx = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  ctx.fillStyle = colour;
  return ctx.fillStyle;
}

/** @type {Map<() => unknown, Element>} redraw -> the element that it draws */
const themed = new Map();
const themes = new MutationObserver(() => {
  for (const [redraw, element] of themed) {
    if (element.isConnected) redraw();
    else themed.delete(redraw);
  }
});
themes.observe(document.body, {attributes: true, attributeFilter: ["class"]});

/** @param {() => unknown} redraw @param {Element} element */
export const onTheme = (redraw, element) => void themed.set(redraw, element);
