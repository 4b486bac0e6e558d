// js_on_load body of Fields: arrows over the plane, a panel for each view, a row for each model. Every noise level that can be
// shown was computed; nothing is drawn in between. With a bar it has a clock of its own, whose t is the level; without, it
// shows the level nearest to the t of somebody else's.
const {t: say, number, visible, css, pixel} = lab, {bar = true} = props, id = props.name, clock = lab.clock(props.clock);
const EVERY = 2, LONGEST = 2.4;   // an arrow for every second node, at most so many nodes long
const SYMBOLS = {eps: "ε̂", x0: "x̂₀", score: "∇ log p", v: "v̂", drift: "−½β x", diffusion: "−½β ∇ log p",
  current: "−½β (x + ∇ log p)", unmixing: "½β x + β ∇ log p"};

element.innerHTML = `<section class="lab-stage lab-fields">
  <div class="lab-message" role="alert" hidden></div>
  <div class="lab-grid"></div>
  <div class="lab-bar"${bar ? "" : " hidden"}><span class="lab-end" data-end="data">${say("data")}</span>
    <input class="lab-range" type="range" min="0" max="0" step="1" value="0" aria-label="${say("noise_level")}">
    <span class="lab-end" data-end="noise">${say("noise")}</span></div>
  <div class="lab-readout"><span hidden>t <b data-number="t"></b></span><span>λ <b data-number="lam"></b></span><span>α <b data-number="alpha"></b></span>
    <span>σ <b data-number="sigma"></b></span><span hidden>${say("residual")} <b data-number="residual"></b></span></div>
  <div class="lab-point" aria-live="polite"></div>
</section>`;
const $ = selector => element.querySelector(selector);
const range = $(".lab-range"), grid = $(".lab-grid"), message = $(".lab-message"), point = $(".lab-point");
const text = Object.fromEntries([...element.querySelectorAll("[data-number]")].map(node => [node.dataset.number, node]));

let value = {}, header = null, levels = [], panels = [], request = null, node = -1, shown = -1, stale = true, painted = 0, resting = 0;

// ---- one panel: a canvas, the colours behind it, the arrows on it

class Panel {
  constructor(row, view, column) {
    Object.assign(this, {row, view, column, badge: header.rows[row], judged: row < header.rows.length - 1});
    this.figure = document.createElement("figure");
    this.figure.innerHTML = `<figcaption><span class="lab-badge ${this.badge}">${say(this.badge)}</span> ${say(`view_${view}`)} <var>${SYMBOLS[view]}</var></figcaption><canvas role="img"></canvas>`;
    this.canvas = this.figure.lastElementChild;
    grid.append(this.figure);
  }

  // Sizes and colours are asked for when they may have changed: asking in each frame would force a layout in each frame.
  measure() {
    const {canvas} = this, width = Math.round(canvas.clientWidth * (devicePixelRatio || 1));
    this.ratio = devicePixelRatio || 1;
    if (width && canvas.width !== width) [canvas.width, canvas.height] = [width, width];
    this.width = width;
    this.ctx = canvas.getContext("2d");
    this.image = width ? new ImageData(width, width) : null;
    this.pixels = width ? new Uint32Array(this.image.data.buffer) : null;
    this.ink = css("--lab-ink");
    this.arrow = pixel(css(`--lab-${this.badge}`));
    const heat = pixel(css(this.judged ? "--lab-error" : "--lab-data")), paper = pixel(hex(css("--lab-paper")));
    this.shades = Uint32Array.from({length: 256}, (_, a) => blend(paper, heat, a));
  }

  // Pixels by hand: as paths, the arrows of eight panels would take three frames' time.
  draw(level) {
    const {ctx, ratio, width, row, column, pixels, shades} = this, {side} = header, cell = width / side;
    if (!width) return;
    const heat = this.judged ? level.errors[column] : level.density;
    for (let y = 0, above = -1; y < width; y++) {                       // row 0 of a picture is at its top
      const i = side - 1 - Math.floor(y / cell), start = y * width;
      if (i === above) pixels.copyWithin(start, start - width, start);
      else for (let j = 0; j < side; j++) pixels.fill(shades[heat[i * side + j]], start + Math.round(j * cell), start + Math.round((j + 1) * cell));
      above = i;
    }
    const field = level.fields[row][column], longest = LONGEST * cell / 32767, head = .9 * cell;
    for (let i = EVERY >> 1; i < side; i += EVERY) for (let j = EVERY >> 1; j < side; j += EVERY) {
      const k = i * side + j, x = (j + .5) * cell, y = width - (i + .5) * cell;
      const dx = field[2 * k] * longest, dy = -field[2 * k + 1] * longest, length = Math.hypot(dx, dy);
      if (length < ratio) continue;
      const h = Math.min(head, length) / length / 2, ex = x + dx, ey = y + dy;
      this.line(x, y, ex, ey);
      this.line(ex - h * (dx - .6 * dy), ey - h * (dy + .6 * dx), ex, ey);
      this.line(ex - h * (dx + .6 * dy), ey - h * (dy - .6 * dx), ex, ey);
    }
    ctx.putImageData(this.image, 0, 0);
    if (node >= 0) {
      ctx.strokeStyle = this.ink;
      ctx.lineWidth = 2 * ratio;
      ctx.beginPath();
      ctx.arc((node % side + .5) * cell, width - (Math.floor(node / side) + .5) * cell, 6 * ratio, 0, 2 * Math.PI);
      ctx.stroke();
    }
  }

