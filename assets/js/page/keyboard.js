// The keyboard: space plays, arrows step, Home and End go to the ends of whatever is in view.

import {visible} from "./dom.js";
import {stages} from "./lab.js";

/** @typedef {import("./clocks.js").PageClock} PageClock */

/** @type {Record<string, (clock: PageClock, by: number) => void>} */
const MOVES = {
  " ": clock => clock.toggle(),
  ArrowLeft: (clock, by) => clock.setT(Math.round(clock.t) - by),
  ArrowRight: (clock, by) => clock.setT(Math.round(clock.t) + by),
  Home: clock => clock.setT(0),
  End: clock => clock.setT(clock.T),
};
const TYPING =
  "input:not(.lab-range, [type=checkbox]), textarea, select, [contenteditable], [role=listbox], [role=slider]";
const PRESSING = "button:not([role=tab]), a, summary, [type=checkbox]";  // a tab keeps the focus after a click

/** @param {{element: Element}} stage */
function inView({element}) {
  const {top, bottom} = element.getBoundingClientRect();
  return visible(element) && bottom > 0 && top < innerHeight;
}

document.addEventListener("keydown", event => {
  const move = MOVES[event.key], target = /** @type {Element} */ (event.target);
  if (!move || event.ctrlKey || event.altKey || event.metaKey) return;
  if (target.closest(TYPING) || (event.key === " " && target.closest(PRESSING))) return;
  const stage = Object.values(stages).find(inView);
  if (!stage?.clock.T) return;
  event.preventDefault();
  event.stopPropagation();
  move(stage.clock, event.shiftKey ? 10 : 1);
}, true);
