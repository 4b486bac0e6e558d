// js_on_load body of Stage. Plotly draws axes, zoom and pan once; a canvas over the plot area paints the moving points; at
// rest the step on show becomes real Plotly traces, so that hover, lasso, PNG and gd.data are true to what is seen.
const {t: say, number, clamp, visible, css, pixel, button, put, Bar, Feed} = lab;
const TOUCH = matchMedia("(pointer: coarse)").matches;
const {bar: own = true, shots = false} = props, id = props.name, clock = lab.clock(props.clock);
const TRAILS = 40, TRAIL_POINTS = 64, DIMMED = .45, REST = 250, READ = 80, DEFAULT_LAYERS = "data", MARGIN = {l: 40, r: 8, t: 8, b: 28};

// ---- markup

const item = (key, label) => `<span>${label} <b data-number="${key}"></b></span>`;
const sub = (letter, index) => `<var>${letter}</var><sub>${index}</sub>`, AT = "<var>t</var>";
const chips = ["data", "x0", "trails"].map(layer =>
  `<button type="button" class="lab-chip" data-layer="${layer}" title="${say(`layer_${layer}_title`)}">${say(`layer_${layer}`)}</button>`).join("");
const [SHOTS_FROM, SHOTS_TO, SHOT] = props.ends ?? ["untrained", "trained", "step"];
const TRAINING = `<div class="lab-bar lab-shots">
    <span class="lab-end">${say(SHOTS_FROM)}</span>
    <input class="lab-range" type="range" min="0" max="0" step="1" value="0" aria-label="${say(props.ends ? SHOT : "training_time")}">
    <span class="lab-end">${say(SHOTS_TO)}</span>
    <span class="lab-now">${say(SHOT)} <b data-number="shot">0</b> / <span data-text="steps">0</span></span>
  </div>`;
element.innerHTML = `<section class="lab-stage${own ? "" : " lab-bare"}">
  <div class="lab-picture-area">
    <div class="lab-plot" role="img"></div>
    <div class="lab-title"><span class="lab-badge" hidden></span> <span data-text="title"></span></div>
    ${Feed.markup()}
  </div>
  ${Bar.markup(props.time)}
${shots ? TRAINING : ""}  <div class="lab-tools">${chips}${document.fullscreenEnabled ? button("fullscreen", lab.FULLSCREEN) : ""}</div>
  <div class="lab-readout">
    <span class="lab-formula"></span>
    ${item("alpha_bar", sub("ᾱ", AT))}${item("snr", "SNR")}${item("lam", sub("λ", AT))}${item("beta", sub("β", AT))}${item("nfe", "nfe")}${item("alpha_bar_T", "<var>ᾱ<sub>T</sub></var>")}${item("snr_T", "SNR<sub><var>T</var></sub>")}<span><span data-text="series_name"></span> <b data-number="series"></b></span>
    <span data-text="note"></span>
  </div>
  <div class="lab-metrics"></div>
  <div class="lab-links" hidden></div>
</section>`;
const $ = selector => element.querySelector(selector);
const area = $(".lab-picture-area"), gd = $(".lab-plot"), badge = $(".lab-badge"), formula = $(".lab-formula"),
  metrics = $(".lab-metrics"), links = $(".lab-links"), learnt = $(".lab-shots .lab-range"), bar = new Bar(element, clock);
const text = Object.fromEntries([...element.querySelectorAll("[data-text], [data-number]")].map(node =>
  [node.dataset.text ?? node.dataset.number, node]));

// ---- a run: one stream, as far as it has arrived

class Run {
  constructor(header) {
    const {n, layers, mode, times, range} = this.header = header;
    this.unit = range / 32767;
    this.colours = new Uint8Array(n);
    this.data = new Int16Array(0);
    this.count = 0;  // frames that have arrived
    if (mode === "mix") return;
    if (mode === "shots") {                    // walks of a network that is learning, whole ones, one of them on show
      [this.shots, this.times, this.order] = [[], Int32Array.from(times), 1];
      return;
    }
    this.order = Math.sign(times[times.length - 1] - times[0]);
    this.times = new Int32Array(times.length);
    this.nfe = new Int32Array(times.length);
    this.frames = layers.map(() => new Int16Array(times.length * 2 * n));
  }

