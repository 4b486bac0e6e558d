// Note: a sentence of the server in the language of the page.

import {make} from "../page/dom.js";
import {t} from "../page/words.js";

/** @param {HTMLElement} element @param {Props} props @param {Gradio} gradio */
export function mount(element, props, {watch}) {
  const load = () => {
    const [key, values] = props.value ? JSON.parse(props.value) : [];
    const textContent = key ? t(key, values) : "";
    element.replaceChildren(make("div", {className: "lab-note", role: "status", textContent}));
  };
  load();
  watch("value", load);
}
