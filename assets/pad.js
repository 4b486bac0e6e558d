// js_on_load body of Pad: draw with a mouse, a pen or a finger. Its value is the strokes, [[x, y], ...] each, from 0 to 1, y down.
const say = lab.t;
element.innerHTML = `<div class="lab-pad"><canvas width="600" height="600" role="img" aria-label="${say("pad")}"></canvas>
  <div><button type="button" data-do="use">${say("pad_use")}</button><button type="button" data-do="clear">${say("pad_clear")}</button></div></div>`;
const canvas = element.querySelector("canvas"), ctx = canvas.getContext("2d");
let strokes = [];

const place = ({clientX, clientY}) => {
  const {left, top, width, height} = canvas.getBoundingClientRect();
  return [(clientX - left) / width, (clientY - top) / height].map(x => +lab.clamp(x, 0, 1).toFixed(4));
};

function draw() {
  ctx.clearRect(0, 0, canvas.width, canvas.height);
  Object.assign(ctx, {lineWidth: 12, lineCap: "round", lineJoin: "round", strokeStyle: lab.css("--lab-data")});
  for (const stroke of strokes) {
    ctx.beginPath();
    for (const [x, y] of [stroke[0], ...stroke]) ctx.lineTo(x * canvas.width, y * canvas.height);
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
  strokes.at(-1).push(place(event));
  draw();
});
element.addEventListener("click", ({target}) => {
  const action = target.closest("button")?.dataset.do;
  if (action === "clear") {
    strokes = [];
    draw();
  }
  if (action === "use") {
    props.value = JSON.stringify(strokes);
    trigger("submit");
  }
});
lab.onTheme(draw, element);
