// The words of the page, in the language of its reader.

import {say} from "../pure/words.js";
import {config, language} from "./config.js";

/** @type {Record<string, string>} */
const words = await (await fetch(`${config.assets}/i18n/${language}.json`)).json();

/** @param {string} key @param {import("../pure/words.js").Values} [values] */
export const t = (key, values) => say(words, key, values);

/** A list of keys as one title. @param {string[]} keys */
export const title = keys => keys.map(key => t(key)).join(" · ");
