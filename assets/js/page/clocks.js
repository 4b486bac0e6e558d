// Clocks of the page: whoever reads one is called in an animation frame, while it can be seen and something moves.

import {Clock} from "../pure/clock.js";

/** Which elements have a size, that is, are in the tab on show. Asking each frame would force a layout each frame. */
const shown = new Set();
/** @type {Record<string, PageClock>} */
const clocks = {};
const sizes = new ResizeObserver(entries => {
  for (const {target, contentRect} of entries) {
    if (contentRect.width) shown.add(target);
    else shown.delete(target);
  }
  Object.values(clocks).forEach(clock => clock.wake());
});

export class PageClock extends Clock {
  /** @type {Map<(now: number) => void, Element>} */
  #readers = new Map();
  #frame = 0;
  #last = 0;  // when the clock moved last, while it plays before somebody's eyes

  /**
   * `draw` is called at most once a frame.
   * @param {(now: number) => void} draw @param {Element} element that it draws
   */
  subscribe(draw, element) {
    this.#readers.set(draw, element);
    sizes.observe(element);
  }

  wake() {
    this.#frame ||= requestAnimationFrame(this.#tick);
  }

  #tick = (/** @type {number} */ now) => {
    this.#frame = 0;
    if (this.playing && this.#last) this.advance(Math.min(now - this.#last, 100));
    let seen = false;
    for (const [draw, element] of this.#readers) {
      if (!element.isConnected) this.#drop(draw);
      else if (shown.has(element)) {
        seen = true;
        draw(now);
      }
    }
    this.#last = this.playing && seen ? now : 0;
    if (this.#last) this.wake();
  };

  /** @param {(now: number) => void} draw */
  #drop(draw) {
    this.#readers.delete(draw);
    this.leave(draw);
  }
}

/** The clock of that name, the same for all. @param {string} name */
export const clock = name => clocks[name] ??= new PageClock();
