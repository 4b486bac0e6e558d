// Link: a link of the page to its tab was followed; the page is not loaded again.

/** @param {HTMLElement} _element @param {Props} props @param {Gradio} gradio */
export const mount = (_element, props, {trigger}) => document.addEventListener("lab-go", ({detail}) => {
  const tab = new URLSearchParams(detail).get("tab");
  if (tab === null ? !props.first : tab !== props.name) return;  // an address that names none means the first
  props.value = detail;
  trigger("submit");
});
