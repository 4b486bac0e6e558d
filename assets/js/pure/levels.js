// What a schedule says of a time: alpha and sigma as the page shows them.

/** @typedef {{alpha?: number[], sigma?: number[]}} Schedule  A number for each t = 0 .. T, if there is a schedule. */

/** alpha or sigma between two steps. @param {number[]} values @param {number} t */
export function between(values, t) {
  const k = Math.floor(t);
  return k === t ? values[k] : values[k] + (t - k) * (values[k + 1] - values[k]);
}

/** How much of x_t's variance is data: alpha_bar, whatever the coordinates. @param {number} a @param {number} s */
const share = (a, s) => a ** 2 / (a ** 2 + s ** 2);

/**
 * The readouts of a step, or null where the axis is that of no schedule.
 * @param {Schedule} schedule @param {number} t
 */
export function levelAt({alpha, sigma}, t) {
  if (!alpha || !sigma) return null;
  const [a, s] = [alpha[t], sigma[t]], alphaBar = share(a, s);
  return {
    alpha: a, sigma: s, alpha_bar: alphaBar, snr: (a / s) ** 2, lam: Math.log(a / s),
    beta: t > 0 ? 1 - alphaBar / share(alpha[t - 1], sigma[t - 1]) : NaN,
    scale: Math.hypot(a, s),  // 1 where the path preserves variance
  };
}

/**
 * The two numbers of the formula on show.
 * mix, reverse: x_t = alpha x_0 + sigma eps; forward: one step of the chain,
 * x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) z, or, `as it is`, x_{t-1} + sqrt(sigma_t^2 - sigma_{t-1}^2) z.
 * @param {Schedule & {as_it_is?: boolean}} header @param {string} formula @param {number} t
 * @returns {[number, number]}
 */
export function coefficients({alpha = [], sigma = [], as_it_is: asItIs}, formula, t) {
  if (formula !== "forward") return [alpha[t], sigma[t]];
  if (asItIs) return [1, Math.sqrt(sigma[t] ** 2 - sigma[t - 1] ** 2)];
  const beta = levelAt({alpha, sigma}, t)?.beta ?? NaN;
  return [Math.sqrt(1 - beta), Math.sqrt(beta)];
}