  take(kind, buffer, offset, bytes) {
    const {n} = this.header;
    if (kind === 1) this.colours = new Uint8Array(buffer.slice(offset, offset + bytes));
    else if (kind === 2) this.data = new Int16Array(buffer.slice(offset, offset + bytes));
    else if (kind === 3) [this.mix, this.count] = [new Int16Array(buffer.slice(offset, offset + bytes)), 1];
    else if (kind === 4) {
      [this.times[this.count], this.nfe[this.count]] = new Int32Array(buffer, offset, 2);
      this.frames.forEach((frames, layer) => frames.set(new Int16Array(buffer, offset + 8 + layer * 4 * n, 2 * n), this.count * 2 * n));
      this.count++;
    } else if (kind === 5) {
      const [step] = new Int32Array(buffer, offset, 1);
      this.shots.push({step, frames: new Int16Array(buffer.slice(offset + 8, offset + bytes))});
      if (this.shot === undefined || this.shot === this.shots.length - 2) this.select(this.shots.length - 1);
    }
  }

  select(shot) {
    this.shot = shot;
    this.frames = [this.shots[shot].frames];
    this.count = this.times.length;
  }

  has(layer) {
    if (layer === "data") return this.data.length > 0;
    return layer === "trails" || (!this.mix && this.header.layers.includes(layer));
  }

  // The step nearest to t that can be shown.
  reachable(t) {
    if (this.mix) return t;
    const newest = this.times[this.count - 1];
    return this.order > 0 ? Math.min(t, newest) : Math.max(t, newest);
  }

  // Index of the last stored frame that comes before t, or at it, on the way the run goes.
  before(t) {
    let low = 0, high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.order * this.times[middle] <= this.order * t) low = middle; else high = middle - 1;
    }
    return low;
  }

  coefficient(name, t) {
    const values = this.header[name], k = Math.floor(t);
    return k === t ? values[k] : values[k] + (t - k) * (values[k + 1] - values[k]);
  }

  // Particles [first, last) at step t into out from o on; returns out. In mix mode this is the closed form, in
  // variance-preserving coordinates.
  positions(t, out, first = 0, last = this.header.n, o = 0) {
    const {unit, header: {n}} = this;
    if (this.mix) {
      const alpha = this.coefficient("alpha", t), sigma = this.coefficient("sigma", t), scale = unit / Math.hypot(alpha, sigma);
      const a = alpha * scale, s = sigma * scale, q = this.mix;
      for (let i = 2 * first, j = 2 * (first + n); i < 2 * last; i++, j++, o++) out[o] = a * q[i] + s * q[j];
    } else {
      const k = this.before(t), next = Math.min(k + 1, this.count - 1), q = this.frames[0];
      const f = next > k ? clamp((t - this.times[k]) / (this.times[next] - this.times[k]), 0, 1) : 0;
      const a = (1 - f) * unit, b = f * unit, end = 2 * (k * n + last);
      for (let i = 2 * (k * n + first), j = 2 * (next * n + first); i < end; i++, j++, o++) out[o] = a * q[i] + b * q[j];
    }
    return out;
  }

  estimates(t, out) {
    const {n, layers} = this.header, q = this.frames[layers.indexOf("x0")], start = this.before(t) * 2 * n;
    for (let i = 0; i < 2 * n; i++) out[i] = q[start + i] * this.unit;
    return out;
  }

  truth() { return Float32Array.from(this.data, q => q * this.unit); }

  // The way of particle i from its start to step t into out; returns the number of points.
  trail(i, t, out) {
    const last = this.mix ? TRAIL_POINTS : this.before(t), stride = Math.max(1, last / TRAIL_POINTS);
    let points = 0;
    for (let k = 0; k < last; k += stride) this.positions(this.mix ? t * k / last : this.times[Math.floor(k)], out, i, i + 1, 2 * points++);
    this.positions(t, out, i, i + 1, 2 * points++);
    return points;
  }
}

