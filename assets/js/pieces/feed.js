// One stream at a time into a picture: its progress with Stop, its place in the queue, and what went wrong with Retry.

import {Refused, ask, nameOf} from "../page/config.js";
import {button, find, put} from "../page/dom.js";
import {t} from "../page/words.js";
import {number} from "../pure/number.js";
import {read} from "../pure/reader.js";

/**
 * What a picture hears of its stream.
 * @typedef {object} Listener
 * @property {(part: Partial<Header>) => void} told  the header, then news of it
 * @property {(kind: string, payload: Uint8Array) => void} take  all else
 * @property {(seconds: string) => string} progress  words, if there are any
 * @property {() => void} failed  what is there already has to do
 * @property {() => void} ended  in whatever way
 */

export class Feed {
  static markup = () => `<div class="lab-status" role="status" hidden><span></span> ${button("stop", t("stop"))}</div>
    <div class="lab-message" role="alert" hidden><span></span> ${button("retry", t("retry"))}</div>`;

  /** @type {AbortController | null} */
  request = null;
  #queued = 0;  // so many go first

  /** @param {Element} element @param {Listener} listener */
  constructor(element, listener) {
    this.listener = listener;
    this.status = find(element, ".lab-status");
    this.message = find(element, ".lab-message");
  }

  /** @param {Element} node @param {string} words @param {boolean} [action] */
  #tell(node, words, action = false) {
    /** @type {HTMLElement} */ (node).hidden = !words;
    put(find(node, "span"), words);
    find(node, "button").hidden = !action;
  }

  /** @param {string} words @param {boolean} again */
  #fail(words, again) {
    this.listener.failed();
    this.#tell(this.message, words, again);
  }

  /**
   * `needed`: a promise that must come true, too.
   * @param {string} src @param {{cache?: RequestCache, needed?: Promise<unknown>}} [settings]
   */
  async open(src, {cache = "default", needed} = {}) {
    this.request?.abort();
    const mine = this.request = new AbortController();
    this.#queued = 0;
    this.#tell(this.message, "");
    this.#tell(this.status, "");
    needed?.catch(() => {});  // awaited when the stream is there
    try {
      await this.#receive(await ask(src, {signal: mine.signal, cache}));
      await needed;
    } catch (error) {
      this.#explain(error);
    } finally {
      if (mine === this.request) this.#close();
    }
  }

  /** @param {Response} response */
  async #receive({body}) {
    const {listener} = this, started = performance.now();
    if (body) await read(body, (kind, payload) => {
      const name = nameOf(kind);
      if (name === "JSON") this.#told(JSON.parse(new TextDecoder().decode(payload)));
      else listener.take(name, payload);
      const seconds = number((performance.now() - started) / 1000, 1);
      const words = this.#queued ? t("queued", {n: this.#queued}) : listener.progress(seconds);
      if (words) this.#tell(this.status, words, true);
    });
  }

  /** @param {Partial<Header>} part */
  #told(part) {
    this.#queued = part.queued ?? this.#queued;  // known before anything else; and again, when others had their turn
    if (part.message) this.#fail(t(...part.message), false);
    this.listener.told(part);
  }

  /** @param {unknown} error */
  #explain(error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    if (error instanceof Refused) return this.#fail(error.words ? t(...error.words) : error.message, error.again);
    if (!(error instanceof TypeError)) throw error;  // what fetch and read say when the network fails
    console.warn(error);
    this.#fail(t("network"), true);
  }

  #close() {
    this.request = null;
    this.#tell(this.status, "");
    this.listener.ended();
  }

  stop(again = true) {
    this.request?.abort();
    this.#close();
    this.#fail(t("stopped"), again);
  }
}
