// Runs of pictures and of fields: nothing is made up between two steps.

import assert from "node:assert/strict";
import {test} from "node:test";
import {Fields} from "../../assets/js/pure/fields.js";
import {Pictures} from "../../assets/js/pure/pictures.js";
import {bytes, close, header, schedule, uniform} from "./help.js";

const random = uniform(13), SHAPE = [2, 3], AREA = 6, N = 3, T = 10;
const greys = (/** @type {number} */ n) => Uint8Array.from({length: n}, () => Math.floor(256 * random()));

test("a step on show is one that was computed, the last one on the way", () => {
  const run = new Pictures(header({mode: "pictures", direction: "reverse", shape: SHAPE, times: [10, 6, 2, 0]}));
  assert.equal(run.there, false);
  for (const t of [10, 6, 2]) run.take("PIXELS", bytes(Int32Array.of(t, 10 - t), greys(2 * N * AREA)));
  for (let t = 0; t <= T; t++) assert.equal(run.at(t), [10, 6, 2].findLast(time => time >= t));
  assert.equal(run.nfe(2), 8);
});

test("pictures come back as they were sent, x0-hat as soon as there is one", () => {
  const run = new Pictures(header({mode: "pictures", direction: "reverse", shape: SHAPE, times: [10, 0]}));
  const x = greys(N * AREA), x0 = greys(N * AREA);
  run.take("PIXELS", bytes(Int32Array.of(10, 0), x));
  assert.deepEqual(run.pictures("x", 10), x);
  assert.equal(run.pictures("x0", 10)?.length, 0);
  run.take("PIXELS", bytes(Int32Array.of(10, 1), x, x0));
  assert.deepEqual(run.pictures("x0", 10, 1, 2), x0.subarray(AREA, 2 * AREA));
  assert.equal(run.pictures("x", 0), undefined);
  assert.deepEqual(run.times, [10]);
});

test("real pictures that melt are the data at 0 and the noise at T", () => {
  const [alpha, sigma] = schedule(T), unit = 1 / 127.5;  // so that -127.5 .. 127.5 are -1 .. 1
  [alpha[T], sigma[T]] = [0, 1];
  const run = new Pictures(header({mode: "mix", shape: SHAPE, alpha, sigma, unit}));
  const pair = Int16Array.from({length: 2 * N * AREA}, () => Math.floor(250 * random()) - 125);
  run.take("PAIR", bytes(pair));
  const grey = (/** @type {Int16Array} */ q) => Array.from(q, v => v + 127.5);
  assert.ok(close(run.pictures("x", 0) ?? [], grey(pair.subarray(0, N * AREA)), .5));
  assert.ok(close(run.pictures("x", T) ?? [], grey(pair.subarray(N * AREA)), .5));
  assert.deepEqual([run.film[0], run.film.at(-1)], [0, T]);
});

test("a field comes back as it was sent, with its errors", () => {
  const side = 4, n = side * side, unit = 1 / 32767;
  const shape = {side, unit, view: 2, times: [0, 100]};
  const run = new Fields(header({rows: ["learned", "exact"], views: ["eps", "v"], ...shape}));
  const vectors = Int16Array.from({length: 2 * 2 * n * 2}, () => Math.round(65534 * random() - 32767));
  const scale = Float32Array.of(2, 5), density = greys(n);
  vectors.copyWithin(2 * 2 * n, 0, 2 * n);  // of eps, the learned field is the exact one
  assert.equal(run.take("FIELD", bytes(Int32Array.of(1), scale, vectors, density)), true);
  const level = run.levels[1];
  assert.ok(level && !run.levels[0]);
  assert.deepEqual(level.density, density);
  assert.ok(level.errors[0].every(error => error === 0) && level.errors[1].some(error => error > 0));
  const at = 2 * n * 3 + 2 * 7;  // row 1, view 1, node 7
  assert.ok(close(run.vector(level, 1, 1, 7), [vectors[at], vectors[at + 1]].map(q => 5 * q / 32767)));
  assert.deepEqual([0, 49, 51, 100].map(t => run.at(t)), [0, 0, 1, 1]);
  assert.deepEqual([run.place(0), run.place(n - 1)], [[-1.5, -1.5], [1.5, 1.5]]);
});
