// js_on_load body of Link: a link of the page to its tab was followed; the page is not loaded again.
document.addEventListener("lab-go", ({detail}) => {
  if ((new URLSearchParams(detail).get("tab") ?? (props.first ? props.name : "")) !== props.name) return;
  props.value = detail;
  trigger("submit");
});
