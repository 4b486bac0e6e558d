// js_on_load body of Chart: one kept div and Plotly.react, so that zoom survives; with a clock, a cursor at t.
const {css, visible} = lab, id = props.name, clock = props.clock ? lab.clock(props.clock) : null;
element.innerHTML = `<p class="lab-caption" hidden></p><div class="lab-chart" role="img" style="height: ${props.height}px"></div><p class="lab-hidden"></p>`;
const [caption, gd, alt] = element.children, cursor = document.createElement("div");
cursor.className = "lab-cursor";
cursor.hidden = true;

const CONFIG = {displaylogo: false, showTips: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  ...(matchMedia("(pointer: coarse)").matches && {displayModeBar: false})};   // where nothing hovers it would lie over the curves
const EMPTY = '{"data": [], "layout": {"xaxis": {"visible": false}, "yaxis": {"visible": false}}}';
// What a figure says in English is said in the language of the page where it has a translation; its text alternative is a Message.
function translate({data, layout}) {
  for (const trace of data) if (trace.name) trace.name = trace.name.split(" · ").map(part => lab.t(part)).join(" · ");
  for (const [key, axis] of Object.entries(layout)) if (/^[xy]axis\d*$/.test(key)) {
    if (axis.title?.text) axis.title.text = lab.t(axis.title.text);
    if (axis.ticktext) axis.ticktext = axis.ticktext.map(text => lab.t(text));
  }
  return {data, layout};
}

// The colours that mean something follow the theme.
const MEANINGS = new RegExp(Object.keys(lab.colours).join("|"), "g");
const WAIT = 300;                              // ms after which a person wonders
const MOVING = 80;                             // ms that the cursor takes to where t is
let figure = EMPTY, request = null;

// A figure that the server has to compute is asked for when somebody is about to see it.
const ask = lab.nearing(element, load);
const refresh = () => /^{"src"/.test(props.value) ? ask() : load();

async function load() {
  request?.abort();
  const {signal} = request = new AbortController(), {src} = props.value ? JSON.parse(props.value) : {};
  const waiting = setTimeout(() => src && tell("drawing"), WAIT);
  try {
    if (!src) figure = props.value || EMPTY;
    else {
      const response = await fetch(`${lab.root}/${src}`, {signal});
      if (!response.ok) return tell(...(await response.json().catch(() => ({}))).message ?? [response.statusText]);
      figure = await response.text();
    }
    await draw();
  } catch (error) {
    if (error.name === "TypeError") tell("network");
    else if (error.name !== "AbortError") throw error;
  } finally {
    clearTimeout(waiting);
  }
}

// What there is to say where the figure is not there yet, or will not come.
function tell(...words) {
  caption.hidden = false;
  caption.textContent = lab.t(...words);
}

async function draw() {
  const {data, layout} = translate(JSON.parse(figure.replace(MEANINGS, colour => css(`--lab-${lab.colours[colour]}`)))), theme = lab.layout();
  const axes = Object.keys(layout).filter(key => /^[xy]axis\d*$/.test(key)).concat("xaxis", "yaxis");
  const own = axis => axis?.overlaying ? {tickmode: "auto", ...axis} : axis;   // Plotly would align its ticks with the other axis
  const themed = Object.fromEntries(axes.map(key => [key, {automargin: true, ...lab.axis(), ...own(layout[key])}]));
  await Plotly.react(gd, data, {margin: {l: 48, r: 12, t: layout.title ? 36 : 12, b: 40}, ...theme, ...(clock && {dragmode: false}),
    ...layout, ...themed, font: {...theme.font, ...layout.font}}, CONFIG);
  gd.append(cursor);
  const {title, badges = [], said = {}} = layout.meta ?? {};
  caption.hidden = !title;
  caption.replaceChildren(...badges.map(badge => Object.assign(document.createElement("span"),
    {className: `lab-badge ${badge}`, textContent: lab.t(badge)})), title ? lab.t(title) : "",
    ...Object.entries(said).map(([key, words]) => ` · ${lab.t(key)}: ${words.map(word => lab.t(word)).join(", ") || "–"}`));
  alt.textContent = layout.meta ? lab.t(...layout.meta.alt) : "";
  gd.setAttribute("aria-label", alt.textContent);
}

// New numbers for the traces of the figure that is there: [x, y] each.
function feed(series) {
  const {data, layout} = JSON.parse(figure);
  series.forEach(([x, y], i) => Object.assign(data[i], {x, y}));
  figure = JSON.stringify({data, layout});
  return draw();
}

// A div, not a shape: no Plotly call per frame. d2p and p2d know about log axes and zoom.
function place() {
  const {xaxis, _size} = gd._fullLayout ?? {};
  cursor.hidden = !clock?.T || !xaxis?._length;
  if (cursor.hidden) return;
  const x = xaxis.d2p(clock.t);
  cursor.hidden = !(x >= 0 && x <= xaxis._length);
  cursor.style.cssText = `top: ${_size.t}px; height: ${_size.h}px; transform: translateX(${xaxis._offset + x}px); transition: transform ${MOVING}ms linear`;
}

const plotly = () => lab.plotly(gd).catch(() => new Promise(done => setTimeout(done, 3000)).then(plotly));
plotly().then(async () => {
  await draw();                                // empty axes: whatever becomes of the figure, there is a plot to listen to
  for (const event of ["plotly_afterplot", "plotly_relayouting", "plotly_relayout"]) gd.on(event, place);
  if (clock) {
    let due = 0;                               // whatever moves here makes Chromium lay out all its layers anew, 8 ms for a page of charts
    clock.subscribe(() => { due ||= setTimeout(() => { due = 0; place(); }, MOVING); }, element);
    gd.classList.add("lab-seek");
    const seek = ({clientX}) => {
      const {xaxis} = gd._fullLayout;
      clock.setT(Math.round(xaxis.p2d(clientX - gd.getBoundingClientRect().left - xaxis._offset)));
    };
    gd.addEventListener("pointerdown", event => {
      if (!clock.T || gd._fullLayout.dragmode || !event.target.closest(".draglayer")) return;  // with a dragmode the drag is a zoom
      gd.setPointerCapture(event.pointerId);
      seek(event);
    });
    gd.addEventListener("pointermove", event => { if (gd.hasPointerCapture(event.pointerId)) seek(event); });
  }
  lab.onTheme(draw, element);
  lab.charts[id] = {gd, clock, element, feed};
  new ResizeObserver(() => visible(element) && Plotly.Plots.resize(gd).then(place)).observe(gd);
  watch("value", refresh);
  refresh();
});
