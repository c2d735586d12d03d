import { beforeEach, describe, expect, it } from 'vitest';
import type { DetectionWindow } from '../api/narrowed.ts';
import { DetectionCache, MOST_WINDOWS } from './detections.ts';

interface Asked {
  from: number;
  signal: AbortSignal;
  answer(countedTo: number): Promise<void>;
  fail(): Promise<void>;
}

/** pts are milliseconds, a frame every second. */
function windowOf(from: number, countedTo: number): DetectionWindow {
  const frames = Array.from({ length: 10 }, (_, second) => ({
    pts: (from + second) * 1000,
    inferred: true,
    boxes: [],
  })).filter((frame) => frame.pts / 1000 <= countedTo);
  return { from_secs: from, to_secs: from + 10, counted_to_secs: countedTo, frames };
}

describe('DetectionCache', () => {
  let asked: Asked[];
  let arrivals: number;
  let nowMs: number;
  let cache: DetectionCache;

  beforeEach(() => {
    asked = [];
    arrivals = 0;
    nowMs = 0;
    cache = new DetectionCache({
      fetchWindow: (from, _to, signal) =>
        new Promise((resolve, reject) => {
          const settle = async (action: () => void) => {
            action();
            await Promise.resolve();
            await Promise.resolve();
            await Promise.resolve();
          };
          asked.push({
            from,
            signal,
            answer: (countedTo) => settle(() => resolve(windowOf(from, countedTo))),
            fail: () => settle(() => reject(new Error('gone'))),
          });
        }),
      arrived: () => {
        arrivals += 1;
      },
      nowMs: () => nowMs,
    });
  });

  const froms = () => asked.map((request) => request.from);

  it('asks for the window around the cursor, and its neighbour in time', () => {
    cache.near(12, 100);
    expect(froms()).toEqual([10, 0]);
    cache.near(15, 100);
    expect(froms()).toEqual([10, 0, 20]);
  });

  it('tells unknown, known and nothing apart', async () => {
    cache.near(4, 8);
    expect(cache.frame(4000, 4)).toBeUndefined();
    await asked[0]?.answer(10);
    expect(arrivals).toBe(1);
    expect(cache.frame(4000, 4)?.pts).toBe(4000);
    expect(cache.frame(4500, 4.5)).toBeNull();
  });

  it('keeps a bounded number of windows, dropping those longest unused', async () => {
    for (let place = 0; place < 30; place += 1) {
      cache.near(place * 10 + 3.5, 1000);
      await asked.at(-1)?.answer(1000);
    }
    expect(cache.windowCount).toBe(MOST_WINDOWS);
    expect(cache.frame(0, 0)).toBeUndefined();
    expect(cache.frame(290_000, 290)).not.toBeUndefined();
  });

  it('stops fetching what the cursor has left, and ignores its late answer', async () => {
    cache.near(4, 1000);
    cache.near(504, 1000);
    expect(asked[0]?.signal.aborted).toBe(true);
    await asked[0]?.answer(1000);
    expect(cache.frame(4000, 4)).toBeUndefined();
    expect(arrivals).toBe(0);
  });

  it('asks again for a window that was half counted, once more of it is', async () => {
    cache.near(3.5, 9);
    await asked[0]?.answer(4);
    cache.near(3.6, 9);
    expect(asked).toHaveLength(1);
    cache.countedTo(4.5);
    cache.near(3.6, 9);
    expect(asked).toHaveLength(1);
    cache.countedTo(8);
    cache.near(3.6, 9);
    expect(asked).toHaveLength(2);
    expect(cache.frame(3000, 3)).not.toBeUndefined();
    await asked[1]?.answer(10);
    expect(cache.frame(8000, 8)?.pts).toBe(8000);
    cache.countedTo(100);
    cache.near(3.6, 9);
    expect(asked).toHaveLength(2);
  });

  it('tries a failed window again, but not at once', async () => {
    cache.near(3.5, 9);
    await asked[0]?.fail();
    cache.near(3.5, 9);
    expect(asked).toHaveLength(1);
    nowMs = 3001;
    cache.near(3.5, 9);
    expect(asked).toHaveLength(2);
  });

  it('gives a trail over the border of two windows', async () => {
    cache.near(12, 19);
    for (const request of [...asked]) await request.answer(100);
    expect(cache.between(8000, 12_000, 8, 12).map((frame) => frame.pts)).toEqual([
      8000, 9000, 10_000, 11_000, 12_000,
    ]);
  });
});
