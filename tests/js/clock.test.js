// The clock: never outside 0 .. T, never past what has been computed.

import assert from "node:assert/strict";
import {test} from "node:test";
import {Clock} from "../../assets/js/pure/clock.js";
import {uniform} from "./help.js";

/**
 * A clock that has just begun.
 * @param {"forward" | "reverse"} direction @param {{t?: number | null, play?: boolean}} [wanted]
 */
function begun(direction, {t = null, play = true} = {}, T = 100) {
  const clock = new Clock();
  clock.begin("run", {T, direction}, {t, play});
  return clock;
}

test("whatever hands do to it, it stays within 0 .. T", () => {
  const random = uniform(3);
  for (const direction of /** @type {const} */ (["forward", "reverse"])) {
    const clock = begun(direction);
    /** @type {(() => void)[]} */
    const hands = [
      () => clock.play(), () => clock.pause(), () => clock.toggle(), () => clock.setT(400 * random() - 150),
      () => { clock.speed = 4 * random(); }, () => clock.reach("run", Math.round(100 * random()), random() < .9),
      () => clock.begin("run", {T: 100, direction}, {t: null, play: random() < .5}),
      () => clock.begin("run", {T: 100, direction}, {t: 300 * random() - 100, play: random() < .5}),
    ];
    for (let k = 0; k < 5000; k++) {
      hands[Math.floor(random() * hands.length)]();
      for (let frame = 0; frame < 5; frame++) clock.advance(100 * random());
      assert.ok(clock.t >= 0 && clock.t <= clock.T, `${direction}: ${clock.t}`);
    }
  }
});

test("a reverse clock never passes the slowest run that is still computed", () => {
  const random = uniform(5), clock = begun("reverse");
  clock.begin("other", {T: 100, direction: "reverse"}, {t: null, play: true});
  let [fast, slow] = [100, 100];
  while (slow > 0) {
    [fast, slow] = [Math.max(0, fast - 6 * random()), Math.max(0, slow - 3 * random())];
    clock.reach("run", fast, fast > 0);
    clock.reach("other", slow, slow > 0);
    for (let k = 0; k < 20; k++) {
      if (slow > 0 && !clock.playing) clock.play();
      clock.advance(16);
      assert.ok(clock.t >= slow);
    }
  }
});

test("it plays from noise to data once, and stops there", () => {
  const clock = begun("reverse");
  clock.reach("run", 0, false);
  for (let k = 0; k < 1000; k++) clock.advance(16);
  assert.equal(clock.t, 0);
  assert.equal(clock.playing, false);
  clock.play();
  assert.equal(clock.t, clock.T);
});

test("a paused reverse clock follows the newest step until somebody takes the time", () => {
  const clock = begun("reverse", {play: false});
  clock.reach("run", 80);
  assert.equal(clock.t, 80);
  clock.setT(90);
  clock.reach("run", 70);
  assert.equal(clock.t, 90);
});

test("a forward clock goes to both ends and rests there", () => {
  const clock = begun("forward"), seen = new Set();
  let rested = 0;
  for (let k = 0, before = -1; k < 2000; before = clock.t, k++) {
    clock.advance(16);
    if (clock.t === before) rested++;
    if (clock.t === 0 || clock.t === clock.T) seen.add(clock.t);
  }
  assert.deepEqual(seen, new Set([0, 100]));
  assert.ok(rested > 100);
});

test("another range keeps the place, as a share of it", () => {
  const clock = begun("forward", {t: 30, play: false});
  clock.begin("run", {T: 1000, direction: "forward"}, {t: null});
  assert.equal(clock.t, 300);
  clock.begin("run", {T: 10, direction: "forward"}, {t: 99});
  assert.equal(clock.t, 10);
});

test("at rest it stands at a step", () => {
  const clock = begun("forward");
  clock.advance(33);
  assert.notEqual(clock.t, Math.round(clock.t));
  clock.pause();
  assert.equal(clock.t, Math.round(clock.t));
});
