// Header: the title, and how the whole page looks. The choice stands in the address, like everything else.

import {go} from "../page/address.js";
import {find} from "../page/dom.js";
import {t} from "../page/words.js";
import "../page/gradio.js";
import "../page/keyboard.js";

/** @type {Record<string, [string, string, string | null]>} class of body: key, and values on and off, in the address */
const LOOKS = {dark: ["__theme", "dark", "light"], projector: ["mode", "projector", null]};
const COPIED = 1500;  // ms that it says so

/**
 * A link to another tab does not load the page again: what is in this tab is still there later.
 * @param {MouseEvent} event
 */
function follow(event) {
  const target = /** @type {Element} */ (event.target);
  const link = /** @type {HTMLAnchorElement | null} */ (target.closest("a[href*='?tab=']"));
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(new URL(link.href).search.slice(1));
}

/** @param {string} look */
function change(look) {
  const [key, on, off] = LOOKS[look], value = document.body.classList.toggle(look) ? on : off;
  const url = new URL(location.href);
  if (value) url.searchParams.set(key, value);
  else url.searchParams.delete(key);
  history.replaceState(history.state, "", url);
}

/** Over plain HTTP, as in a lecture hall, there is no clipboard: then the link is shown. @param {HTMLElement} button */
async function copy(button) {
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    prompt(t("copy_link"), location.href);
    return;
  }
  button.textContent = t("copied");
  setTimeout(() => { button.textContent = t("copy_link"); }, COPIED);
}

/** @param {HTMLElement} element */
export function mount(element) {
  const {body} = document;
  element.innerHTML = `<header class="lab-header"><h1>Diffusion lab <small>${t("subtitle")}</small></h1><nav>
    <button type="button" data-look="dark">${t("dark")}</button>
    <button type="button" data-look="projector">${t("projector")}</button>
    <button type="button" data-copy>${t("copy_link")}</button></nav></header>`;
  const press = (/** @type {string} */ look) =>
    find(element, `[data-look=${look}]`).setAttribute("aria-pressed", String(body.classList.contains(look)));
  if (new URLSearchParams(location.search).get("mode") === "projector") body.classList.add("projector");
  Object.keys(LOOKS).forEach(press);
  document.addEventListener("click", follow);
  element.addEventListener("click", event => {
    const button = /** @type {HTMLElement} */ (event.target), {look} = button.dataset;
    if (look) {
      change(look);
      press(look);
    }
    if ("copy" in button.dataset) copy(button);
  });
}
