// The boxes of a camera's newest frames, found by the RTP timestamp of a frame that is shown. Timestamps count modulo 2^32.
import type { BoxesUpdate } from '../api/types.ts';

/** Some seconds at the most frequent inferences. */
const MOST_FRAMES = 64;
const WRAP = 2 ** 32;
const TICKS_A_SECOND = 90_000;
/** Frames between inferences show the boxes before them, if they are not older. */
const MOST_AGE_TICKS = 0.3 * TICKS_A_SECOND;

/** Ticks from `earlier` to `later`, across the wrap; negative if it is the other way round. */
export function ticksBetween(earlier: number, later: number): number {
  const ahead = (((later - earlier) % WRAP) + WRAP) % WRAP;
  return ahead < WRAP / 2 ? ahead : ahead - WRAP;
}

export class BoxesByTime {
  #frames: BoxesUpdate[] = [];

  add(update: BoxesUpdate): void {
    this.#frames.push(update);
    if (this.#frames.length > MOST_FRAMES) this.#frames.shift();
  }

  /** Those of the frame itself, or of the last one before it that is at most 0.3 s older. */
  at(rtp: number): { update: BoxesUpdate; isExact: boolean } | null {
    let best: { update: BoxesUpdate; age: number } | null = null;
    for (const update of this.#frames) {
      const age = ticksBetween(update.rtp, rtp);
      if (age < 0 || age > MOST_AGE_TICKS) continue;
      if (best === null || age < best.age) best = { update, age };
    }
    return best && { update: best.update, isExact: best.age === 0 };
  }
}
