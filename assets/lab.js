// window.lab: what every Stage and Chart shares. Inline in <head>, after window.lab_config and before any component.
window.lab = (() => {
  const config = window.lab_config;
  const language = navigator.language.startsWith("zh") ? "zh-CN" : "en";

  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  const visible = element => element.getClientRects().length > 0;  // offsetParent would be null in full screen

  // A key, or the English text, is better than nothing where a translation is missing.
  const t = (key, values = {}) =>
    (config.strings[language][key] ?? config.strings.en[key] ?? key).replace(/\{(\w+)\}/g,
      (_, name) => Array.isArray(values[name]) ? t(...values[name]) : values[name]);

  const number = (x, digits = 3) =>
    !Number.isFinite(x) ? (x > 0 ? "∞" : x < 0 ? "−∞" : "–")
    : x !== 0 && (Math.abs(x) < 10 ** -digits || Math.abs(x) >= 1e4) ? x.toExponential(1).replace(/-/g, "−")
    : x.toFixed(digits).replace("-", "−");

  // "#rrggbb" as ImageData has it on a little-endian machine.
  const pixel = (colour, alpha = 255) => {
    const rgb = parseInt(colour.slice(1), 16);
    return (alpha << 24 | (rgb & 255) << 16 | rgb & 0xff00 | rgb >> 16) >>> 0;
  };

  // ---- server

  // Not known yet while <head> is read, hence a function behind a getter.
  const root = () => (window.gradio_config?.root ?? location.origin + location.pathname).replace(/\/$/, "");

  // plotly.js holds up the page for a good while as it starts: it is fetched at once, and starts when points move already and
  // what it is to draw is on show. The Images tab has nothing of the kind.
  let opened, begun, loading;
  const moving = new Promise(done => { opened = done; });
  const element = (tag, settings) => document.head.appendChild(Object.assign(document.createElement(tag), settings));
  const onShow = place => new Promise(done => new ResizeObserver((_, observer) => {
    if (!visible(place)) return;
    observer.disconnect();
    done();
  }).observe(place));
  function begin(src) {
    if (new URLSearchParams(location.search).get("tab") !== "images") element("link", {rel: "preload", as: "script", href: src});
    return Promise.race([moving, new Promise(late => setTimeout(late, 2000))]);
  }
  async function plotly(place) {
    const src = `${root()}/lab/plotly-${config.plotly}.min.js`;
    await (begun ??= begin(src));
    await onShow(place);
    return loading ??= new Promise((done, fail) => {
      // "./" says nothing, but for it plotly.js writes the address of that moment into its clip paths: with the next t in the
      // address they are no longer part of this page, clip nothing and are fetched.
      document.querySelector('base[href="./"]')?.removeAttribute("href");
      element("script", {
        src,
        onload: () => done(window.Plotly),
        onerror: () => { loading = null; fail(new TypeError("plotly.js did not load")); },
      });
    });
  }

  // Decodes [uint32 kind][uint32 byteLength][payload, padded to 4 bytes] as it arrives. Calls onChunk(kind, buffer, offset,
  // byteLength); the bytes are only valid during the call. Padding keeps every offset a multiple of 4, so views need no copy.
  async function read(response, onChunk) {
    const reader = response.body.getReader();
    let bytes = new Uint8Array(1 << 16), start = 0, end = 0;
    for (let part; !(part = await reader.read()).done;) {
      const {value} = part;
      if (end + value.length > bytes.length) {
        const rest = bytes.subarray(start, end), size = rest.length + value.length;
        if (size > bytes.length) bytes = new Uint8Array(2 * size);
        bytes.set(rest);
        end -= start;
        start = 0;
      }
      bytes.set(value, end);
      end += value.length;
      while (end - start >= 8) {
        const [kind, length] = new Uint32Array(bytes.buffer, start, 2);
        const next = start + 8 + Math.ceil(length / 4) * 4;
        if (next > end) break;
        onChunk(kind, bytes.buffer, start + 8, length);
        start = next;
      }
    }
    if (start < end) throw new TypeError("the stream was cut off");  // the same type as a failed fetch
  }

  // For what costs the server time: a function that acts at once while the element is near the view, else as soon as it is.
  function nearing(element, act) {
    let near = false, wanted = false;
    new IntersectionObserver(entries => {
      near = entries.at(-1).isIntersecting;
      if (near && wanted) act();
      wanted &&= !near;
    }, {rootMargin: "50% 0px"}).observe(element);
    return () => {
      wanted = !near;
      return near ? act() : undefined;
    };
  }

  // ---- the address: what is on show is a link, and how the page looks stays in it

  function address(recipe, view) {
    const now = new URLSearchParams(location.search), link = new URLSearchParams(recipe);
    for (const key of ["mode", "__theme", "view"]) if (now.has(key)) link.set(key, now.get(key));
    for (const [key, value] of Object.entries(view)) link.set(key, value);
    const next = `?${link}`.replaceAll("%2C", ",");
    if (next !== location.search) history.replaceState(history.state, "", next + location.hash);
  }

  // Another picture of the tab on show, the recipe in the address with these changes; Header carries it out.
  const go = changes => {
    const link = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(changes)) link.set(key, value);
    document.dispatchEvent(new CustomEvent("lab-go", {detail: link.toString()}));
  };

  // ---- theme

  const css = name => getComputedStyle(document.body).getPropertyValue(name).trim();
  const themed = new Map();  // redraw -> the element it draws
  const onTheme = (redraw, element) => {
    if (!themed.size) new MutationObserver(() => {
      for (const [redraw, element] of themed) element.isConnected ? redraw() : themed.delete(redraw);
    }).observe(document.body, {attributes: true, attributeFilter: ["class"]});
    themed.set(redraw, element);
  };

  // What every Plotly figure takes from the page; the figure's own settings come on top.
  const axis = () => ({color: css("--lab-muted"), gridcolor: css("--lab-grid"), linecolor: css("--lab-line"), zerolinecolor: css("--lab-line"),
    zerolinewidth: 1});
  const layout = () => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true, uirevision: "kept", hovermode: "closest",
    font: {family: css("--lab-font"), size: parseFloat(css("--lab-plot-size")), color: css("--lab-ink")},
    modebar: {bgcolor: "rgba(0,0,0,0)", color: css("--lab-muted"), activecolor: css("--lab-ink")},
    hoverlabel: {bgcolor: css("--lab-paper"), bordercolor: css("--lab-line"), font: {color: css("--lab-ink")}},
  });

  // ---- time

  // Which elements have a size, that is, are in the tab on show. Asking each frame would force a layout each frame.
  const shown = new Set(), clocks = {};
  const sizes = new ResizeObserver(entries => {
    for (const {target, contentRect} of entries) contentRect.width ? shown.add(target) : shown.delete(target);
    Object.values(clocks).forEach(clock => clock.wake());
  });

  const SWEEP = 6000, REST = 900;  // ms across the whole range at speed 1, ms at either end of the forward loop

  // One time for all Stages and Charts of a name. Subscribers are called inside an animation frame, at most once each, and
  // only while their element can be seen; nothing runs when nothing moves.
  class Clock {
    t = 0; T = 0; direction = "forward"; playing = false; speed = 1;
    #draws = new Map(); #runs = new Map(); #frame = 0; #last = 0; #heading = 1; #rest = 0; #following = false;

    subscribe(draw, element) { this.#draws.set(draw, element); sizes.observe(element); }

    wake() { this.#frame ||= requestAnimationFrame(this.#tick); }

    #tick = now => {
      this.#frame = 0;
      if (this.playing && this.#last) this.#advance(Math.min(now - this.#last, 100));
      let seen = false;
      for (const [draw, element] of this.#draws) {
        if (!element.isConnected) { this.#draws.delete(draw); this.#runs.delete(draw); }
        else if (shown.has(element)) { seen = true; draw(now); }
      }
      this.#last = this.playing && seen ? now : 0;
      if (this.#last) this.wake();
    };

    #advance(ms) {
      const step = ms * this.speed * this.T / SWEEP;
      if (this.direction === "reverse") {
        const {limit, live} = this.#frontier();
        this.t = Math.max(Math.min(this.t, limit), this.t - step);
        if (this.t <= limit && !live) this.pause();
      } else if (this.#rest > 0) {
        this.#rest -= ms;
      } else {
        this.t = clamp(this.t + this.#heading * step, 0, this.T);
        if (this.t === 0 || this.t === this.T) {
          this.#heading = this.t === 0 ? 1 : -1;
          this.#rest = REST / this.speed;
        }
      }
    }

    // How far a reverse clock can go: as far as the slowest run that is still being computed, at last as far as any run came.
    #frontier() {
      const runs = [...this.#runs.values()], live = runs.filter(run => run.live);
      return {live: live.length, limit: live.length ? Math.max(...live.map(run => run.t)) : Math.min(...runs.map(run => run.t))};
    }

    // A new stream. A reverse walk starts at noise; any other keeps its place. t === null: nobody asked for a step.
    begin(who, {T, direction}, {t, play}) {
      this.#runs.set(who, {t: T, live: true});
      const place = t ?? (direction === "reverse" ? T : this.T && this.t * T / this.T);
      Object.assign(this, {T, direction, t: clamp(place, 0, T)});
      this.#following = direction === "reverse" && t === null;
      this.apply({t: null, play});
    }

    apply({t, play}) {
      if (t !== null) this.setT(t);
      if (play) this.play();
      else if (play === false) this.pause();
      this.wake();
    }

    // who has computed down to t, and goes on. A paused reverse clock shows the newest step until somebody takes the time.
    reach(who, t, live = true) {
      this.#runs.set(who, {t, live});
      if (this.#following && !this.playing) this.t = this.#frontier().limit;
      this.wake();
    }

    // Somebody takes the time into their own hands: whatever moved stops.
    setT(t) {
      this.#following = false;
      this.pause();
      this.t = clamp(t, 0, this.T);
      this.wake();
    }

    play() {
      if (this.playing) return;
      if (this.direction === "reverse" && this.t <= 0) this.t = this.T;
      this.playing = true;
      this.#rest = 0;
      if (this.t >= this.T) this.#heading = -1;
      else if (this.t <= 0) this.#heading = 1;
      this.wake();
    }

    pause() {
      this.playing = false;
      this.t = Math.round(this.t);  // at rest the picture is a step, not something between two steps
      this.wake();
    }

    toggle() { this.playing ? this.pause() : this.play(); }
  }

  const clock = name => clocks[name] ??= new Clock();

  // ---- what plays: the buttons and the time bar under a picture, and the stream that fills it

  const icon = path => `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`;
  const PLAY = icon("M4 2.5v11l9-5.5z"), PAUSE = icon("M4 3h3v10H4zM9 3h3v10H9z");
  const BACK = icon("M3 3h2v10H3zM13 3v10L6 8z"), FORWARD = icon("M11 3h2v10h-2zM3 3v10l7-5z");
  const FULLSCREEN = icon("M2 6V2h4v1.5H3.5V6zM10 2h4v4h-1.5V3.5H10zM14 10v4h-4v-1.5h2.5V10zM6 14H2v-4h1.5v2.5H6z");
  const button = (action, content, key = action) =>
    `<button type="button" data-do="${action}" aria-label="${t(key)}" title="${t(key)}">${content}</button>`;
  const put = (node, value) => { if (node.textContent !== value) node.textContent = value; };  // an equal text would still cost a layout

  // A line for each measurement, with its floor and its n where it has some.
  const measured = rows => rows.map(({name, value, floor, n, unit}) => {
    const row = document.createElement("span"), figure = document.createElement("b");
    const reliability = [floor != null && `${t("floor")} ${number(floor)}`, n != null && `n = ${n}`].filter(Boolean).join(", ");
    figure.textContent = Number.isInteger(value) ? value : number(value ?? NaN);
    row.append(`${t(name)} `, figure, unit ? ` ${unit}` : "", reliability && ` (${reliability})`);
    return row;
  });

  // The time bar of a clock. Its owner says how far a step goes, calls `read`, and has the buttons in its ACTIONS.
  class Bar {
    static markup = time => `<div class="lab-bar">
      ${button("toggle", PLAY, "play")}${button("back", BACK)}${button("forward", FORWARD)}
      <span class="lab-end" data-end="data">${t("data")}</span>
      <input class="lab-range" type="range" min="0" max="0" step="1" value="0" aria-label="${t("time")}">
      <span class="lab-end" data-end="noise">${t("noise")}</span>
      <span class="lab-now">${time ? t(time) : "<var>t</var> ="} <b data-number="t">0</b> / <span data-text="T">0</span></span>
      <select aria-label="${t("speed")}" title="${t("speed")}">${[.25, .5, 1, 2, 4].map(speed => `<option value="${speed}">${speed}×</option>`).join("")}</select>
    </div>`;

    constructor(element, clock) {
      const find = selector => element.querySelector(`.lab-bar ${selector}`);
      Object.assign(this, {clock, range: find(".lab-range"), toggle: find("[data-do=toggle]"), pace: find("select"),
        now: find("[data-number=t]"), last: find("[data-text=T]")});
      this.range.addEventListener("input", () => clock.setT(+this.range.value));
      this.pace.addEventListener("change", () => { clock.speed = +this.pace.value; });
    }

    // The thumb moves with every frame; texts change the layout, and nobody reads them that fast.
    read(texts) {
      const {range, toggle, clock: {T, playing, speed}} = this, time = String(Math.round(this.clock.t));
      if (range.max !== String(T)) range.max = T;
      if (range.value !== time) range.value = time;
      if (!texts) return;
      put(this.now, time);
      put(this.last, String(T));
      range.setAttribute("aria-valuetext", `t = ${time}`);
      const key = playing ? "pause" : "play";
      if (toggle.dataset.key !== key) {
        Object.assign(toggle, {innerHTML: playing ? PAUSE : PLAY, title: t(key)}).setAttribute("aria-label", t(key));
        toggle.dataset.key = key;
      }
      this.pace.value = speed;
    }

    // From one end of the shares of the track to the other, something has been computed.
    computed(from, to) {
      this.range.style.setProperty("--computed-from", from);
      this.range.style.setProperty("--computed-to", to);
    }
  }

  // One stream at a time into a picture: its progress with Stop, its place in the queue, and what went wrong with Retry.
  class Feed {
    static markup = () => `<div class="lab-status" role="status" hidden><span></span> ${button("stop", t("stop"))}</div>
      <div class="lab-message" role="alert" hidden><span></span> ${button("retry", t("retry"))}</div>`;

    request = null;

    // progress(seconds): words, if there are any; failed(): what is there already has to do; ended(): in whatever way.
    constructor(element, {progress, failed, ended = () => {}}) {
      Object.assign(this, {progress, failed, ended, status: element.querySelector(".lab-status"), message: element.querySelector(".lab-message")});
    }

    tell(node, words, action) {
      node.hidden = !words;
      put(node.firstElementChild, words);
      node.querySelector("button").hidden = !action;
    }

    fail(words, retry) {
      this.failed();
      this.tell(this.message, words, retry);
    }

    // take(part) for what is JSON, take(null, kind, buffer, offset, bytes) for the rest. `needed`: a promise that must come true, too.
    async open(src, take, {cache = "default", needed} = {}) {
      this.request?.abort();
      const mine = this.request = new AbortController(), started = performance.now();
      let queued = 0;
      this.tell(this.message, "");
      this.tell(this.status, "");
      needed?.catch(() => {});                 // awaited when the stream is there
      try {
        const response = await fetch(`${root()}/${src}`, {signal: mine.signal, cache});
        if (!response.ok) {
          const {message} = await response.json().catch(() => ({}));
          return this.fail(message ? t(...message) : `${response.status} ${response.statusText}`, response.status >= 500);
        }
        await read(response, (kind, buffer, offset, bytes) => {
          if (kind === 0) {
            const part = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, offset, bytes)));
            queued = part.queued ?? queued;    // known before anything else; and again, when others had to have their turn
            if (part.message) this.fail(t(...part.message), false);
            take(part);
          } else take(null, kind, buffer, offset, bytes);
          const words = queued ? t("queued", {n: queued}) : this.progress(number((performance.now() - started) / 1000, 1));
          if (words) this.tell(this.status, words, true);
        });
        await needed;
      } catch (error) {
        if (error.name === "AbortError") return;
        if (!(error instanceof TypeError)) throw error;   // what fetch and read say when the network fails
        console.warn(error);
        this.fail(t("network"), true);
      } finally {
        if (mine === this.request) {
          this.request = null;
          this.tell(this.status, "");
          this.ended();
        }
      }
    }

    stop(retry = true) {
      this.request?.abort();
      this.request = null;
      this.tell(this.status, "");
      this.fail(t("stopped"), retry);
      this.ended();
    }
  }

  // ---- keyboard

  const stages = {}, charts = {};
  const inView = ({element}) => {
    const {top, bottom} = element.getBoundingClientRect();
    return visible(element) && bottom > 0 && top < innerHeight;
  };
  const MOVES = {
    " ": clock => clock.toggle(),
    ArrowLeft: (clock, by) => clock.setT(Math.round(clock.t) - by),
    ArrowRight: (clock, by) => clock.setT(Math.round(clock.t) + by),
    Home: clock => clock.setT(0),
    End: clock => clock.setT(clock.T),
  };
  document.addEventListener("keydown", event => {
    const move = MOVES[event.key], {target} = event;
    if (!move || event.ctrlKey || event.altKey || event.metaKey) return;
    if (target.closest("input:not(.lab-range, [type=checkbox]), textarea, select, [contenteditable], [role=listbox], [role=slider]")) return;
    if (event.key === " " && target.closest("button:not([role=tab]), a, summary, [type=checkbox]")) return;  // a tab keeps the focus after a click
    const stage = Object.values(stages).find(inView);
    if (!stage?.clock.T) return;
    event.preventDefault();
    event.stopPropagation();
    move(stage.clock, event.shiftKey ? 10 : 1);
  }, true);

  // ---- lists of several choices

  // Gradio clears such a list, or takes out its last choice at Backspace, without an input event. Clicks on the choices' own crosses send one
  // each; of several in the same frame it mixes up the order.
  const takeOut = async event => {
    const {type, key, target} = event, all = target.closest(".remove-all") && (type === "click" || key === "Enter");
    if (!all && !(key === "Backspace" && target.matches("[role=combobox]") && !target.value)) return;
    const crosses = [...target.closest(".wrap-inner")?.querySelectorAll(".token .token-remove") ?? []].reverse();
    if (!crosses.length) return;
    event.preventDefault();
    event.stopPropagation();
    for (const cross of all ? crosses : crosses.slice(0, 1)) {
      cross.click();
      await new Promise(requestAnimationFrame);
    }
  };
  for (const type of ["click", "keydown"]) document.addEventListener(type, takeOut, true);

  return {
    get root() { return root(); }, palette: config.palette, colours: config.colours,
    t, number, clamp, pixel, visible, icon, button, put, FULLSCREEN, measured, Bar, Feed, plotly, opened, read, nearing, address, go, css, onTheme, axis, layout, clock, stages, charts,
  };
})();
