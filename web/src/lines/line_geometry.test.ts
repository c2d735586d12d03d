import { describe, expect, it } from 'vitest';
import { forwardDegrees, forwardDirection, moved, turned } from './line_geometry.ts';

const picture = { width: 100, height: 100 };

describe('forward', () => {
  it.each([
    ['an arrow upwards has its right on the right', { x1: 5, y1: 9, x2: 5, y2: 1 }, { x: 1, y: 0 }, 0],
    ['an arrow to the right has its right below', { x1: 1, y1: 5, x2: 9, y2: 5 }, { x: 0, y: 1 }, 90],
    ['an arrow downwards has its right on the left', { x1: 5, y1: 1, x2: 5, y2: 9 }, { x: -1, y: 0 }, 180],
  ])('%s', (_, ends, forward, degrees) => {
    expect(forwardDirection(ends)).toEqual(forward);
    expect(forwardDegrees(ends)).toBe(degrees);
  });

  it('turns round with the ends', () => {
    const ends = { x1: 3, y1: 8, x2: 60, y2: 41 };
    const [one, other] = [forwardDirection(ends), forwardDirection(turned(ends))];
    expect(other.x).toBeCloseTo(-one.x, 12);
    expect(other.y).toBeCloseTo(-one.y, 12);
  });
});

describe('moved', () => {
  const ends = { x1: 10, y1: 10, x2: 50, y2: 90 };

  it('moves one end and leaves the other', () => {
    expect(moved(ends, 'start', { x: -30, y: 5 }, picture)).toEqual({ ...ends, x1: 0, y1: 15 });
    expect(moved(ends, 'end', { x: 1, y: 30 }, picture)).toEqual({ ...ends, x2: 51, y2: 100 });
  });

  it('keeps the length of a line pushed against the edge', () => {
    expect(moved(ends, 'body', { x: -30, y: 30 }, picture)).toEqual({ x1: 0, y1: 20, x2: 40, y2: 100 });
  });
});