// ---- painting

const canvas = document.createElement("canvas"), ring = document.createElement("div"), ctx = canvas.getContext("2d");
canvas.className = "lab-canvas";
ring.className = "lab-ring";
ring.hidden = true;
gd.append(canvas, ring);                      // Plotly puts its own before them
let run = null;                               // what is on show
let layers = new Set([DEFAULT_LAYERS]), followed = -1;
let xy, x0, trailing = [], tint = {};         // scratch of the run's size; particles with a trail; colours as pixels
let image, pixels, background, pad = 0;       // one ImageData, with a margin that saves clipping every dot
let view, radius = 0, stale = true, drawn = -1, painted = 0;   // drawn: the step on the canvas, -1 for none of this run
let moving = false, rested = true, zoomed = false, movedAt = 0, readAt = 0, restTimer = 0;
const line = new Float32Array(2 * (TRAIL_POINTS + 2));
const shows = layer => layers.has(layer) && run?.has(layer);

function paintColours() {
  const particles = alpha => Uint32Array.from(lab.palette, colour => pixel(colour, alpha));
  tint = {particles: particles(255), dimmed: particles(255 * DIMMED), data: Uint32Array.of(pixel(css("--lab-data"), 90)),
    x0: Uint32Array.of(pixel(css(estimateColour()), 150))};
}
const estimateColour = () => run?.header.badge === "exact" ? "--lab-exact" : "--lab-learned";

// A dot as offsets into the pixels: the inside, and the rim that is only partly covered. One for each quarter of the pixel
// that its centre may lie in, or slow motion would tremble.
function stamps(width, r) {
  return [[.25, .25], [-.25, .25], [.25, -.25], [-.25, -.25]].map(([dx, dy]) => {
    const inside = [], rim = [], alpha = [];
    for (let y = -pad; y <= pad; y++) for (let x = -pad; x <= pad; x++) {
      const covered = clamp(r + .5 - Math.hypot(x + dx, y + dy), 0, 1);
      if (covered > .9) inside.push(y * width + x);
      else if (covered > .1) { rim.push(y * width + x); alpha.push(covered); }
    }
    return {inside: Int32Array.from(inside), rim: Int32Array.from(rim), alpha: Float32Array.from(alpha)};
  });
}

// Opaque dots in order; a rim never dims a dot that is already there.
function splat(target, points, count, table, indices) {
  const {kx, bx, ky, by, width, height, dots} = view, stride = width + 2 * pad;
  for (let i = 0; i < count; i++) {
    const x = kx * points[2 * i] + bx, y = ky * points[2 * i + 1] + by, column = Math.floor(x), row = Math.floor(y);
    if (column < 0 || row < 0 || column >= width || row >= height) continue;
    const {inside, rim, alpha} = dots[(x - column >= .5) + 2 * (y - row >= .5)];
    const at = (row + pad) * stride + column + pad, colour = indices ? table[indices[i]] : table[0], opacity = colour >>> 24;
    for (let k = 0; k < inside.length; k++) target[at + inside[k]] = colour;
    for (let k = 0; k < rim.length; k++) {
      const a = opacity * alpha[k] | 0, p = at + rim[k];
      if (target[p] >>> 24 < a) target[p] = colour & 0xffffff | a << 24;
    }
  }
}

