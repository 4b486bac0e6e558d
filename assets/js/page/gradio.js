// Gradio's controls, mended: what they change without an input event, the page would not hear of.

/**
 * It clears a list of several choices, or takes out its last choice at Backspace. Clicks on the choices' own crosses
 * send an event each; of several in one frame it mixes up the order. @param {Event} event
 */
async function takeOut(event) {
  const target = /** @type {Element} */ (event.target), key = event instanceof KeyboardEvent ? event.key : "";
  const all = target.closest(".remove-all") !== null && (event.type === "click" || key === "Enter");
  const empty = target instanceof HTMLInputElement && target.matches("[role=combobox]") && !target.value;
  if (!all && !(key === "Backspace" && empty)) return;
  const found = target.closest(".wrap-inner")?.querySelectorAll(".token .token-remove") ?? [];
  const crosses = /** @type {HTMLElement[]} */ ([...found].reverse());
  if (!crosses.length) return;
  event.preventDefault();
  event.stopPropagation();
  for (const cross of all ? crosses : crosses.slice(0, 1)) {
    cross.click();
    await new Promise(requestAnimationFrame);
  }
}
for (const type of ["click", "keydown"]) document.addEventListener(type, takeOut, true);

/** It resets a slider. @param {Event} event */
function reset({target}) {
  const slider = /** @type {Element} */ (target).closest(".reset-button")?.closest(".block");
  const field = slider?.querySelector("input[type=number]");
  if (field) setTimeout(() => field.dispatchEvent(new Event("input", {bubbles: true})));  // when it shows the default
}
document.addEventListener("click", reset);
