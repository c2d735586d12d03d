import { describe, expect, it } from 'vitest';
import type { BoxesUpdate } from '../api/types.ts';
import { BoxesByTime, ticksBetween } from './boxes_by_time.ts';

const update = (rtp: number): BoxesUpdate => ({
  type: 'boxes',
  id: 'a',
  pts: rtp,
  rtp,
  t: rtp / 90_000,
  count: 1,
  boxes: [],
});

describe('BoxesByTime', () => {
  it('finds the boxes of the very frame, and else those just before it', () => {
    const boxes = new BoxesByTime();
    for (const rtp of [90_000, 96_000, 102_000]) boxes.add(update(rtp));
    expect(boxes.at(96_000)).toMatchObject({ update: { rtp: 96_000 }, isExact: true });
    expect(boxes.at(99_000)).toMatchObject({ update: { rtp: 96_000 }, isExact: false });
    expect(boxes.at(102_000 + 27_000)).toMatchObject({ update: { rtp: 102_000 }, isExact: false });
    expect(boxes.at(102_000 + 27_001)).toBeNull();
    expect(boxes.at(89_999)).toBeNull();
  });

  it('goes on where timestamps begin anew', () => {
    const boxes = new BoxesByTime();
    boxes.add(update(2 ** 32 - 3000));
    expect(boxes.at(3000)).toMatchObject({ isExact: false });
    boxes.add(update(3000));
    expect(boxes.at(3000)).toMatchObject({ update: { rtp: 3000 }, isExact: true });
    expect(ticksBetween(2 ** 32 - 1, 1)).toBe(2);
    expect(ticksBetween(1, 2 ** 32 - 1)).toBe(-2);
  });

  it('keeps some seconds only', () => {
    const boxes = new BoxesByTime();
    for (let frame = 0; frame < 1000; frame += 1) boxes.add(update(frame * 6000));
    expect(boxes.at(0)).toBeNull();
    expect(boxes.at(999 * 6000)).toMatchObject({ isExact: true });
  });
});