// Takes over Plotly's plot area and ranges. _fullLayout is what plotly_relayouting leaves up to date during a drag.
// Plotly takes a second to start; the points need not wait for it, its margins and ranges are known.
function fit() {
  const {xaxis, yaxis} = gd._fullLayout ?? empty(), ratio = devicePixelRatio || 1;
  const width = Math.round(xaxis._length * ratio), height = Math.round(yaxis._length * ratio);
  if (!(width > 0 && height > 0)) return;
  const n = run?.header.n ?? 1000, room = clamp(Math.min(xaxis._length, yaxis._length) / 480, .75, 1.3);
  radius = clamp(3 * (1000 / n) ** .25, 1.5, 3) * room * (parseFloat(css("--lab-dot")) || 1);
  pad = Math.ceil(radius * ratio + 1);
  if (canvas.width !== width || canvas.height !== height || image?.width !== width + 2 * pad) {
    [canvas.width, canvas.height] = [width, height];
    image = new ImageData(width + 2 * pad, height + 2 * pad);
    pixels = new Uint32Array(image.data.buffer);
    background = new Uint32Array(pixels.length);
  }
  canvas.style.cssText = `left:${xaxis._offset}px; top:${yaxis._offset}px; width:${xaxis._length}px; height:${yaxis._length}px`;
  const [left, right] = xaxis.range, [bottom, top] = yaxis.range, kx = width / (right - left), ky = height / (bottom - top);
  view = {kx, bx: -kx * left, ky, by: -ky * top, width, height, ratio, dots: stamps(width + 2 * pad, radius * ratio)};
  background.fill(0);
  if (shows("data")) {
    const points = run.truth();
    splat(background, points, points.length / 2, tint.data);
  }
  stale = true;
  placeRing();
  if (moving) clock.wake();
}

function paint(t) {
  run.positions(t, xy);
  pixels.set(background);
  if (shows("x0")) splat(pixels, run.estimates(t, x0), run.header.n, tint.x0);
  splat(pixels, xy, run.header.n, shows("trails") ? tint.dimmed : tint.particles, run.colours);
  ctx.putImageData(image, -pad, -pad);
  const {kx, bx, ky, by, ratio} = view;
  ctx.lineWidth = 1.5 * ratio;
  for (const i of trails()) {
    const points = run.trail(i, t, line);
    ctx.strokeStyle = lab.palette[run.colours[i]];
    ctx.beginPath();
    for (let k = 0; k < points; k++) ctx.lineTo(kx * line[2 * k] + bx, ky * line[2 * k + 1] + by);
    ctx.stroke();
  }
  if (++painted === 12) lab.opened();        // a fifth of a second of motion
}

function* trails() {
  if (shows("trails")) yield* trailing;
  if (followed >= 0) yield followed;
}

function placeRing() {
  ring.hidden = followed < 0 || !view;
  if (ring.hidden) return;
  const {kx, bx, ky, by, ratio} = view, x = (kx * xy[2 * followed] + bx) / ratio, y = (ky * xy[2 * followed + 1] + by) / ratio;
  ring.style.transform = `translate(${parseFloat(canvas.style.left) + x}px, ${parseFloat(canvas.style.top) + y}px)`;
}

// Called by the clock, inside an animation frame.
function draw(now) {
  const tick = Math.floor(now / READ), read = !clock.playing || tick !== readAt;   // all stages read at the same frame
  readAt = tick;
  bar.read(read);
  if (!run?.count || !view) return;
  const t = run.reachable(clock.t);
  if (t === drawn && !stale) return;
  [drawn, stale, rested] = [t, false, false];
  paint(t);
  placeRing();
  if (read) readNumbers(t);
  if (!moving) gd.classList.add("lab-moving");
  moving = true;
  movedAt = performance.now();
  restTimer ||= setTimeout(rest, REST);
}

// ---- at rest

const columns = points => ({x: points.filter((_, i) => i % 2 === 0), y: points.filter((_, i) => i % 2 === 1)});
const markers = (name, points, marker) => ({type: "scatter", mode: "markers", name: say(name), ...columns(points), showlegend: false,
  hovertemplate: "%{x:.3f}, %{y:.3f}<extra>%{fullData.name} %{pointNumber}</extra>", marker: {size: 2 * radius, ...marker}});
const lines = i => ({type: "scatter", mode: "lines", ...columns(line.slice(0, 2 * run.trail(i, drawn, line))), showlegend: false,
  hoverinfo: "skip", line: {width: 1.5, color: lab.palette[run.colours[i]]}});

