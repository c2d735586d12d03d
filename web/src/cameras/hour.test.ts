import { describe, expect, it } from 'vitest';
import type { CountPoint } from '../api/narrowed.ts';
import { bucketed, joined, stretches } from './hour.ts';

const point = (secs: number): CountPoint => [secs, 3, 2, 4];
const range = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, place) => point(from + place));

describe('stretches', () => {
  const view = { fromSecs: 100, toSecs: 200 };

  it('tells video from no video, to the second', () => {
    const points = [...range(90, 130), ...range(150, 198)];
    expect(stretches(points, view, true)).toEqual([
      { fromSecs: 100, toSecs: 130, isCounted: true },
      { fromSecs: 130, toSecs: 150, isCounted: false },
      { fromSecs: 150, toSecs: 200, isCounted: true },
    ]);
  });

  it('takes seconds without a frame for none, and the newest for not settled only while it is live', () => {
    const slow = [100, 102, 105, 108].map(point);
    expect(stretches(slow, { fromSecs: 100, toSecs: 115 }, true)).toEqual([
      { fromSecs: 100, toSecs: 115, isCounted: true },
    ]);
    expect(stretches(slow, { fromSecs: 100, toSecs: 115 }, false)).toEqual([
      { fromSecs: 100, toSecs: 109, isCounted: true },
      { fromSecs: 109, toSecs: 115, isCounted: false },
    ]);
    expect(stretches(slow, { fromSecs: 100, toSecs: 160 }, true).at(-1)).toMatchObject({ isCounted: false });
  });

  it('shows a camera that sent nothing', () => {
    expect(stretches([], view, false)).toEqual([{ fromSecs: 100, toSecs: 200, isCounted: false }]);
  });
});

describe('joined', () => {
  it('replaces what comes again, and forgets what is older than an hour', () => {
    const before = [point(0), point(3000), [3001, 1, 1, 1] as CountPoint];
    const news = [[3001, 2, 2, 2] as CountPoint, point(3601)];
    expect(joined(before, news).map(([secs, mean]) => [secs, mean])).toEqual([
      [3000, 3],
      [3001, 2],
      [3601, 3],
    ]);
    expect(joined(before, [])).toEqual(before);
  });
});

describe('bucketed', () => {
  it('keeps the least and the greatest, and leaves out where there was no video', () => {
    const points: CountPoint[] = [
      [0, 2, 1, 3],
      [1, 4, 4, 5],
      [9, 3, 0, 3],
      [31, 6, 6, 6],
    ];
    expect(bucketed(points, 10)).toEqual([
      [0, 3, 0, 5],
      [30, 6, 6, 6],
    ]);
    // Frames become seconds.
    expect(
      bucketed(
        [
          [0.2, 1, 1, 1],
          [0.8, 2, 2, 2],
          [1.1, 3, 3, 3],
        ],
        1,
      ),
    ).toEqual([
      [0, 1.5, 1, 2],
      [1, 3, 3, 3],
    ]);
  });
});
