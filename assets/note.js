// js_on_load body of Note: a sentence of the server in the language of the page.
const load = () => {
  const [key, values] = props.value ? JSON.parse(props.value) : [], line = document.createElement("div");
  Object.assign(line, {className: "lab-note", role: "status", textContent: key ? lab.t(key, values) : ""});
  element.replaceChildren(line);
};
load();
watch("value", load);