function traces() {
  const {n} = run.header, all = [];
  if (shows("data")) all.push(markers("layer_data", run.truth(), {color: css("--lab-data"), opacity: .35}));
  if (shows("x0")) all.push(markers("layer_x0", run.estimates(drawn, new Float32Array(2 * n)), {color: css(estimateColour()), opacity: .6}));
  all.push(markers("particle", xy, {color: Array.from(run.colours), cmin: 0, cmax: 255, opacity: shows("trails") ? DIMMED : 1,
    colorscale: lab.palette.map((colour, i) => [i / 255, colour])}));
  return [...all, ...Array.from(trails(), lines)];
}

async function rest() {
  restTimer = 0;
  if (drawn < 0) return;                      // a new run: its first draw comes back here
  const wait = movedAt + REST - performance.now();
  if (clock.playing || wait > 0 || !gd._fullLayout) {
    restTimer = setTimeout(rest, Math.max(wait, REST / 2));
    return;
  }
  readNumbers(drawn);
  describe();
  if (feed.request) restTimer = setTimeout(rest, REST);   // what still comes would be drawn twice, and Plotly takes long
  else await settle();
  writeAddress();
}

async function settle() {
  const at = painted;
  moving = false;                             // else what plotly.js draws now would be taken for news, and painted again, for ever
  await Plotly.react(gd, traces(), gd.layout);
  if (at !== painted) return;                 // it moved again meanwhile
  gd.classList.remove("lab-moving");
  rested = true;
}

// ---- axes

// Equal axes from -V to V on the shorter side; the longer side shows more rather than leave a gap.
const home = (w, h) => [w, h].map(side => side * (run?.header.view ?? 3) / Math.min(w, h));

function empty() {
  const w = gd.clientWidth - MARGIN.l - MARGIN.r, h = gd.clientHeight - MARGIN.t - MARGIN.b, [x, y] = home(w, h);
  return {xaxis: {_offset: MARGIN.l, _length: w, range: [-x, x]}, yaxis: {_offset: MARGIN.t, _length: h, range: [-y, y]}};
}

async function goHome() {
  if (!gd._fullLayout) return;
  const {xaxis, yaxis, _size: {w, h}} = gd._fullLayout, [x, y] = home(w, h);
  const off = (axis, end) => Math.abs(axis.range[0] + end) + Math.abs(axis.range[1] - end) > 1e-6;   // a relayout is not free
  if (off(xaxis, x) || off(yaxis, y)) await Plotly.relayout(gd, {"xaxis.range": [-x, x], "yaxis.range": [-y, y]});
}

// ---- readouts

// The closed form; what the network's estimates say of x_t; one step of the chain.
const FORMULAS = {
  mix: `${sub("x", AT)} = <b></b> ${sub("x", 0)} + <b></b> <var>ε</var>`,
  reverse: `${sub("x", AT)} = <b></b> ${sub("x̂", 0)} + <b></b> <var>ε̂</var>`,
  forward: `${sub("x", AT)} = <b></b> ${sub("x", `${AT}−1`)} + <b></b> <var>z</var>`,
};
FORMULAS.shots = FORMULAS.reverse;
const kindOf = ({mode, direction}) => mode === "frames" ? direction : mode;