  // Steps along the longer side; across it, each pixel is covered as far as the line reaches into it.
  line(x0, y0, x1, y1) {
    const {width, pixels, arrow, ratio} = this, dx = x1 - x0, dy = y1 - y0, steep = Math.abs(dy) > Math.abs(dx);
    const n = Math.max(1, Math.ceil(Math.max(Math.abs(dx), Math.abs(dy)))), half = .5 * ratio + .5;
    for (let k = 0; k <= n; k++) {
      const x = x0 + dx * k / n, y = y0 + dy * k / n, along = Math.floor(steep ? y : x), across = steep ? x : y;
      if (along < 0 || along >= width) continue;
      for (let p = Math.floor(across - half + .5); p < across + half - .5; p++) {
        const cover = Math.min(1, half - Math.abs(p + .5 - across));
        if (cover <= 0 || p < 0 || p >= width) continue;
        const at = steep ? along * width + p : p * width + along;
        pixels[at] = blend(pixels[at], arrow, 255 * cover | 0);
      }
    }
  }
}

// Of two pixels, so much of the upper one.
function blend(under, over, a) {
  const red = (under & 255) + (((over & 255) - (under & 255)) * a >> 8), green = (under >> 8 & 255) + (((over >> 8 & 255) - (under >> 8 & 255)) * a >> 8);
  const blue = (under >> 16 & 255) + (((over >> 16 & 255) - (under >> 16 & 255)) * a >> 8);
  return (0xff000000 | blue << 16 | green << 8 | red) >>> 0;
}
// Any CSS colour as "#rrggbb".
function hex(colour) {
  const ctx = document.createElement("canvas").getContext("2d");
  ctx.fillStyle = colour;
  return ctx.fillStyle;
}

// ---- a level: [model, exact][view] -> int16 [side², 2]; errors and density as opacities

function take(buffer, offset, bytes) {
  const {side, rows, views} = header, n = side * side, [index] = new Int32Array(buffer, offset, 1), count = views.length;
  const scale = Float32Array.from(new Float32Array(buffer, offset + 4, count));
  const start = offset + 4 + 4 * count, all = new Int16Array(buffer.slice(start, start + 4 * rows.length * count * n));
  const fields = rows.map((_, r) => views.map((_, v) => all.subarray(2 * n * (r * count + v), 2 * n * (r * count + v + 1))));
  const density = new Uint8Array(buffer.slice(offset + bytes - n, offset + bytes));
  const errors = rows.length > 1 && views.map((_, v) => Uint8Array.from({length: n}, (_, k) => {
    const [a, b] = [fields[0][v], fields[1][v]], error = Math.hypot(a[2 * k] - b[2 * k], a[2 * k + 1] - b[2 * k + 1]);
    return Math.min(255, 255 * error / (.5 * 32767));        // half of the largest vector is as dark as it gets
  }));
  levels[index] = {scale, fields, density, errors};
}

const vector = (level, row, v) => [0, 1].map(axis => level.fields[row][v][2 * node + axis] / 32767 * level.scale[v]);
const pair = xs => `(${xs.map(x => number(x, 2)).join(", ")})`;

function readPoint() {
  const t = here(), level = levels[t];
  if (node < 0 || !level) return void (point.textContent = header ? say("hover_field") : "");
  const {side, view, views, alpha, sigma} = header, centre = k => view * ((2 * k + 1) / side - 1);
  const x = [centre(node % side), centre(Math.floor(node / side))], at = Object.fromEntries(views.map((name, v) => [name, v]));
  if (header.rows.length === 1) return tellPoint([`x = ${pair(x)}`, ...views.map((name, v) => `${SYMBOLS[name]} = ${vector(level, 0, v).map(c => c.toExponential(1)).join(", ")}`)]);
  const [x0, eps, score, v] = ["x0", "eps", "score", "v"].map(name => vector(level, 0, at[name]));
  x0.forEach((_, i) => { x0[i] += x[i]; });     // drawn as the way from x to the estimate
  const truth = views.map((name, v) => `${SYMBOLS[name]} ${pair(vector(level, 1, v).map((c, i) => name === "x0" ? c + x[i] : c))}`);
  const a = number(alpha[t]), s = number(sigma[t]);
  tellPoint([
    `x = ${pair(x)} · x̂₀ = ${pair(x0)}`,
    `ε̂ = (x − α x̂₀) / σ = (${pair(x)} − ${a} · ${pair(x0)}) / ${s} = ${pair(eps)}`,
    `∇ log p = −ε̂ / σ = −${pair(eps)} / ${s} = ${pair(score)}`,
    `v̂ = α ε̂ − σ x̂₀ = ${a} · ${pair(eps)} − ${s} · ${pair(x0)} = ${pair(v)}`,
    `${say("exact")}: ${truth.join(" · ")}`,
  ]);
}
const tellPoint = lines => point.replaceChildren(...lines.map(line => Object.assign(document.createElement("div"), {textContent: line})));

