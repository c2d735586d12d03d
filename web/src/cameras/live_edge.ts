// How a player of live video stays close to the newest frame that has come: a little behind it, so that it doesn't run dry; a little faster or slower
// where that is enough; with a jump where it isn't. And how late it is. Times are arguments.

/** Behind the newest frame at first; more where it runs dry. */
export const FIRST_BEHIND_SECS = 0.2;
export const MOST_BEHIND_SECS = 1;
const MORE_SECS = 0.1;
/** Farther behind than wanted by this, it jumps. */
export const JUMP_SECS = 0.8;
const NEAR_SECS = 0.06;
const FASTER = 1.08;
const SLOWER = 0.95;

export interface Steering {
  /** Where to jump to, media seconds. */
  seekSecs: number | null;
  rate: number;
}

export class LiveEdge {
  /** How far behind the newest frame is aimed at. */
  behindSecs = FIRST_BEHIND_SECS;

  /** The player has run dry. */
  ranDry(): void {
    this.behindSecs = Math.min(MOST_BEHIND_SECS, this.behindSecs + MORE_SECS);
  }

  /** `ranges`: what is there, media seconds; `newestSecs`: when the newest frame is shown. */
  steer(currentSecs: number, newestSecs: number, ranges: readonly (readonly [number, number])[]): Steering {
    const wanted = newestSecs - this.behindSecs;
    const last = ranges.at(-1);
    if (!last) return { seekSecs: null, rate: 1 };
    const place = Math.max(wanted, last[0]);
    const behind = newestSecs - currentSecs;
    // Before or in a hole: it would wait there for ever.
    const isThere = ranges.some(([from, to]) => currentSecs >= from && currentSecs < to);
    if (!isThere && currentSecs < last[0]) return { seekSecs: place, rate: 1 };
    if (behind > this.behindSecs + JUMP_SECS && place > currentSecs) return { seekSecs: place, rate: 1 };
    if (behind > this.behindSecs + NEAR_SECS) return { seekSecs: null, rate: FASTER };
    return { seekSecs: null, rate: behind < this.behindSecs - NEAR_SECS ? SLOWER : 1 };
  }
}

/** Frames older than two of these are forgotten: the camera's clock runs a little faster or slower than this one. */
const FORGET_MS = 30_000;

/** How late a frame is shown: against the frame that came the soonest of the last half minute. The shortest way of a frame to the page counts as none. */
export class Lateness {
  #soonest = Number.POSITIVE_INFINITY;
  #soonestBefore = Number.POSITIVE_INFINITY;
  #sinceMs = Number.NEGATIVE_INFINITY;

  arrived(mediaSecs: number, nowMs: number): void {
    if (nowMs - this.#sinceMs >= FORGET_MS) {
      this.#soonestBefore = this.#soonest;
      this.#soonest = Number.POSITIVE_INFINITY;
      this.#sinceMs = nowMs;
    }
    this.#soonest = Math.min(this.#soonest, nowMs - mediaSecs * 1000);
  }

  /** Seconds; null: no frame has come. */
  of(mediaSecs: number, nowMs: number): number | null {
    const soonest = Math.min(this.#soonest, this.#soonestBefore);
    return Number.isFinite(soonest) ? Math.max(0, (nowMs - soonest) / 1000 - mediaSecs) : null;
  }
}

const TICKS_A_SECOND = 90_000;
const DECODE_TIME_AT = 60;
const COMPOSITION_AT = 100;

/** When the frame of a fragment is shown, media seconds; null: it is no fragment as the server makes them, with one frame. */
export function shownSecs(fragment: ArrayBuffer): number | null {
  if (fragment.byteLength < COMPOSITION_AT + 4) return null;
  const view = new DataView(fragment);
  const isFragment = view.getUint32(4) === 0x6d6f6f66 && view.getUint32(DECODE_TIME_AT - 8) === 0x74666474;
  if (!isFragment) return null;
  const ticks = Number(view.getBigUint64(DECODE_TIME_AT)) + view.getUint32(COMPOSITION_AT);
  return ticks / TICKS_A_SECOND;
}

/** The low 32 bits of a frame's pts, as WebRTC has them. `zeroPts` is the pts at media time 0. */
export function rtpOf(mediaSecs: number, zeroPts: number): number {
  const pts = zeroPts + Math.round(mediaSecs * TICKS_A_SECOND);
  return ((pts % 2 ** 32) + 2 ** 32) % 2 ** 32;
}
