// Sentences with places for numbers and for other sentences.

/** @typedef {Record<string, any>} Values  A list among them is a sentence of its own: [key, values]. */

/**
 * Says a key in a language; a key that has no words there says itself.
 * @param {Record<string, string>} words @param {string} key @param {Values} [values] @returns {string}
 */
export const say = (words, key, values = {}) => (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => {
  const value = values[name];
  return Array.isArray(value) ? say(words, value[0], value[1]) : value;
});