// The level on show.
function here() {
  const {times} = header, t = Math.round(clock.t);
  return times ? times.reduce((best, time, k) => Math.abs(time - t) < Math.abs(times[best] - t) ? k : best, 0) : t;
}

function draw() {
  if (!header) return;
  const t = here(), level = levels[t];
  range.value = t;
  if (!level || (t === shown && !stale)) return;
  stale = false;
  shown = t;
  painted++;
  if (!panels[0].width) measure();
  for (const panel of panels) panel.draw(level);
  resting ||= setTimeout(rest, 80);
}

// Texts change the layout, and nobody reads them faster than this.
function rest() {
  resting = 0;
  const {error, residual, alpha: {[shown]: alpha}, sigma: {[shown]: sigma}} = header, lam = number(Math.log(alpha / sigma), 2);
  for (const {canvas, view, badge} of panels) canvas.setAttribute("aria-label", say(error ? "alt_field" : "alt_drift",
    {view: say(`view_${view}`), row: say(badge), lam, error: error && number(100 * error[view][shown], 1)}));
  for (const [name, value] of Object.entries({t: String(header.times?.[shown]), lam, alpha: number(alpha), sigma: number(sigma), residual: number(residual)})) text[name].textContent = value;
  text.residual.parentElement.hidden = residual === undefined;
  text.t.parentElement.hidden = bar;
  readPoint();
  if (!clock.playing && value.link && visible(element)) lab.address(value.link, {t: shown});
}

const measure = () => panels.forEach(panel => panel.measure());
const afresh = () => { measure(); again(); };
const again = () => { stale = true; clock.wake(); };

function load() {
  const next = props.value ? JSON.parse(props.value) : {};
  const fresh = next.src && next.src !== value.src;
  value = next;
  if (fresh) ask();
  else again();                                // the same picture, perhaps under another address
}

async function fetchFields() {
  request?.abort();
  const {signal} = request = new AbortController();
  message.hidden = true;
  try {
    const response = await fetch(`${lab.root}/${value.src}`, {signal});
    if (!response.ok) {
      const {message: words} = await response.json().catch(() => ({}));
      throw new TypeError(words ? say(...words) : `${response.status} ${response.statusText}`);
    }
    let incoming = null;
    await lab.read(response, (kind, buffer, offset, bytes) => {
      if (kind === 0) {
        const part = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, offset, bytes)));
        if (part.message) throw new TypeError(say(...part.message));
        if (!part.side) return void Object.assign(incoming ?? {}, part);
        [header, levels, node, shown] = [incoming = part, [], -1, -1];
        grid.replaceChildren();
        grid.dataset.rows = part.rows.length;
        panels = part.rows.flatMap((_, row) => part.views.map((view, column) => new Panel(row, view, column)));
        range.max = part.alpha.length - 1;
        if (bar) clock.begin(draw, {T: part.alpha.length - 1, direction: "forward"}, {t: value.t ?? part.start, play: false});
      } else {
        take(buffer, offset, bytes);
        again();
      }
    });
  } catch (error) {
    if (error.name === "AbortError") return;
    message.textContent = error.message;
    message.hidden = false;
  }
}

range.addEventListener("input", () => clock.setT(+range.value));
const seek = event => {
  const canvas = event.target.closest("canvas");
  if (!canvas || !header) return;
  const {left, top, width} = canvas.getBoundingClientRect(), {side} = header, place = x => lab.clamp(Math.floor(x / width * side), 0, side - 1);
  const at = place(width - (event.clientY - top)) * side + place(event.clientX - left);
  if (at === node) return;
  node = at;
  again();
};
grid.addEventListener("pointermove", seek);
grid.addEventListener("pointerdown", seek);
new ResizeObserver(afresh).observe(grid);
lab.onTheme(afresh, element);
lab.stages[id] = {
  clock, element,
  get header() { return header; },
  get shown() { return shown; },
  get painted() { return painted; },
  get ready() { return header && levels.filter(Boolean).length === header.alpha.length; },
  get node() { return node; },
  field: (row, view, t) => Array.from(levels[t].fields[header.rows.indexOf(row)][header.views.indexOf(view)], q => q / 32767 * levels[t].scale[header.views.indexOf(view)]),
};
clock.subscribe(draw, element);
const ask = lab.nearing(element, fetchFields);
load();
watch("value", load);
