// The count curve as SVG paths: a line for the mean and a band from minimum to maximum. Moments without a count interrupt both, because a
// straight line over them would be wrong.
import type { CountPoint, CountWindow } from '../api/narrowed.ts';
import { type TimeView, toPixels } from './view.ts';

export interface CurvePaths {
  line: string;
  band: string;
}

const round = (value: number) => Math.round(value * 10) / 10;

/** The top of the scale: an even round number above the most that was counted, so the curve never touches the edge. */
export function topOfScale(points: CountPoint[]): number {
  let most = 0;
  for (const point of points) most = Math.max(most, point[3]);
  const steps = [4, 6, 8, 10, 14, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400, 500, 800, 1000];
  return steps.find((step) => step > most) ?? (Math.floor(most / 1000) + 1) * 1000;
}

/** Runs of points that follow each other without a hole. */
export function unbroken(counts: CountWindow): CountPoint[][] {
  const { points, level_secs: level } = counts;
  const widest = Math.max(2, 3 * level);
  const stretches: CountPoint[][] = [];
  let previous: CountPoint | undefined;
  for (const point of points) {
    if (!previous || point[0] - previous[0] > widest) stretches.push([]);
    stretches.at(-1)?.push(point);
    previous = point;
  }
  return stretches;
}

export function curvePaths(
  counts: CountWindow,
  view: TimeView,
  width: number,
  height: number,
  top: number,
): CurvePaths {
  let line = '';
  let band = '';
  const { level_secs: level, counted_to_secs: end } = counts;
  const toY = (count: number) => round(height - (count / top) * height);
  const toX = (secs: number) => round(toPixels(view, width, secs));
  for (const points of unbroken(counts)) {
    // A point of an interval speaks for all of it.
    const ends = (secs: number) => toX(Math.max(secs, Math.min(secs + level, end)));
    const x = points.flatMap(([secs]) => (level > 0 ? [toX(secs), ends(secs)] : [toX(secs)]));
    const stretch = level > 0 ? points.flatMap((point) => [point, point]) : points;
    // A single point would be invisible: give it a pixel's length.
    if (x.at(-1) === x[0]) {
      stretch.push(stretch[0] as CountPoint);
      x.push((x[0] as number) + 1);
    }
    line += stretch.map((point, place) => `${place ? 'L' : 'M'}${x[place]} ${toY(point[1])}`).join('');
    const above = stretch.map((point, place) => `${place ? 'L' : 'M'}${x[place]} ${toY(point[3])}`).join('');
    const below = stretch
      .map((point, place) => `L${x[place]} ${toY(point[2])}`)
      .reverse()
      .join('');
    band += `${above}${below}Z`;
  }
  return { line, band };
}

/** The point that speaks for a moment: the last one not after it, if near enough. */
export function pointAt(counts: CountWindow, secs: number): CountPoint | null {
  const { points } = counts;
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle] as CountPoint)[0] <= secs + 1e-4) low = middle + 1;
    else high = middle;
  }
  const point = points[low - 1] ?? points[0];
  if (!point || Math.abs(secs - point[0]) > Math.max(2, 3 * counts.level_secs)) return null;
  return point;
}
