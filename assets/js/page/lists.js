// Gradio's lists of several choices, mended: it clears such a list, or takes out its last choice at Backspace, without
// an input event. Clicks on the choices' own crosses send one each; of several in one frame it mixes up the order.

/** @param {Event} event */
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
