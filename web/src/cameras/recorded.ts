// What is recorded of a camera, in stretches: recordings follow each other without a gap for as long as the camera sends.
import type { DetectionFrame } from '../api/narrowed.ts';
import type { Recording } from '../api/types.ts';
import type { DetectionCache } from '../overlay/detections.ts';

/** The next recording begins with the next frame; a camera may send one a second. */
const JOINED_SECS = 3;

export interface Span {
  fromSecs: number;
  toSecs: number;
}

/** `nowSecs` ends what is being written. */
export function recordedSpans(recordings: Recording[], nowSecs: number): Span[] {
  const spans: Span[] = [];
  for (const { from, to } of recordings) {
    const toSecs = Math.max(to ?? nowSecs, from);
    const last = spans.at(-1);
    if (last && from - last.toSecs <= JOINED_SECS) last.toSecs = Math.max(last.toSecs, toSecs);
    else spans.push({ fromSecs: from, toSecs });
  }
  return spans;
}

/** A moment that is recorded: the one asked for, or the nearest. Null if nothing is. */
export function nearestRecorded(spans: Span[], secs: number): number | null {
  let nearest: number | null = null;
  for (const { fromSecs, toSecs } of spans) {
    const inside = Math.max(fromSecs, Math.min(toSecs, secs));
    if (nearest === null || Math.abs(inside - secs) < Math.abs(nearest - secs)) nearest = inside;
  }
  return nearest;
}

const TICKS_A_SECOND = 90_000;
/** A frame that was looked at holds until the next one, but not for longer. */
const HOLDS_SECS = 0.3;
/** Half of the time between two frames of a fast camera: a player's clock and a frame's own differ by less. */
const AHEAD_SECS = 0.02;

/** What was found on the frame that plays at `secs`; null: nothing is known of it. */
export function framePlaying(
  detections: Pick<DetectionCache, 'between'>,
  secs: number,
): DetectionFrame | null {
  const [from, to] = [secs - HOLDS_SECS, secs + AHEAD_SECS];
  const ticks = (at: number) => Math.round(at * TICKS_A_SECOND);
  return detections.between(ticks(from), ticks(to), from, to).at(-1) ?? null;
}
