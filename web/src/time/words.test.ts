import { describe, expect, it } from 'vitest';
import { clock, spanParts } from './words.ts';

describe('clock', () => {
  it.each([
    [0, 0, '0:00'],
    [9.99, 0, '0:09'],
    [61.25, 2, '1:01.25'],
    [3600, 0, '1:00:00'],
    [3.3, 1, '0:03.3'],
    [36_125.04, 2, '10:02:05.04'],
    [-1, 0, '0:00'],
  ] as const)('%d seconds with %d digits', (secs, digits, words) => {
    expect(clock(secs, digits)).toBe(words);
  });
});

describe('spanParts', () => {
  it.each([
    [12.4, [[12, 'second']]],
    [59.8, [[1, 'minute']]],
    [190, [[3, 'minute']]],
    [3600, [[1, 'hour']]],
    [
      4800,
      [
        [1, 'hour'],
        [20, 'minute'],
      ],
    ],
    [400_000, [[5, 'day']]],
  ])('%d seconds', (secs, parts) => {
    expect(spanParts(secs).map((part) => [part.value, part.unit])).toEqual(parts);
  });
});
