// Numbers: kept within bounds, and as a person reads them.

/** @param {number} x @param {number} low @param {number} high */
export const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

/**
 * Fixed digits, or a power of ten where these would show nothing or too much; with a true minus sign.
 * @param {number} x @param {number} [digits]
 */
export function number(x, digits = 3) {
  if (!Number.isFinite(x)) return x > 0 ? "∞" : x < 0 ? "−∞" : "–";
  const size = Math.abs(x), power = x !== 0 && (size < 10 ** -digits || size >= 1e4);
  return (power ? x.toExponential(1) : x.toFixed(digits)).replaceAll("-", "−");
}

/**
 * The index of the value that is nearest to x, the first of several.
 * @param {ArrayLike<number>} values @param {number} x
 */
export function nearest(values, x) {
  let best = 0;
  for (let k = 1; k < values.length; k++) if (Math.abs(values[k] - x) < Math.abs(values[best] - x)) best = k;
  return best;
}
