// The colours of a figure, by what they mean: plots.py says it in the same way for a white page.

/** @typedef {{type: string, meta?: string}} Trace  Its meta is what its colour means. */

/**
 * The k-th trace of a type takes the k-th defaults of it, and a shape those of the item that it names.
 * @param {Trace[]} data
 * @param {{data: object, layout: {shapes?: {name: string}[]}}} given  what Python made
 * @param {(meaning: string) => string} colourOf
 * @param {[number, string][]} heat  a scale from good to bad: meanings, or shades between two
 */
export function template(data, {layout}, colourOf, heat) {
  /** @type {Record<string, object[]>} */
  const traces = {};
  const scale = heat.map(([share, shade]) => [share, shade.startsWith("#") ? shade : colourOf(shade)]);
  for (const {type, meta} of data) {
    const colour = meta ? {color: colourOf(meta)} : {};
    (traces[type] ??= []).push(
      type === "heatmap" ? {colorscale: scale}
      : type === "bar" ? {marker: colour, error_y: {color: colourOf("noise")}}
      : {marker: colour, line: colour});
  }
  const shapes = (layout.shapes ?? []).map(({name}) =>
    ({name, fillcolor: colourOf(name), line: {color: colourOf(name)}}));
  return {data: traces, layout: {...layout, shapes}};
}
