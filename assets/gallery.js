// js_on_load body of Gallery: a grid of pictures for each of x_t, x0-hat and the real ones, at the step that was computed last
// before the time of the clock; nothing is made up in between. Real ones that melt are their closed form at any t.
const {t: say, number, visible, css, pixel, button, put, Bar, Feed} = lab;
const {bar: own = true} = props, id = props.name, clock = lab.clock(props.clock);
const SIDE = 28, AREA = SIDE * SIDE, CELL = SIDE + 1, MELTING = 10, READ = 80, REST = 250;   // a line of one pixel around every picture
const GREYS = Uint32Array.from({length: 256}, (_, grey) => (255 << 24 | grey << 16 | grey << 8 | grey) >>> 0);

// ---- markup

const sub = (letter, index) => `<var>${letter}</var><sub>${index}</sub>`, AT = "<var>t</var>";
const SYMBOLS = {x: sub("x", AT), x0: sub("x̂", 0), real: sub("x", 0)};
const item = (key, label) => `<span>${label} <b data-number="${key}"></b></span>`;
element.innerHTML = `<section class="lab-stage lab-gallery lab-empty${own ? "" : " lab-bare"}">
  <div class="lab-picture-area">
    <div class="lab-title"><span class="lab-badge" hidden></span> <span data-text="title"></span></div>
    <div class="lab-panels"></div>
    ${Feed.markup()}
  </div>
  ${Bar.markup()}
  <div class="lab-tools"><button type="button" class="lab-chip" data-do="follow" title="${say("follow_title")}">${say("follow")}</button>${document.fullscreenEnabled ? button("fullscreen", lab.FULLSCREEN) : ""}</div>
  <div class="lab-readout">
    <span class="lab-formula"></span>
    ${item("alpha_bar", sub("ᾱ", AT))}${item("snr", "SNR")}${item("lam", sub("λ", AT))}${item("nfe", "nfe")}
    <span data-text="note"></span>
  </div>
  <div class="lab-metrics"></div>
  <figure class="lab-reel" hidden>
    <figcaption>${button("before", "‹", "picture_before")}<span data-text="followed"></span>${button("after", "›", "picture_after")}</figcaption>
    <div><canvas role="img"></canvas></div>
    <p><span class="lab-end" data-end="data">${say("data")}</span><span class="lab-end" data-end="noise">${say("noise")}</span></p>
  </figure>
</section>`;
const $ = selector => element.querySelector(selector);
const stage = $(".lab-stage"), panels = $(".lab-panels"), badge = $(".lab-badge"), formula = $(".lab-formula"), reel = $(".lab-reel"), chip = $(".lab-chip");
const text = Object.fromEntries([...element.querySelectorAll("[data-text], [data-number]")].map(node =>
  [node.dataset.text ?? node.dataset.number, node]));
const bar = new Bar(element, clock);

// ---- a run: one stream, as far as it has arrived

class Run {
  times = [];                                  // that have arrived, from noise to data
  steps = new Map();                           // t -> {nfe, x, x0}, uint8 [n, 28, 28] each; x0 is empty before the network was asked

  constructor(header) {
    this.header = header;
    this.melts = header.mode === "mix";
    this.scratch = new Uint8ClampedArray(header.n * AREA);
  }

  take(kind, buffer, offset, bytes) {
    const size = this.header.n * AREA;
    if (kind === 7) this.real = new Uint8Array(buffer.slice(offset, offset + bytes));
    else if (kind === 3) this.pair = new Int16Array(buffer.slice(offset, offset + bytes));
    else if (kind === 6) {
      const [t, nfe] = new Int32Array(buffer, offset, 2), both = new Uint8Array(buffer.slice(offset + 8, offset + bytes));
      if (!this.steps.has(t)) this.times.push(t);
      this.steps.set(t, {nfe, x: both.subarray(0, size), x0: both.subarray(size)});
    }
  }

  get there() { return this.melts ? Boolean(this.pair) : this.times.length > 0; }
  get layers() { return [...this.melts ? ["x"] : ["x", "x0"], ...this.real ? ["real"] : []]; }

  // The step on show at time t: the last one that was computed when the walk passes by; of the closed form, t.
  at(t) { return this.melts ? Math.round(t) : this.times.findLast(time => time >= t) ?? this.times[0]; }

  // The times of a film, data first.
  get film() {
    const {T, times} = this.header;
    return this.melts ? [...new Set(Array.from({length: MELTING + 1}, (_, k) => Math.round(k * T / MELTING)))] : times.toReversed();
  }

