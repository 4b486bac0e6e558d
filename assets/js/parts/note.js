// Note: a sentence of the server in the language of the page.

import {make} from "../page/dom.js";
import {t} from "../page/words.js";

/** @param {HTMLElement} element @param {Props} props @param {Gradio} gradio */
export function mount(element, props, {watch}) {
  const load = () => {
    const [key, values] = props.value ? JSON.parse(props.value) : [];
    element.replaceChildren(make("div", {className: "lab-note", role: "status", textContent: key ? t(key, values) : ""}));
  };
  load();
  watch("value", load);
}
