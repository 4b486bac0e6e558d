// Numbers, words, links and colours.

import assert from "node:assert/strict";
import {test} from "node:test";
import {changed, linkTo} from "../../assets/js/pure/address.js";
import {blend, pixel} from "../../assets/js/pure/colour.js";
import {coefficients, levelAt} from "../../assets/js/pure/levels.js";
import {nearest, number} from "../../assets/js/pure/number.js";
import {say} from "../../assets/js/pure/words.js";
import {schedule, uniform} from "./help.js";

test("a number is read as what it was, within its digits", () => {
  const random = uniform(17);
  for (let k = 0; k < 2000; k++) {
    const x = (random() - .5) * 10 ** (20 * random() - 10), shown = number(x);
    const read = Number(shown.replaceAll("−", "-"));
    assert.ok(!shown.includes("-"), shown);
    assert.ok(Math.abs(read - x) <= Math.max(.0005, .051 * Math.abs(x)) * 1.0001, `${x} as ${shown}`);
    assert.ok(x === 0 || read !== 0, `${x} as ${shown}`);
  }
  assert.deepEqual([NaN, Infinity, -Infinity, 0].map(x => number(x)), ["–", "∞", "−∞", "0.000"]);
});

test("nearest is nearest", () => {
  const random = uniform(19), values = Array.from({length: 50}, random);
  for (let k = 0; k < 200; k++) {
    const x = 2 * random() - .5, best = Math.abs(values[nearest(values, x)] - x);
    assert.ok(values.every(value => Math.abs(value - x) >= best));
  }
});

test("a link says again what it was made of, and keeps how the page looks", () => {
  const recipe = "tab=reverse&data=own.a%2Bb&eta=0.5", now = "?tab=forward&t=7&mode=projector&__theme=dark&layers=x0";
  const link = linkTo(recipe, {t: 40, layers: "data,trails"}, now);
  assert.deepEqual(Object.fromEntries(new URLSearchParams(link)), {
    tab: "reverse", data: "own.a+b", eta: "0.5", t: "40", layers: "data,trails", mode: "projector", __theme: "dark",
  });
  assert.equal(linkTo(link, {}, link), link);
  assert.deepEqual(Object.fromEntries(new URLSearchParams(changed("?tab=views&seed=1", {particle: 3, seed: 2}))),
    {tab: "views", seed: "2", particle: "3"});
});

test("a sentence has its numbers and other sentences in it; a key without words says itself", () => {
  const words = {outer: "{who} is {what}, {n}", inner: "the {x}"};
  assert.equal(say(words, "outer", {who: ["inner", {x: "cloud"}], what: ["unknown"], n: 0}), "the cloud is unknown, 0");
  assert.equal(say(words, "nowhere"), "nowhere");
});

test("readouts of a step agree with one another", () => {
  const T = 50, [alpha, sigma] = schedule(T);
  let product = 1;
  for (let t = 1; t <= T; t++) {
    const level = levelAt({alpha, sigma}, t);
    assert.ok(level);
    product *= 1 - level.beta;
    assert.ok(Math.abs(level.alpha_bar - level.snr / (1 + level.snr)) < 1e-12);
    assert.ok(Math.abs(2 * level.lam - Math.log(level.snr)) < 1e-9);
    assert.ok(Math.abs(product - level.alpha_bar) < 1e-12);  // alpha_bar is the product of 1 - beta
    const [kept, added] = coefficients({alpha, sigma}, "forward", t);
    assert.ok(Math.abs(kept ** 2 + added ** 2 - 1) < 1e-12);
    assert.deepEqual(coefficients({alpha, sigma}, "mix", t), [alpha[t], sigma[t]]);
  }
  assert.equal(levelAt({}, 3), null);
});

test("a chain without shrinking adds the difference of the variances", () => {
  const sigma = [0, 1, 2.5, 4], alpha = [1, 1, 1, 1];
  for (let t = 1; t < 4; t++) {
    const [kept, added] = coefficients({alpha, sigma, as_it_is: true}, "forward", t);
    assert.equal(kept, 1);
    assert.ok(Math.abs(sigma[t - 1] ** 2 + added ** 2 - sigma[t] ** 2) < 1e-12);
  }
});

test("a pixel is its colour, and a blend lies between its two", () => {
  assert.deepEqual([...new Uint8Array(Uint32Array.of(pixel("#0172fe", 90)).buffer)], [0x01, 0x72, 0xfe, 90]);
  const [under, over] = [pixel("#204060"), pixel("#f0a080")];
  assert.equal(blend(under, over, 0), under);
  for (let a = 0; a < 256; a++) {
    const [red, green, blue, alpha] = new Uint8Array(Uint32Array.of(blend(under, over, a)).buffer);
    assert.ok(red >= 0x20 && red <= 0xf0 && green >= 0x40 && green <= 0xa0 && blue >= 0x60 && blue <= 0x80);
    assert.equal(alpha, 255);
  }
});
