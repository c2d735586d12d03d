import { describe, expect, it } from 'vitest';
import type { CountWindow } from '../api/narrowed.ts';
import { coverage, coverageAt } from './coverage.ts';
import { curvePaths, pointAt, topOfScale, unbroken } from './curve.ts';
import { follow, isWhole, pan, pinch, ticks, toPixels, toSecs, wholeView, zoom } from './view.ts';

const counts: CountWindow = {
  level_secs: 1,
  counted_to_secs: 40,
  points: [
    [0, 2, 1, 3],
    [1, 4, 4, 4],
    [2, 0, 0, 0],
    [30, 3, 2, 5],
  ],
};

describe('curve', () => {
  it('puts counts on the pixels of the scale, and breaks where nothing was counted', () => {
    const { line, band } = curvePaths(counts, { fromSecs: 0, toSecs: 40 }, 400, 60, 6);
    expect(line).toBe('M0 40L10 40L10 20L20 20L20 60L30 60M300 30L310 30');
    expect(band.startsWith('M0 30L10 30L10 20L20 20L20 60L30 60L30 60L20 60L20 20L10 20L10 50L0 50Z')).toBe(
      true,
    );
  });

  it('follows the view', () => {
    const { line } = curvePaths(counts, { fromSecs: 1, toSecs: 3 }, 200, 60, 6);
    expect(line.startsWith('M-100 40L0 40L0 20L100 20L100 60')).toBe(true);
  });

  it('never writes what SVG cannot read', () => {
    const empty: CountWindow = { level_secs: 0, counted_to_secs: 0, points: [] };
    expect(curvePaths(empty, wholeView(0), 0, 60, topOfScale([]))).toEqual({ line: '', band: '' });
  });

  it('leaves room above the most that was counted', () => {
    expect(topOfScale([])).toBe(4);
    expect(topOfScale(counts.points)).toBe(6);
    expect(topOfScale([[0, 0, 0, 4321]])).toBe(5000);
  });

  it('knows which point speaks for a moment', () => {
    expect(unbroken(counts)).toHaveLength(2);
    expect(pointAt(counts, 1.5)?.[0]).toBe(1);
    expect(pointAt(counts, 15)).toBeNull();
    expect(pointAt(counts, 30)?.[3]).toBe(5);
    expect(pointAt({ ...counts, points: [] }, 1)).toBeNull();
  });
});

describe('coverage', () => {
  const facts = {
    durationSecs: 100,
    countedToSecs: 60,
    hasVideo: true,
    gaps: [{ fromSecs: 20, toSecs: 30 }],
  };

  it('tells counted, not looked at and no video apart', () => {
    expect(coverage(facts).map((part) => [part.fromSecs, part.toSecs, part.state])).toEqual([
      [0, 20, 'counted'],
      [20, 30, 'no_video'],
      [30, 60, 'counted'],
      [60, 100, 'pending'],
    ]);
    expect(coverageAt(coverage(facts), 25)).toBe('no_video');
    expect(coverageAt(coverage(facts), 100)).toBe('pending');
  });

  it('has no pictures at all when the file cannot be read', () => {
    expect(coverage({ ...facts, hasVideo: false }).map((part) => part.state)).toEqual(['no_video']);
    expect(coverage({ ...facts, durationSecs: 0 })).toEqual([]);
  });

  it('is counted to the end, and not beyond', () => {
    const parts = coverage({ ...facts, countedToSecs: 500, gaps: [] });
    expect(parts).toEqual([{ fromSecs: 0, toSecs: 100, state: 'counted' }]);
  });
});

describe('view', () => {
  it('leads from seconds to pixels and back', () => {
    const view = { fromSecs: 10, toSecs: 30 };
    expect(toPixels(view, 400, 15)).toBe(100);
    expect(toSecs(view, 400, 100)).toBe(15);
    expect(toSecs(view, 400, -9)).toBe(10);
    expect(toSecs(view, 0, 5)).toBe(10);
  });

  it('zooms around a moment and stays inside the video', () => {
    const near = zoom(wholeView(100), 100, 0.5, 40);
    expect(near).toEqual({ fromSecs: 20, toSecs: 70 });
    expect(toPixels(near, 100, 40)).toBeCloseTo(toPixels(wholeView(100), 100, 40), 9);
    expect(zoom(near, 100, 0.5, 20)).toEqual({ fromSecs: 20, toSecs: 45 });
    expect(zoom(near, 100, 10, 40)).toEqual({ fromSecs: 0, toSecs: 100 });
    expect(isWhole(zoom(near, 100, 10, 40), 100)).toBe(true);
    const least = zoom(near, 100, 1e-6, 69);
    expect(least.toSecs - least.fromSecs).toBeCloseTo(2, 9);
  });

  it('is moved by hand, and held at the ends', () => {
    const view = { fromSecs: 20, toSecs: 30 };
    expect(pan(view, 100, 5)).toEqual({ fromSecs: 25, toSecs: 35 });
    expect(pan(view, 100, -50)).toEqual({ fromSecs: 0, toSecs: 10 });
    expect(pan(view, 100, 500)).toEqual({ fromSecs: 90, toSecs: 100 });
    expect(pan(wholeView(100), 100, 5)).toEqual(wholeView(100));
  });

  it('keeps the moments under two fingers', () => {
    const view = { fromSecs: 20, toSecs: 40 };
    // From 25 and 35 s, spread to twice the distance around the middle.
    const near = pinch(view, 100, 200, [50, 150], [0, 200]);
    expect(near).toEqual({ fromSecs: 25, toSecs: 35 });
    expect(toPixels(near, 200, 25)).toBe(0);
    // Moved without spreading.
    expect(pinch(view, 100, 200, [50, 150], [60, 160])).toEqual({ fromSecs: 19, toSecs: 39 });
    // Together: farther, at most the whole.
    expect(pinch(view, 100, 200, [0, 200], [99, 101])).toEqual(wholeView(100));
  });

  it('turns the page when the cursor leaves it', () => {
    const view = { fromSecs: 20, toSecs: 30 };
    expect(follow(view, 100, 25)).toBe(view);
    expect(follow(view, 100, 31)).toEqual({ fromSecs: 30, toSecs: 40 });
    expect(follow(view, 100, 99)).toEqual({ fromSecs: 90, toSecs: 100 });
  });

  it('labels round moments', () => {
    expect(ticks({ fromSecs: 3, toSecs: 33 }, 6)).toEqual([5, 10, 15, 20, 25, 30]);
    expect(ticks({ fromSecs: 0, toSecs: 36_000 }, 6)).toEqual([0, 7200, 14_400, 21_600, 28_800, 36_000]);
  });
});
