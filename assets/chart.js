// js_on_load body of Chart: one kept div and Plotly.react, so that zoom survives; with a clock, a cursor at t.
const {css, visible} = lab, id = props.name, clock = props.clock ? lab.clock(props.clock) : null;
element.innerHTML = `<div class="lab-chart" role="img" style="height: ${props.height}px"></div><p class="lab-hidden"></p>`;
const [gd, alt] = element.children, cursor = document.createElement("div");
cursor.className = "lab-cursor";
cursor.hidden = true;

// Colours in a figure may be CSS variables, so that they follow the theme: "var(--lab-data)".
const EMPTY = '{"data": [], "layout": {"xaxis": {"visible": false}, "yaxis": {"visible": false}}}';
const figure = () => JSON.parse((props.value || EMPTY).replace(/var\((--[\w-]+)\)/g, (_, name) => css(name)));

async function draw() {
  const {data, layout} = figure(), theme = lab.layout();
  const axes = Object.keys(layout).filter(key => /^[xy]axis\d*$/.test(key)).concat("xaxis", "yaxis");
  const themed = Object.fromEntries(axes.map(key => [key, {automargin: true, ...lab.axis(), ...layout[key]}]));
  await Plotly.react(gd, data, {margin: {l: 48, r: 12, t: layout.title ? 36 : 12, b: 40}, ...theme, ...(clock && {dragmode: false}), ...layout, ...themed,
    font: {...theme.font, ...layout.font}}, {displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"]});
  gd.append(cursor);
  alt.textContent = layout.meta?.alt ?? layout.title?.text ?? "";
  gd.setAttribute("aria-label", alt.textContent);
}

// A div, not a shape: no Plotly call per frame. d2p and p2d know about log axes and zoom.
function place() {
  const {xaxis, _size} = gd._fullLayout ?? {};
  cursor.hidden = !clock?.T || !xaxis?._length;
  if (cursor.hidden) return;
  const x = xaxis.d2p(clock.t);
  cursor.hidden = !(x >= 0 && x <= xaxis._length);
  cursor.style.cssText = `top: ${_size.t}px; height: ${_size.h}px; transform: translateX(${xaxis._offset + x}px)`;
}

lab.plotly().then(async () => {
  await draw();
  for (const event of ["plotly_afterplot", "plotly_relayouting", "plotly_relayout"]) gd.on(event, place);
  if (clock) {
    clock.subscribe(place, element);
    let held = false;
    const seek = ({clientX}) => clock.setT(Math.round(gd._fullLayout.xaxis.p2d(clientX - gd.getBoundingClientRect().left - gd._fullLayout.xaxis._offset)));
    gd.addEventListener("pointerdown", event => {
      held = clock.T > 0 && event.target.closest(".draglayer") && !gd._fullLayout.dragmode;  // else the drag is a zoom
      if (held) seek(event);
    }, true);
    addEventListener("pointermove", event => held && seek(event));
    addEventListener("pointerup", () => { held = false; });
  }
  lab.onTheme(draw, element);
  lab.charts[id] = {gd, clock, element};
  new ResizeObserver(() => visible(element) && Plotly.Plots.resize(gd).then(place)).observe(gd);
  watch("value", draw);
});
