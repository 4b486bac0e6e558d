// Random numbers that are the same every time, and chunks as a server sends them.

/** Numbers from 0 to 1. @param {number} seed */
export const uniform = (seed = 1) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let x = Math.imul(seed ^ seed >>> 15, 1 | seed);
  x = (x + Math.imul(x ^ x >>> 7, 61 | x)) ^ x;
  return ((x ^ x >>> 14) >>> 0) / 2 ** 32;
};

/**
 * [uint32 kind][uint32 length][payload, padded to 4 bytes].
 * @param {number} kind @param {ArrayLike<number>} payload bytes
 */
export function chunk(kind, payload) {
  const bytes = new Uint8Array(8 + Math.ceil(payload.length / 4) * 4);
  new Uint32Array(bytes.buffer, 0, 2).set([kind, payload.length]);
  bytes.set(payload, 8);
  return bytes;
}

/**
 * The bytes of several typed arrays, one after the other.
 * @param {(Int32Array | Int16Array | Uint8Array | Float32Array)[]} arrays
 */
export const bytes = (...arrays) =>
  Uint8Array.from(arrays.flatMap(array => [...new Uint8Array(array.buffer, array.byteOffset, array.byteLength)]));

/** Whether two lists of numbers are equal up to rounding. @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
export const close = (a, b, tolerance = 1e-5) =>
  a.length === b.length && Array.from(a).every((x, i) => Math.abs(x - b[i]) <= tolerance);

/** A variance-preserving schedule of `last` steps, [alpha, sigma]. @param {number} last */
export function schedule(last) {
  const angle = Array.from({length: last + 1}, (_, t) => .5 * Math.PI * t / (last + .1));
  return [angle.map(Math.cos), angle.map(Math.sin)];
}

/** The header of a stream of points. @param {object} more */
export const header = more => /** @type {any} */ ({
  n: 3, axis: {name: "t", last: 10}, unit: 8 / 32767, view: 3, direction: "forward", badge: "exact", title: [],
  layers: ["x"],
  ...more,
});
