import { describe, expect, it } from 'vitest';
import type { FrameIndex } from '../api/narrowed.ts';
import { PtsTable } from './pts_table.ts';

const whole = { is_whole: true, is_mirrored: false, duration_secs: 0 };

const constant = new PtsTable({
  ...whole,
  time_base: [1, 90_000],
  first_pts: 0,
  runs: [[3600, 249]],
  frames: 250,
});
const shifted = new PtsTable({
  ...whole,
  time_base: [1001, 30_000],
  first_pts: -7,
  runs: [
    [1, 10],
    [3, 2],
    [1, 5],
    [90, 1],
    [1, 1],
  ],
  frames: 20,
});

describe('PtsTable', () => {
  it('knows every frame of a run-length coded table', () => {
    expect(constant.frames).toBe(250);
    expect(constant.lastPts).toBe(249 * 3600);
    expect(constant.endSecs).toBeCloseTo(10, 9);
    expect(shifted.frames).toBe(20);
    const pts = Array.from({ length: 20 }, (_, index) => shifted.ptsOfIndex(index));
    expect(pts).toEqual([-7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 6, 9, 10, 11, 12, 13, 14, 104, 105]);
  });

  it.each([
    ['constant', constant],
    ['variable, from a start that is not zero', shifted],
  ])('finds each frame from its beginning, its middle and a rounded time: %s', (_, table) => {
    for (let index = 0; index < table.frames; index += 1) {
      const secs = table.secsOfIndex(index);
      expect(table.indexAt(secs)).toBe(index);
      expect(table.indexAt(table.middleSecs(index))).toBe(index);
      expect(table.indexAt(Math.floor(secs * 1e6) / 1e6)).toBe(index);
      expect(table.indexOfPts(table.ptsOfIndex(index))).toBe(index);
    }
  });

  it('seeks a frame that stands for missing ones near its beginning', () => {
    // Of 104 and the one before: 90 frames apart.
    expect(shifted.middleSecs(17) - shifted.secsOfIndex(17)).toBeCloseTo(0.5 * (1001 / 30_000), 9);
    expect(shifted.middleSecs(18) - shifted.secsOfIndex(18)).toBeCloseTo(0.5 * (1001 / 30_000), 9);
  });

  it('counts seconds from the first frame, wherever the stream begins', () => {
    expect(shifted.secsOfIndex(0)).toBe(0);
    expect(shifted.firstPtsSecs).toBeCloseTo((-7 * 1001) / 30_000, 12);
    expect(constant.secsOfIndex(25)).toBe(1);
  });

  it('holds the last frame before a moment, and stays inside the video', () => {
    expect(shifted.indexAt(shifted.secsOfPts(50))).toBe(17);
    expect(shifted.indexAt(-5)).toBe(0);
    expect(shifted.indexAt(1e6)).toBe(19);
    expect(shifted.ptsOfIndex(-3)).toBe(-7);
    expect(shifted.ptsOfIndex(99)).toBe(105);
  });

  it('tells where the recorder kept no picture', () => {
    expect(constant.gaps()).toEqual([]);
    const [gap, ...others] = shifted.gaps();
    expect(others).toEqual([]);
    expect(gap?.fromSecs).toBeCloseTo(shifted.secsOfPts(15), 9);
    expect(gap?.toSecs).toBeCloseTo(shifted.secsOfPts(104), 9);
  });

  it('knows how long the video will be while it is being read', () => {
    const known: Omit<FrameIndex, 'is_whole' | 'duration_secs'> = {
      is_mirrored: false,
      time_base: [1, 1000],
      first_pts: 0,
      runs: [[40, 24]],
      frames: 25,
    };
    const part = new PtsTable({ ...known, is_whole: false, duration_secs: 60 });
    expect([part.isWhole, part.endSecs, part.durationSecs]).toEqual([false, 1, 60]);
    // The length stated by a file may be too short, and is ignored once all is read.
    const longer = new PtsTable({ ...known, is_whole: false, duration_secs: 0.5 });
    expect(longer.durationSecs).toBe(1);
    const all = new PtsTable({ ...known, is_whole: true, duration_secs: 60 });
    expect(all.durationSecs).toBe(1);
  });

  it('manages a single frame and none', () => {
    const single = new PtsTable({ ...whole, time_base: [1, 1000], first_pts: 40, runs: [], frames: 1 });
    expect(single.frames).toBe(1);
    expect(single.indexAt(3)).toBe(0);
    expect(single.endSecs).toBeGreaterThan(0);
    expect(new PtsTable({ ...whole, time_base: [1, 1000], first_pts: 0, runs: [], frames: 0 }).frames).toBe(
      0,
    );
  });
});
