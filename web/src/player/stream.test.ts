import { expect, it } from 'vitest';
import { coveredSecs } from './stream.ts';

const ranges = (...pairs: [number, number][]) => ({
  length: pairs.length,
  start: (index: number) => pairs[index]?.[0] ?? 0,
  end: (index: number) => pairs[index]?.[1] ?? 0,
});

it.each([
  [ranges(), 0, 2, 0],
  [ranges([0, 12]), 2, 4, 2],
  [ranges([0, 0.33], [2, 2.33]), 2, 4, 0.33],
  [ranges([0, 1], [1.5, 3]), 0, 2, 1.5],
  [ranges([5, 6]), 0, 2, 0],
])('how much of a piece a browser has kept', (buffered, from, to, expected) => {
  expect(coveredSecs(buffered, from, to)).toBeCloseTo(expected);
});
