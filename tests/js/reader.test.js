// The reader: the same chunks however the network cuts the bytes.

import assert from "node:assert/strict";
import {test} from "node:test";
import {Reader, int16, int32, read} from "../../assets/js/pure/reader.js";
import {bytes, chunk, uniform} from "./help.js";

const random = uniform(7);
const SENT = Array.from({length: 200}, (_, k) =>
  ({kind: k % 9, payload: Array.from({length: Math.floor(random() * 300)}, () => Math.floor(random() * 256))}));
const STREAM = bytes(...SENT.map(({kind, payload}) => chunk(kind, payload)));

/** What comes out when the stream is cut at these places. @param {number[]} cuts */
function taken(cuts) {
  /** @type {{kind: number, payload: number[]}[]} */
  const got = [];
  const reader = new Reader((kind, payload) => {
    assert.equal(payload.byteOffset % 4, 0);  // views of it need no copy
    got.push({kind, payload: [...payload]});
  });
  let from = 0;
  for (const to of [...cuts, STREAM.length]) {
    reader.push(STREAM.slice(from, to));
    from = to;
  }
  reader.end();
  return got;
}

test("the same chunks, however the bytes are cut", () => {
  assert.deepEqual(taken([]), SENT);
  assert.deepEqual(taken(Array.from({length: STREAM.length - 1}, (_, k) => k + 1)), SENT);
  for (let k = 0; k < 20; k++) {
    const cuts = Array.from({length: 40}, () => Math.floor(random() * STREAM.length)).sort((a, b) => a - b);
    assert.deepEqual(taken(cuts), SENT);
  }
});

test("a chunk larger than the buffer comes in one piece", () => {
  const large = Array.from({length: 1 << 18}, (_, k) => k % 251);
  /** @type {number[][]} */
  const got = [];
  const reader = new Reader((_, payload) => got.push([...payload]));
  const sent = bytes(chunk(1, [1, 2, 3]), chunk(2, large));
  for (let from = 0; from < sent.length; from += 5000) reader.push(sent.slice(from, from + 5000));
  reader.end();
  assert.deepEqual(got, [[1, 2, 3], large]);
});

test("a stream that ends within a chunk says so, as a failed fetch does", async () => {
  for (const length of [3, 9, STREAM.length - 1]) {
    const body = new Blob([STREAM.slice(0, length)]).stream();
    await assert.rejects(read(body, () => {}), TypeError);
  }
  await read(new Blob([STREAM]).stream(), () => {});
});

test("numbers in a payload are read where they are", () => {
  const payload = bytes(Int32Array.of(-5, 1 << 30), Int16Array.of(-32767, 12, 32767));
  const reader = new Reader((kind, inside) => {
    if (kind === 0) return;
    assert.deepEqual([...int32(inside, 2)], [-5, 1 << 30]);
    assert.deepEqual([...int16(inside, 8)], [-32767, 12, 32767]);
  });
  reader.push(bytes(chunk(0, [9]), chunk(1, payload)));
});