function readNumbers(shown) {
  const {alpha, sigma, as_it_is} = run.header, kind = kindOf(run.header), t = Math.round(shown), scale = Math.hypot(alpha[t], sigma[t]);
  const bar = t => alpha[t] ** 2 / (alpha[t] ** 2 + sigma[t] ** 2), beta = t > 0 ? 1 - bar(t) / bar(t - 1) : NaN;
  put(text.alpha_bar, number(bar(t), 4));
  put(text.snr, number((alpha[t] / sigma[t]) ** 2));
  put(text.lam, number(Math.log(alpha[t] / sigma[t]), 2));
  put(text.beta, number(beta, 4));
  if (run.nfe) put(text.nfe, String(run.nfe[run.before(shown)]));
  const last = alpha.length - 1, {series} = run.header;
  put(text.alpha_bar_T, number(bar(last), 4));
  put(text.snr_T, number((alpha[last] / sigma[last]) ** 2, 4));
  if (series) put(text.series, number(series.value[run.before(shown)], 2));
  const coefficients = as_it_is ? [1, Math.sqrt(sigma[t] ** 2 - sigma[t - 1] ** 2)]
    : kind === "forward" ? [Math.sqrt(1 - beta), Math.sqrt(beta)] : [alpha[t], sigma[t]];
  formula.querySelectorAll("b").forEach((node, i) => put(node, number(coefficients[i])));
  const notes = [];
  if (kind !== "forward" && Math.abs(scale - 1) > 1e-3) notes.push(say("scaled", {scale: number(scale, 2)}));
  if (shown !== clock.t) notes.push(say("reached", {t}));
  else if (!clock.playing && run.times && run.times[run.before(t)] !== t) notes.push(say("between"));
  if (followed >= 0) notes.push(`${say("particle")} ${followed}: (${number(xy[2 * followed], 2)}, ${number(xy[2 * followed + 1], 2)})`);
  put(text.note, notes.join(" · "));
}

function readHeader() {
  const {title, badge: kind, metrics: measured = [], per_shot, series} = run.header;
  const rows = per_shot?.map(({name, value}) => ({name, value: value[run.shot]})) ?? measured;
  text.series.parentElement.hidden = !series;
  if (series) put(text.series_name, say(series.name));
  put(text.title, title.map(key => say(key)).join(" · "));
  text.title.style.boxShadow = value.ink ? `0 3px 0 var(--lab-${value.ink})` : "";
  badge.hidden = !kind;
  badge.className = `lab-badge ${kind}`;
  put(badge, say(kind));
  metrics.replaceChildren(...lab.measured(rows));
  describe();
}

function describe() {
  gd.setAttribute("aria-label", run ? say("alt", {...run.header, title: text.title.textContent, t: Math.round(clock.t), badge: say(run.header.badge)}) : say("empty"));
}

function readLayers() {
  for (const chip of element.querySelectorAll("[data-layer]")) {
    chip.hidden = !run?.has(chip.dataset.layer);
    chip.setAttribute("aria-pressed", layers.has(chip.dataset.layer));
  }
}

// ---- the stream

let value = {};

const feed = new Feed(element, {
  progress: seconds => {
    const {count, nfe, times, shots, header: {done, at = 0, steps, left = NaN} = {}} = incoming ?? {};
    if (done) return "";
    if (shots) return props.ends ? "" : say("learning_progress", {k: at, of: steps, left: number(left, 0)});   // else it is no training, and soon over
    return times && count ? say("computing", {k: count, of: times.length, nfe: nfe[count - 1], seconds}) : "";
  },
  failed: stay,
  ended: () => offer(),
});
let incoming = null;

function fetchRun(cache) {
  incoming = null;
  return feed.open(value.src, (part, kind, ...bytes) => {
    if (part) {
      if (incoming) Object.assign(incoming.header, part);
      else if (part.n) incoming = new Run(part);
      for (const [name, series] of Object.entries(part.charts ?? {})) lab.charts[name]?.feed(series);
      if (incoming && incoming === run && !("at" in part && !part.metrics)) readHeader();
      return;
    }
    incoming.take(kind, ...bytes);
    if (kind > 2 && incoming !== run) show(incoming);
    if (kind === 4) arrived();
    if (kind === 5) learned();
  }, {cache, needed: ready()});
}

// Where to go with a network that has stopped learning.
function offer() {
  links.hidden = !value.links || feed.request !== null;
  links.replaceChildren(...(value.links ?? []).map(([key, href]) =>
    Object.assign(document.createElement("a"), {href: new URL(href, `${lab.root}/`), textContent: say(key)})));
}

// Where nothing more is coming: at a step that was computed, and without holding up the other stages of this clock.
function stay() {
  if (!run?.count) return;
  clock.setT(run.reachable(Math.round(clock.t)));
  if (run.order < 0) clock.reach(draw, run.times[run.count - 1], false);
}

