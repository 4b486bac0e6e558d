// Colours as ImageData has them on a little-endian machine: 0xAABBGGRR.

/** @param {string} colour "#rrggbb" @param {number} [alpha] 0 to 255 */
export function pixel(colour, alpha = 255) {
  const rgb = parseInt(colour.slice(1), 16);
  return (alpha << 24 | (rgb & 255) << 16 | rgb & 0xff00 | rgb >> 16) >>> 0;
}

/**
 * `a` of 256 parts of the pixel `over`, the rest of `under`; opaque.
 * @param {number} under @param {number} over @param {number} a
 */
export function blend(under, over, a) {
  const red = (under & 255) + (((over & 255) - (under & 255)) * a >> 8);
  const green = (under >> 8 & 255) + (((over >> 8 & 255) - (under >> 8 & 255)) * a >> 8);
  const blue = (under >> 16 & 255) + (((over >> 16 & 255) - (under >> 16 & 255)) * a >> 8);
  return (0xff000000 | blue << 16 | green << 8 | red) >>> 0;
}
