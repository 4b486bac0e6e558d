// What Python says of the page, and what the server answers.

export const config = window.lab_config;
export const {palette, language} = config;

const NAMES = Object.fromEntries(Object.entries(config.wire).map(([name, kind]) => [kind, name]));

/** The name of a kind of chunk. @param {number} kind */
export const nameOf = kind => NAMES[kind];

/** The server does not answer what was asked for; it may say why, as a key of the page's words with its values. */
export class Refused extends Error {
  /** @param {Response} response @param {[string, Record<string, any>?] | undefined} words */
  constructor(response, words) {
    super(`${response.status} ${response.statusText}`);
    this.words = words;
    this.again = response.status >= 500;  // another time it may
  }
}

/**
 * What is at an address relative to the page. Throws Refused; TypeError, as fetch does, if there is no network.
 * @param {string} path @param {RequestInit} [settings]
 */
export async function ask(path, settings) {
  const response = await fetch(`${config.root}/${path}`, settings);
  if (response.ok) return response;
  throw new Refused(response, (await response.json().catch(() => ({}))).message);
}
