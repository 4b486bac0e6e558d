// Colours of a figure: every trace takes the one of its own meaning, as Plotly hands out the defaults of a template.

import assert from "node:assert/strict";
import {test} from "node:test";
import {template} from "../../assets/js/pure/template.js";

/** @type {[number, string][]} */
const HEAT = [[0, "exact"], [.5, "#bfe3d6"], [1, "learned"]];
const colourOf = (/** @type {string} */ meaning) => `colour of ${meaning}`;

test("a trace takes the colour of its meaning, whatever stands between it and the others of its type", () => {
  const meanings = ["data", "learned", undefined, "exact", "error"];
  const data = meanings.map((meta, k) => ({type: k === 1 ? "bar" : "scatter", meta}));
  const {data: defaults} = template(data, {data: {}, layout: {}}, colourOf, HEAT), counts = {scatter: 0, bar: 0};
  for (const {type, meta} of data) {
    const kind = /** @type {"scatter" | "bar"} */ (type), own = /** @type {any} */ (defaults[kind][counts[kind]++]);
    assert.equal(own.marker.color, meta && colourOf(meta));
    if (kind === "scatter") assert.deepEqual(own.line, own.marker);
  }
});

test("a scale runs from what is good to what is bad; shades between are themselves", () => {
  const {data: {heatmap: [own]}} = template([{type: "heatmap"}], {data: {}, layout: {}}, colourOf, HEAT);
  assert.deepEqual(own, {colorscale: [[0, "colour of exact"], [.5, "#bfe3d6"], [1, "colour of learned"]]});
});

test("a shape takes the colour of the item that it names; all else of the layout stays", () => {
  const given = {data: {}, layout: {shapes: [{name: "noise"}], autotypenumbers: "strict"}};
  const {layout} = template([], given, colourOf, HEAT);
  assert.deepEqual(layout, {autotypenumbers: "strict",
    shapes: [{name: "noise", fillcolor: "colour of noise", line: {color: "colour of noise"}}]});
});
