// Runs of points: where every particle is at a time.

import assert from "node:assert/strict";
import {test} from "node:test";
import {between} from "../../assets/js/pure/levels.js";
import {ClosedForm, Shots, TRAIL_POINTS, Walk, runOf} from "../../assets/js/pure/points.js";
import {bytes, close, header, schedule, uniform} from "./help.js";

const N = 3, T = 10, UNIT = 8 / 32767, [alpha, sigma] = schedule(T);
const random = uniform(11);
const quanta = (/** @type {number} */ n) => Int16Array.from({length: n}, () => Math.round(65534 * random() - 32767));

function closedForm(more = {}) {
  const run = new ClosedForm(header({mode: "mix", alpha, sigma, ...more})), pair = quanta(4 * N);
  assert.equal(run.there, false);
  assert.equal(run.take("PAIR", bytes(pair)), true);
  return {run, x0: pair.subarray(0, 2 * N), eps: pair.subarray(2 * N)};
}

/** A walk with its steps so far. @param {number[]} times @param {number} [arrived] */
function walk(times, arrived = times.length) {
  const run = new Walk(header({mode: "frames", layers: ["x", "x0"], times}));
  const steps = times.slice(0, arrived).map(time => ({time, x: quanta(2 * N), x0: quanta(2 * N)}));
  for (const [k, {time, x, x0}] of steps.entries()) run.take("FRAME", bytes(Int32Array.of(time, k), x, x0));
  return {run, steps};
}
const scaled = (/** @type {Int16Array} */ q) => Array.from(q, v => v * UNIT);
/** @param {{positions: Function}} run @param {number} t */
const positions = (run, t) => run.positions(t, new Float32Array(2 * N));

test("the closed form is alpha x0 + sigma eps, at every t and between two", () => {
  const {run, x0, eps} = closedForm();
  for (const t of [0, 1, 4.25, 9.5, T]) {
    const a = between(alpha, t), s = between(sigma, t), scale = UNIT / Math.hypot(a, s);
    assert.ok(close(positions(run, t), Array.from(x0, (q, i) => (a * q + s * eps[i]) * scale)));
  }
  assert.ok(close(positions(run, 0), scaled(x0)));
});

test("the closed form of a path that grows is shown in variance-preserving coordinates", () => {
  const growing = {alpha: Array(T + 1).fill(1), sigma: Array.from({length: T + 1}, (_, t) => 3 * t)};
  const {run, x0, eps} = closedForm(growing), norm = Math.hypot(1, 3 * T);
  assert.ok(close(positions(run, T), Array.from(x0, (q, i) => (q + 3 * T * eps[i]) / norm * UNIT)));
});

test("a walk is at its stored steps when they come, and on straight lines between them", () => {
  for (const times of [[0, 2, 5, 10], [10, 7, 3, 0]]) {
    const {run, steps} = walk(times);
    for (const {time, x, x0} of steps) {
      assert.ok(close(positions(run, time), scaled(x)));
      assert.ok(close(run.estimates(time, new Float32Array(2 * N)), scaled(x0)));
    }
    const [one, two] = steps, middle = (one.time + two.time) / 2;
    assert.ok(close(positions(run, middle), scaled(one.x).map((v, i) => (v + scaled(two.x)[i]) / 2)));
  }
});

test("no walk is shown past what has arrived", () => {
  const down = walk([10, 7, 3, 0], 2).run, up = walk([0, 3, 7, 10], 2).run;
  for (let t = 0; t <= T; t++) {
    assert.equal(down.at(t), Math.max(t, 7));
    assert.equal(up.at(t), Math.min(t, 3));
    assert.ok(down.times[down.before(t)] >= Math.min(t, 7) && down.before(t) < 2);
  }
});

test("a trail ends where its particle is, and no trail is longer than its room", () => {
  const long = walk(Array.from({length: 300}, (_, k) => 299 - k)).run;
  for (const {run, t} of [{run: closedForm().run, t: 6.5}, {run: walk([10, 7, 3, 0]).run, t: 5}, {run: long, t: 20}]) {
    const out = new Float32Array(2 * (TRAIL_POINTS + 2)), points = run.trail(1, t, out);
    assert.ok(points <= TRAIL_POINTS + 2);
    assert.ok(close(out.slice(2 * points - 2, 2 * points), positions(run, t).slice(2, 4)));
  }
});

test("of walks of a network that learns the newest is on show, until another one is chosen", () => {
  const run = new Shots(header({mode: "shots", times: [0, 5, 10]})), shots = [0, 1, 2, 3].map(() => quanta(3 * 2 * N));
  const send = (/** @type {number} */ k) => run.take("SHOT", bytes(Int32Array.of(100 * k, 0), shots[k]));
  assert.equal(run.there, false);
  send(0);
  send(1);
  assert.ok(close(positions(run, 0), scaled(shots[1].subarray(0, 2 * N))));
  run.select(0);
  send(2);
  assert.ok(close(positions(run, 10), scaled(shots[0].subarray(4 * N))));
  run.select(2);
  send(3);
  assert.equal(run.shot, 3);
  assert.deepEqual(run.shots.map(({step}) => step), [0, 100, 200, 300]);
});

test("a header says which run it is of", () => {
  assert.ok(runOf(header({mode: "mix", alpha, sigma})) instanceof ClosedForm);
  assert.ok(runOf(header({mode: "frames", times: [0, 1]})) instanceof Walk);
  assert.throws(() => runOf(header({mode: "magic"})), /magic/);
});
