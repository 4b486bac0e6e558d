// One time for all pictures that move together: playing, pausing, and waiting for what is still being computed.

import {clamp} from "./number.js";

const SWEEP = 6000;  // ms across the whole range at speed 1
const REST = 900;    // ms at either end of the forward loop

/** Goes from 0, data, to T, noise, and back; or, in reverse, from T down as far as anything was computed. */
export class Clock {
  t = 0;
  T = 0;
  /** @type {"forward" | "reverse"} */
  direction = "forward";
  playing = false;
  speed = 1;
  /** @type {Map<unknown, {t: number, live: boolean}>} how far each reader of the clock has been computed */
  #runs = new Map();
  #heading = 1;        // of a forward clock: to noise or back
  #rest = 0;           // ms that it still stands at an end
  #following = false;  // a paused reverse clock shows the newest step, until somebody takes the time

  /** Something changed. A clock on a page has another frame drawn. */
  wake() {}

  /** @param {number} ms */
  advance(ms) {
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

  /** How far a reverse clock can go: as far as the slowest run that is being computed, at last as far as any came. */
  #frontier() {
    const runs = [...this.#runs.values()], live = runs.filter(run => run.live);
    const reached = (live.length ? live : runs).map(run => run.t);
    return {live: live.length > 0, limit: live.length ? Math.max(...reached) : Math.min(...reached)};
  }

  /**
   * A new stream. A reverse walk starts at noise; any other keeps its place. t === null: nobody asked for a step.
   * @param {unknown} who
   * @param {{T: number, direction: "forward" | "reverse"}} range
   * @param {{t: number | null, play?: boolean | null}} wanted
   */
  begin(who, {T, direction}, {t, play}) {
    this.#runs.set(who, {t: T, live: true});
    const kept = this.T && this.t * T / this.T;
    Object.assign(this, {T, direction, t: clamp(t ?? (direction === "reverse" ? T : kept), 0, T)});
    this.#following = direction === "reverse" && t === null;
    this.apply({t: null, play});
  }

  /** @param {{t: number | null, play?: boolean | null}} wanted */
  apply({t, play}) {
    if (t !== null) this.setT(t);
    if (play) this.play();
    else if (play === false) this.pause();
    this.wake();
  }

  /** `who` has been computed down to t, and goes on if it is live. @param {unknown} who @param {number} t */
  reach(who, t, live = true) {
    this.#runs.set(who, {t, live});
    if (this.#following && !this.playing) this.t = this.#frontier().limit;
    this.wake();
  }

  /** Nobody waits for `who` any more. @param {unknown} who */
  leave(who) {
    this.#runs.delete(who);
  }

  /** Somebody takes the time into their own hands: whatever moved stops. @param {number} t */
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

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }
}