  // Pictures first .. last of a layer at a step, or nothing where there are none yet.
  pictures(layer, t, first = 0, last = this.header.n) {
    if (layer === "real") return this.real?.subarray(first * AREA, last * AREA);
    if (!this.melts) return this.steps.get(t)?.[layer].subarray(first * AREA, last * AREA);
    const {pair, scratch, header: {alpha, sigma, n, range}} = this, scale = 127.5 * range / 32767 / Math.hypot(alpha[t], sigma[t]);
    const a = alpha[t] * scale, s = sigma[t] * scale, noise = n * AREA;
    for (let i = first * AREA; i < last * AREA; i++) scratch[i] = a * pair[i] + s * pair[noise + i] + 127.5;
    return scratch.subarray(first * AREA, last * AREA);
  }
}

// ---- painting

let run = null, drawn = -1, seenAt = -1, stale = true, painted = 0, readAt = 0, restTimer = 0, movedAt = 0, followed = -1, ink = 0;

// As wide as the pictures are many, if that comes out even; else nearly square.
function columns(n) {
  const side = Math.ceil(Math.sqrt(n));
  for (let k = side; k <= 2 * side; k++) if (n % k === 0) return k;
  return side;
}

class Sheet {
  constructor(canvas, columns, rows) {
    Object.assign(this, {canvas, columns});
    [canvas.width, canvas.height] = [columns * CELL + 1, rows * CELL + 1];
    this.image = new ImageData(canvas.width, canvas.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.ctx = canvas.getContext("2d");
  }

  clear() { this.pixels.fill(0); }
  show() { this.ctx.putImageData(this.image, 0, 0); }

  place(pictures, k, cell) {
    const {pixels, canvas: {width}, columns} = this, corner = (Math.floor(cell / columns) * width + cell % columns) * CELL + width + 1;
    for (let y = 0, i = k * AREA; y < SIDE; y++) for (let x = 0; x < SIDE; x++, i++) pixels[corner + y * width + x] = GREYS[pictures[i]];
  }

  frame(cell, rows = 1) {
    const {pixels, canvas: {width}, columns} = this, corner = (Math.floor(cell / columns) * width + cell % columns) * CELL, bottom = rows * CELL;
    for (let k = 0; k <= CELL; k++) pixels[corner + k] = pixels[corner + bottom * width + k] = ink;
    for (let k = 0; k <= bottom; k++) pixels[corner + k * width] = pixels[corner + k * width + CELL] = ink;
  }

  // Which cell is under the pointer; a picture's own size on the screen is nobody's business.
  cell({clientX, clientY}) {
    const {left, top, width, height} = this.canvas.getBoundingClientRect(), {canvas, columns} = this;
    const column = Math.floor((clientX - left) / width * canvas.width / CELL), row = Math.floor((clientY - top) / height * canvas.height / CELL);
    return lab.clamp(row, 0, Math.floor(canvas.height / CELL) - 1) * columns + lab.clamp(column, 0, columns - 1);
  }
}

let sheets = {}, film = null;

function lay() {
  const {n} = run.header, width = columns(n), rows = Math.ceil(n / width);
  panels.style.setProperty("--ratio", (width * CELL + 1) / (rows * CELL + 1));
  panels.style.setProperty("--panels", run.layers.length);
  sheets = {};
  panels.replaceChildren(...run.layers.map(layer => {
    const figure = document.createElement("figure");
    figure.dataset.layer = layer;
    figure.innerHTML = `<figcaption>${SYMBOLS[layer]} ${say(`pictures_${layer}`)}</figcaption><canvas role="img"></canvas>`;
    sheets[layer] = new Sheet(figure.lastElementChild, width, rows);
    return figure;
  }));
  film = new Sheet(reel.querySelector("canvas"), run.film.length, run.melts ? 1 : 2);
}

function paint(t) {
  for (const [layer, sheet] of Object.entries(sheets)) {
    const pictures = run.pictures(layer, t), count = pictures ? pictures.length / AREA : 0;
    sheet.clear();
    for (let k = 0; k < count; k++) sheet.place(pictures, k, k);
    if (followed >= 0) sheet.frame(followed);
    sheet.show();
  }
  if (followed >= 0) paintFilm(t);
  if (++painted === 2) lab.opened();
}

function paintFilm(t) {
  const times = run.film;
  film.clear();
  times.forEach((time, column) => {
    for (const [row, layer] of (run.melts ? ["x"] : ["x", "x0"]).entries()) {
      const picture = run.pictures(layer, time, followed, followed + 1);
      if (picture?.length) film.place(picture, 0, row * times.length + column);
    }
  });
  const near = times.reduce((best, time, k) => Math.abs(time - t) < Math.abs(times[best] - t) ? k : best, 0);
  film.frame(near, run.melts ? 1 : 2);
  film.show();
}

// Called by the clock, inside an animation frame.
function draw(now) {
  const tick = Math.floor(now / READ), read = !clock.playing || tick !== readAt;   // all that move together read at the same frame
  readAt = tick;
  bar.read(read);
  if (!run?.there) return;
  const t = run.at(clock.t), changed = t !== drawn || stale;
  if (!changed && clock.t === seenAt) return;
  [drawn, stale, seenAt] = [t, false, clock.t];
  if (changed) paint(t);
  if (read) readNumbers(t);
  movedAt = performance.now();
  restTimer ||= setTimeout(rest, REST);
}

function rest() {
  restTimer = 0;
  if (!run?.there) return;
  const wait = movedAt + REST - performance.now();
  if (clock.playing || wait > 0) {
    restTimer = setTimeout(rest, Math.max(wait, REST / 2));
    return;
  }
  readNumbers(drawn);
  describe();
  writeAddress();
}

// ---- readouts

const FORMULAS = {
  mix: `${sub("x", AT)} = <b></b> ${sub("x", 0)} + <b></b> <var>ε</var>`,
  pictures: `${sub("x", AT)} = <b></b> ${sub("x̂", 0)} + <b></b> <var>ε̂</var>`,
};

function readNumbers(t) {
  const {alpha, sigma} = run.header, a = alpha[t], s = sigma[t], scale = Math.hypot(a, s);
  put(text.alpha_bar, number((a / scale) ** 2, 4));
  put(text.snr, number((a / s) ** 2));
  put(text.lam, number(Math.log(a / s), 2));
  put(text.nfe, String(run.steps.get(t)?.nfe ?? 0));
  formula.querySelectorAll("b").forEach((node, i) => put(node, number([a, s][i])));
  const notes = [Math.abs(scale - 1) > 1e-3 && say("scaled", {scale: number(scale, 2)}), say("cut_off"),
    !clock.playing && t !== clock.t && say("step_shown", {t})];
  put(text.note, notes.filter(Boolean).join(" · "));
}

function readHeader() {
  const {title, badge: kind, labels, taken, metrics = []} = run.header;
  put(text.title, title.map(key => say(key)).join(" · "));
  badge.hidden = false;
  badge.className = `lab-badge ${kind}`;
  put(badge, say(kind));
  $(".lab-metrics").replaceChildren(...lab.measured(metrics));
  chip.setAttribute("aria-pressed", followed >= 0);
  reel.hidden = followed < 0;
  if (followed >= 0) put(text.followed, `${say("picture_of", {i: followed + 1, n: run.header.n})}: ${say(labels[followed])}${taken ? ` · ${say("taken_for")}: ${say(taken[followed])}` : ""}`);
  describe();
}

function describe() {
  if (!run?.there) return;
  const {n, T, badge} = run.header, t = run.at(clock.t), nfe = run.steps.get(t)?.nfe ?? 0;
  for (const [layer, {canvas}] of Object.entries(sheets))
    canvas.setAttribute("aria-label", say("alt_pictures", {n, what: say(`pictures_${layer}`), t, T, nfe, title: text.title.textContent, badge: say(badge)}));
  if (film) film.canvas.setAttribute("aria-label", say("alt_reel", {picture: text.followed.textContent, steps: run.film.length, t}));
}

// ---- the stream

let value = {};

const feed = new Feed(element, {
  progress: seconds => {
    const {times = [], steps, header: {done, times: all} = {}} = run ?? {};
    return all && times.length && !done ? say("computing", {k: times.length, of: all.length, nfe: steps.get(times.at(-1)).nfe, seconds}) : "";
  },
  failed: () => {
    if (!run?.times.length) return;
    clock.setT(Math.max(Math.round(clock.t), run.times.at(-1)));
    clock.reach(draw, run.times.at(-1), false);
  },
});

function fetchRun(cache) {
  let incoming = null;
  return feed.open(value.src, (part, kind, ...bytes) => {
    if (part) {
      if (incoming) Object.assign(incoming.header, part);
      else if (part.n) incoming = new Run(part);
      if (incoming && incoming === run) readHeader();
      return;
    }
    incoming.take(kind, ...bytes);
    if (incoming.there && incoming !== run) show(incoming);
    if (kind === 6) arrived();
  }, {cache});
}

// The old pictures stay until the new ones are there.
function show(incoming) {
  run = incoming;
  drawn = -1;
  follow(value.image ?? followed);
  clock.begin(draw, run.header, value);
  formula.innerHTML = FORMULAS[run.header.mode];
  text.nfe.parentElement.hidden = run.melts;
  stage.classList.remove("lab-empty");
  bar.computed(0, 1);
  lay();
  readHeader();
  repaint();
  writeAddress();
}

function arrived() {
  const newest = run.times.at(-1), {T} = run.header;
  clock.reach(draw, newest, newest > 0);
  bar.computed(newest / T, 1);
  stale = true;                                // the step on show may have got its x0-hat
  clock.wake();
}

// ---- the address: what is on show is a link

function writeAddress() {
  if (!own || !run?.there || !value.link || !visible(element)) return;
  lab.address(value.link, {...(!clock.playing && {t: Math.round(clock.t)}), ...(followed >= 0 && {image: followed})});
}

// ---- hands

function repaint() {
  ink = pixel(hex(css("--lab-data")));
  stale = true;
  clock.wake();
}
const hex = colour => /^#\w{6}$/.test(colour) ? colour : "#888888";

function follow(i) { followed = run && i < run.header.n ? i : -1; }

// Galleries that move together follow the same picture.
const tellAll = image => document.dispatchEvent(new CustomEvent("lab-follow", {detail: {clock, image}}));
document.addEventListener("lab-follow", ({detail: {clock: theirs, image}}) => {
  if (theirs !== clock || !run?.there) return;
  follow(image);
  value.image = followed;
  readHeader();
  repaint();
});

// A step is what the sampler did; of the closed form, one t.
function step(by) {
  const t = Math.round(clock.t), {times, melts} = run ?? {melts: true};
  clock.setT(melts ? t + by : by > 0 ? Math.min(...times.filter(s => s > t), clock.T) : Math.max(...times.filter(s => s < t), 0));
}

const next = by => tellAll((followed + by + run.header.n) % run.header.n);
const ACTIONS = {
  toggle: () => clock.toggle(),
  back: () => step(-1),
  forward: () => step(1),
  stop: () => feed.stop(),
  retry: () => fetchRun("reload"),
  fullscreen: () => document.fullscreenElement ? document.exitFullscreen() : stage.requestFullscreen(),
  follow: () => tellAll(followed < 0 ? 0 : -1),
  before: () => next(-1),
  after: () => next(1),
};
element.addEventListener("mousedown", event => { if (event.target.closest("button")) event.preventDefault(); });  // keeps the keys on the gallery
element.addEventListener("click", event => {
  ACTIONS[event.target.closest("button")?.dataset.do]?.();
  const canvas = event.target.closest("canvas");
  if (!canvas || !run?.there) return;
  if (canvas === film.canvas) return clock.setT(run.film[film.cell(event) % film.columns]);
  const cell = Object.values(sheets).find(sheet => sheet.canvas === canvas).cell(event);
  if (cell < run.header.n) tellAll(cell === followed ? -1 : cell);
});

// ---- start

function load() {
  const next = props.value ? JSON.parse(props.value) : {}, fresh = next.src !== value.src;
  value = {t: null, ...next};
  if (fresh && value.src) ask();
  else if (run?.there) {
    follow(value.image ?? followed);
    clock.apply(value);
    readHeader();
    repaint();
    writeAddress();
  }
}

lab.onTheme(repaint, element);
new ResizeObserver(() => { if (visible(element)) writeAddress(); }).observe(panels);   // also: a tab that is shown
lab.stages[id] = {
  clock, element,
  get header() { return run?.header; },
  get painted() { return painted; },
  get shown() { return drawn; },
  get followed() { return followed; },
  get idle() { return Boolean(!feed.request && !restTimer && run?.there && !stale && seenAt === clock.t); },
  pictures: (layer, t) => Array.from(run.pictures(layer, t) ?? []),
};
clock.subscribe(draw, element);
const ask = lab.nearing(element, fetchRun);
load();
watch("value", load);
