// Dots as pixels: opaque, round, and steady in slow motion.

import {clamp} from "../pure/number.js";

/**
 * From the plane to pixels: x to kx x + bx, y to ky y + by. The image has a margin of `pad` pixels around the canvas.
 * @typedef {object} View
 * @property {number} kx @property {number} bx @property {number} ky @property {number} by
 * @property {number} width @property {number} height @property {number} pad @property {number} ratio
 * @property {Stamp[]} dots
 */

/**
 * A dot as offsets into the pixels: its inside, and the rim that is covered in part.
 * @typedef {{inside: Int32Array, rim: Int32Array, alpha: Float32Array}} Stamp
 */

const QUARTERS = [[.25, .25], [-.25, .25], [.25, -.25], [-.25, -.25]];

/**
 * One for each quarter of the pixel that its centre may lie in, or slow motion would tremble.
 * @param {number} width of the canvas @param {number} pad @param {number} radius @returns {Stamp[]}
 */
export function stamps(width, pad, radius) {
  const stride = width + 2 * pad;
  return QUARTERS.map(([dx, dy]) => {
    const inside = [], rim = [], alpha = [];
    for (let y = -pad; y <= pad; y++) for (let x = -pad; x <= pad; x++) {
      const covered = clamp(radius + .5 - Math.hypot(x + dx, y + dy), 0, 1);
      if (covered > .9) inside.push(y * stride + x);
      else if (covered > .1) {
        rim.push(y * stride + x);
        alpha.push(covered);
      }
    }
    return {inside: Int32Array.from(inside), rim: Int32Array.from(rim), alpha: Float32Array.from(alpha)};
  });
}

/**
 * Dots in order; a rim never dims a dot that is already there. Their colours: table[indices[i]], or table[0] for all.
 * @param {Uint32Array} target @param {View} view @param {Float32Array} points @param {number} count
 * @param {Uint32Array} table @param {Uint8Array} [indices]
 */
export function splat(target, {kx, bx, ky, by, width, height, pad, dots}, points, count, table, indices) {
  const stride = width + 2 * pad;
  for (let i = 0; i < count; i++) {
    const x = kx * points[2 * i] + bx, y = ky * points[2 * i + 1] + by, column = Math.floor(x), row = Math.floor(y);
    if (column < 0 || row < 0 || column >= width || row >= height) continue;
    const {inside, rim, alpha} = dots[(x - column >= .5 ? 1 : 0) + (y - row >= .5 ? 2 : 0)];
    const at = (row + pad) * stride + column + pad;
    const colour = indices ? table[indices[i]] : table[0], opacity = colour >>> 24;
    for (let k = 0; k < inside.length; k++) target[at + inside[k]] = colour;
    for (let k = 0; k < rim.length; k++) {
      const a = opacity * alpha[k] | 0, p = at + rim[k];
      if (target[p] >>> 24 < a) target[p] = colour & 0xffffff | a << 24;
    }
  }
}
