// The last hour of a camera: when it was counted, and when there was no video.
import type { CountPoint } from '../api/narrowed.ts';
import type { TimeView } from '../timeline/view.ts';

export const HOUR_SECS = 3600;
/** Counts come in buckets of a second; a camera of one frame a second leaves some empty. */
const LEAST_GAP_SECS = 3;
/** What is newer isn't settled yet. */
const SETTLING_SECS = 10;

/** New points take the place of those from their first on; what is older than an hour goes. */
export function joined(before: CountPoint[], news: CountPoint[]): CountPoint[] {
  const from = news[0]?.[0] ?? Number.POSITIVE_INFINITY;
  const all = [...before.filter(([secs]) => secs < from), ...news];
  const newest = all.at(-1)?.[0] ?? 0;
  return all.filter(([secs]) => secs >= newest - HOUR_SECS);
}

export interface Stretch {
  fromSecs: number;
  toSecs: number;
  isCounted: boolean;
}

/** The view in stretches with and without video. `isLive`: the newest seconds are only not settled yet. */
export function stretches(points: CountPoint[], view: TimeView, isLive: boolean): Stretch[] {
  const found: Stretch[] = [];
  let at = view.fromSecs;
  const add = (toSecs: number, isCounted: boolean) => {
    if (toSecs <= at) return;
    const last = found.at(-1);
    if (last?.isCounted === isCounted) last.toSecs = toSecs;
    else found.push({ fromSecs: at, toSecs, isCounted });
    at = toSecs;
  };
  for (const [secs] of points) {
    if (secs + 1 <= view.fromSecs) continue;
    add(secs, secs - at <= LEAST_GAP_SECS);
    add(secs + 1, true);
  }
  const isSettling = isLive && view.toSecs - at <= SETTLING_SECS;
  add(view.toSecs, isSettling || view.toSecs - at <= LEAST_GAP_SECS);
  return found;
}

/** Buckets of so many seconds: the mean of the means, the least and the greatest count. A bucket without video doesn't exist. */
export function bucketed(points: CountPoint[], secs: number): CountPoint[] {
  const buckets: { start: number; sum: number; seconds: number; min: number; max: number }[] = [];
  for (const [at, mean, min, max] of points) {
    const start = Math.floor(at / secs) * secs;
    const last = buckets.at(-1);
    if (last?.start === start) {
      last.sum += mean;
      last.seconds += 1;
      last.min = Math.min(last.min, min);
      last.max = Math.max(last.max, max);
    } else {
      buckets.push({ start, sum: mean, seconds: 1, min, max });
    }
  }
  return buckets.map(({ start, sum, seconds, min, max }) => [start, sum / seconds, min, max]);
}