// The old picture stays until the new one has something to show.
function show(incoming) {
  run = incoming;
  [drawn, rested] = [-1, false];
  const {n} = run.header;
  xy = new Float32Array(2 * n);
  x0 = new Float32Array(2 * n);
  trailing = Array.from({length: Math.min(TRAILS, n)}, (_, k) => Math.floor((k + .5) * n / Math.min(TRAILS, n)));
  if ((value.followed ?? followed) < n) followed = value.followed ?? followed;
  else followed = -1;
  clock.begin(draw, run.header, value);
  paintColours();
  formula.innerHTML = FORMULAS[kindOf(run.header)];
  text.nfe.parentElement.hidden = kindOf(run.header) !== "reverse";
  $(".lab-stage").classList.remove("lab-empty");
  readHeader();
  readLayers();
  bar.computed(0, 1);
  if (!zoomed) goHome();
  repaint();
  writeAddress();
}

function arrived() {
  const {T} = run.header, newest = run.times[run.count - 1];
  if (run.order < 0) clock.reach(draw, newest, newest > 0);
  if (run.order < 0) bar.computed(newest / T, 1);
  else bar.computed(0, newest / T);
  clock.wake();
}

function learned() {
  learnt.max = run.shots.length - 1;
  learnt.value = run.shot;
  readShot();
  stale = true;
  clock.wake();
}

function readShot() {
  put(text.shot, String(run.shots[run.shot].step));
  put(text.steps, String(run.header.steps));
  if (run.header.per_shot) readHeader();
}

// ---- the address: what is on show is a link

function writeAddress() {
  if (!own || !run || !value.link || !visible(element)) return;
  const shown = [...layers].join(",");
  lab.address(value.link, {...(!clock.playing && {t: Math.round(clock.t)}), ...(shown !== DEFAULT_LAYERS && {layers: shown})});
}

// ---- hands

function repaint() {
  rested = false;
  fit();
  clock.wake();
}

const ACTIONS = {
  toggle: () => clock.toggle(),
  back: () => step(-1),
  forward: () => step(1),
  stop: () => feed.stop(!run?.shots),
  retry: () => fetchRun("reload"),
  fullscreen: () => document.fullscreenElement ? document.exitFullscreen() : $(".lab-stage").requestFullscreen(),
};

// A step is what the sampler did, where steps are stored; else one t.
function step(by) {
  const t = Math.round(clock.t), steps = run?.times?.subarray(0, run.count);
  clock.setT(!steps ? t + by : by > 0 ? Math.min(...steps.filter(s => s > t), clock.T) : Math.max(...steps.filter(s => s < t), 0));
}

element.addEventListener("mousedown", event => { if (event.target.closest("button")) event.preventDefault(); });  // keeps the keys on the stage
element.addEventListener("click", ({target}) => {
  const {do: action, layer} = target.closest("button")?.dataset ?? {};
  ACTIONS[action]?.();
  if (!layer) return;
  if (!layers.delete(layer)) layers.add(layer);
  document.dispatchEvent(new CustomEvent("lab-layers", {detail: {clock, layers}}));
});
document.addEventListener("lab-layers", ({detail}) => {   // stages that move together show the same
  if (detail.clock !== clock) return;
  layers = new Set(detail.layers);
  readLayers();
  repaint();
});
learnt?.addEventListener("input", () => {
  run.select(+learnt.value);
  readShot();
  repaint();
});

