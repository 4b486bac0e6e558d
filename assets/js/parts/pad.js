// Pad: draw with a mouse, a pen or a finger. Its value is the strokes, [[x, y], ...] each, from 0 to 1, y down.

import {find} from "../page/dom.js";
import {css, onTheme} from "../page/theme.js";
import {t} from "../page/words.js";
import {clamp} from "../pure/number.js";

const SIDE = 600, WIDTH = 12;  // of the canvas and of a stroke, in pixels

/** @param {HTMLElement} element @param {Props} props @param {Gradio} gradio */
export function mount(element, props, {trigger}) {
  element.innerHTML = `<div class="lab-pad">
    <canvas width="${SIDE}" height="${SIDE}" role="img" aria-label="${t("pad")}"></canvas>
    <div>
      <button type="button" data-do="use">${t("pad_use")}</button>
      <button type="button" data-do="clear">${t("pad_clear")}</button>
    </div>
  </div>`;
  /** @type {HTMLCanvasElement} */
  const canvas = find(element, "canvas");
  const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  /** @type {[number, number][][]} */
  let strokes = [];

  /** @param {PointerEvent} event @returns {[number, number]} */
  function place({clientX, clientY}) {
    const {left, top, width, height} = canvas.getBoundingClientRect();
    const share = (/** @type {number} */ x) => +clamp(x, 0, 1).toFixed(4);
    return [share((clientX - left) / width), share((clientY - top) / height)];
  }

  function draw() {
    ctx.clearRect(0, 0, SIDE, SIDE);
    Object.assign(ctx, {lineWidth: WIDTH, lineCap: "round", lineJoin: "round", strokeStyle: css("--lab-data")});
    for (const stroke of strokes) {
      ctx.beginPath();
      for (const [x, y] of [stroke[0], ...stroke]) ctx.lineTo(x * SIDE, y * SIDE);  // twice the first: a tap is a dot
      ctx.stroke();
    }
  }

  canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    strokes.push([place(event)]);
    draw();
  });
  canvas.addEventListener("pointermove", event => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    strokes[strokes.length - 1].push(place(event));
    draw();
  });
  element.addEventListener("click", ({target}) => {
    const action = /** @type {Element} */ (target).closest("button")?.dataset.do;
    if (action === "clear") {
      strokes = [];
      draw();
    }
    if (action === "use") {
      props.value = JSON.stringify(strokes);
      trigger("submit");
    }
  });
  onTheme(draw, element);
}
