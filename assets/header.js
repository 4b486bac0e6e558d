// js_on_load body of Header: the title, and how the whole page looks. The choice stands in the address, like everything else.
const say = lab.t, body = document.body, query = new URLSearchParams(location.search);
element.innerHTML = `<header class="lab-header"><h1>Diffusion lab <small>${say("subtitle")}</small></h1><nav>
  <button type="button" data-look="dark">${say("dark")}</button>
  <button type="button" data-look="projector">${say("projector")}</button>
  <button type="button" data-copy>${say("copy_link")}</button></nav></header>`;
const LOOKS = {dark: ["__theme", "dark", "light"], projector: ["mode", "projector", null]};  // body class: address key, on, off

const press = look => element.querySelector(`[data-look=${look}]`).setAttribute("aria-pressed", body.classList.contains(look));
if (query.get("mode") === "projector") body.classList.add("projector");
Object.keys(LOOKS).forEach(press);

// A link to another tab does not load the page again: what is in this tab is still there when somebody comes back.
document.addEventListener("click", event => {
  const link = event.target.closest("a[href*='?tab=']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  document.dispatchEvent(new CustomEvent("lab-go", {detail: new URL(link.href).search.slice(1)}));
});

element.addEventListener("click", async ({target}) => {
  const {look, copy} = target.dataset;
  if (look) {
    const [key, on, off] = LOOKS[look], url = new URL(location), value = body.classList.toggle(look) ? on : off;
    if (value) url.searchParams.set(key, value); else url.searchParams.delete(key);
    history.replaceState(history.state, "", url);
    press(look);
  }
  if (copy !== undefined) {
    await navigator.clipboard.writeText(location.href);
    target.textContent = say("copied");
    setTimeout(() => { target.textContent = say("copy_link"); }, 1500);
  }
});