// A click, not a drag, near a particle follows it; in empty space it lets go. Plotly covers the page while a button is down.
area.addEventListener("pointerdown", press => {
  if (press.target.closest(".modebar, button") || !view || !run?.count) return;
  addEventListener("pointerup", ({clientX, clientY}) => {
    if (Math.hypot(clientX - press.clientX, clientY - press.clientY) > 4) return;
    const {left, top} = canvas.getBoundingClientRect(), {kx, bx, ky, by, ratio} = view;
    const x = (clientX - left) * ratio, y = (clientY - top) * ratio;
    let near = -1, best = (12 * ratio) ** 2;
    for (let i = 0; i < run.header.n; i++) {
      const d = (kx * xy[2 * i] + bx - x) ** 2 + (ky * xy[2 * i + 1] + by - y) ** 2;
      if (d < best) [near, best] = [i, d];
    }
    if (near === followed) return;
    if (props.choose && near >= 0) lab.go({particle: near});
    followed = near;
    repaint();
  }, {once: true, capture: true});
}, true);

// ---- start

function layout() {
  const base = lab.layout(), side = axis => ({...lab.axis(), range: gd._fullLayout?.[axis].range ?? [-3, 3]});
  return {...base, modebar: {...base.modebar, orientation: "v"}, margin: MARGIN, showlegend: false,
    xaxis: side("xaxis"), yaxis: {...side("yaxis"), scaleanchor: "x"}, dragmode: TOUCH ? false : "zoom"};  // a finger scrolls the page
}

function load() {
  const next = props.value ? JSON.parse(props.value) : {}, fresh = next.src !== value.src;
  value = {t: null, ...next};
  if (value.layers) layers = new Set(value.layers);
  readLayers();
  describe();
  $(".lab-stage").classList.toggle("lab-empty", !run);
  if (!run && props.hint) put(text.title, say(props.hint));
  if (fresh && value.src) fetchRun();
  else if (run) {
    followed = value.followed ?? followed;
    clock.apply(value);
    repaint();
    writeAddress();
  }
  offer();
  ready().catch(() => {});                     // fetchRun says what went wrong, and tries again
}

async function start() {
  await lab.plotly(gd);
  const reset = {name: "reset", title: say("reset"), icon: Plotly.Icons.home, click: goHome};
  const save = {name: "save", title: say("download"), icon: Plotly.Icons.camera, click: async () => {
    clock.pause();
    draw(performance.now());
    describe();
    await settle();
    const title = {text: gd.getAttribute("aria-label")}, margin = {...gd.layout.margin, t: 48};   // a picture in a slide stands alone
    Plotly.downloadImage({data: gd.data, layout: {...gd.layout, paper_bgcolor: css("--lab-paper"), title, margin}},
      {filename: `${id}-t${clock.t}`, width: gd.offsetWidth, height: gd.offsetHeight, scale: 2});
  }};
  await Plotly.newPlot(gd, [], layout(), {displaylogo: false, doubleClick: false, showTips: false,
    modeBarButtons: [[save, ...TOUCH ? [] : ["zoom2d", "pan2d", "lasso2d"], "zoomIn2d", "zoomOut2d", reset]]});
  for (const event of ["plotly_afterplot", "plotly_relayouting", "plotly_relayout"]) gd.on(event, fit);
  gd.on("plotly_relayout", change => {         // Plotly reports a hand as range[0], goHome as range, a resize as neither
    if ("xaxis.range[0]" in change || "xaxis.range" in change) zoomed = "xaxis.range[0]" in change;
  });
  gd.on("plotly_doubleclick", goHome);
  lab.onTheme(() => Plotly.react(gd, gd.data, layout()).then(() => { paintColours(); repaint(); }), element);
  new ResizeObserver(async () => {             // also: a tab that is shown
    if (!visible(element)) return;
    await Plotly.Plots.resize(gd);
    if (!zoomed) await goHome();
    repaint();
    writeAddress();
  }).observe(area);
}
let started = null;
const ready = () => started ??= start().catch(error => { started = null; throw error; });

lab.stages[id] = {
  clock, gd, element,
  get header() { return run?.header; },
  get painted() { return painted; },
  get shots() { return run?.shots?.length ?? 0; },
  get idle() { return !feed.request && !restTimer && rested && drawn === run?.reachable(clock.t); },
  positions: t => run.positions(t, new Float32Array(2 * run.header.n)),
};
clock.subscribe(draw, element);
load();
watch("value", load);
