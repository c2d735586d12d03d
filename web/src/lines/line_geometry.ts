// Geometry of lines. Forward is from the left of the arrow start→end to its right, as seen on the screen, where y points
// down: the right-hand side of (dx, dy) is (−dy, dx).
import type { LineEnds } from '../api/narrowed.ts';

export type LinePart = 'start' | 'end' | 'body';

export interface Vector {
  x: number;
  y: number;
}

export function forwardDirection(ends: LineEnds): Vector {
  const dx = ends.x2 - ends.x1;
  const dy = ends.y2 - ends.y1;
  const length = Math.hypot(dx, dy) || 1;
  // `0 -` instead of a minus sign, to avoid −0.
  return { x: 0 - dy / length, y: dx / length };
}

/** The angle by which an arrow pointing to the right must be turned to point forward. */
export function forwardDegrees(ends: LineEnds): number {
  const forward = forwardDirection(ends);
  return (Math.atan2(forward.y, forward.x) * 180) / Math.PI;
}

export function turned(ends: LineEnds): LineEnds {
  return { x1: ends.x2, y1: ends.y2, x2: ends.x1, y2: ends.y1 };
}

export function lineLength(ends: LineEnds): number {
  return Math.hypot(ends.x2 - ends.x1, ends.y2 - ends.y1);
}

/** Moves an end, or the whole line with its length kept, and stays inside the picture. */
export function moved(
  ends: LineEnds,
  part: LinePart,
  by: Vector,
  picture: { width: number; height: number },
): LineEnds {
  const inside = (value: number, most: number) => Math.max(0, Math.min(most, value));
  if (part === 'start') {
    return { ...ends, x1: inside(ends.x1 + by.x, picture.width), y1: inside(ends.y1 + by.y, picture.height) };
  }
  if (part === 'end') {
    return { ...ends, x2: inside(ends.x2 + by.x, picture.width), y2: inside(ends.y2 + by.y, picture.height) };
  }
  const dx = allowed(by.x, ends.x1, ends.x2, picture.width);
  const dy = allowed(by.y, ends.y1, ends.y2, picture.height);
  return { x1: ends.x1 + dx, y1: ends.y1 + dy, x2: ends.x2 + dx, y2: ends.y2 + dy };
}

function allowed(by: number, one: number, other: number, most: number): number {
  return Math.max(-Math.min(one, other), Math.min(most - Math.max(one, other), by));
}

export function rounded(ends: LineEnds): LineEnds {
  const tenth = (value: number) => Math.round(value * 10) / 10;
  return { x1: tenth(ends.x1), y1: tenth(ends.y1), x2: tenth(ends.x2), y2: tenth(ends.y2) };
}
