import { describe, expect, it } from 'vitest';
import type { DetectionFrame } from '../api/narrowed.ts';
import type { Recording } from '../api/types.ts';
import { framePlaying, nearestRecorded, recordedSpans } from './recorded.ts';

const recording = (from: number, to: number | null): Recording => ({
  id: String(from),
  from,
  to,
  started_at: null,
  size_bytes: 0,
  frames: 0,
  is_marked: false,
});

describe('recorded stretches', () => {
  it('join what follows without a gap, and end what is being written now', () => {
    const found = recordedSpans([recording(0, 60), recording(60.07, 120), recording(200, null)], 230);
    expect(found).toEqual([
      { fromSecs: 0, toSecs: 120 },
      { fromSecs: 200, toSecs: 230 },
    ]);
    expect(recordedSpans([], 5)).toEqual([]);
    // The camera's clock may be ahead.
    expect(recordedSpans([recording(10, null)], 9)).toEqual([{ fromSecs: 10, toSecs: 10 }]);
  });

  it('tell the nearest moment that has a picture', () => {
    const spans = recordedSpans([recording(10, 20), recording(50, 60)], 60);
    expect([0, 15, 30, 40, 55, 99].map((secs) => nearestRecorded(spans, secs))).toEqual([
      10, 15, 20, 50, 55, 60,
    ]);
    expect(nearestRecorded([], 3)).toBeNull();
  });
});

describe('boxes of what plays', () => {
  const frame = (secs: number): DetectionFrame => ({
    pts: Math.round(secs * 90_000),
    inferred: true,
    boxes: [],
  });
  const known = [frame(10), frame(10.2), frame(10.4)];
  const detections = {
    between: (from: number, to: number) => known.filter(({ pts }) => pts >= from && pts <= to),
  };
  it('are those of the frame, or of the last one before it, for a while', () => {
    expect(framePlaying(detections, 10.2)?.pts).toBe(known[1]?.pts);
    expect(framePlaying(detections, 10.19)?.pts).toBe(known[1]?.pts);
    expect(framePlaying(detections, 10.35)?.pts).toBe(known[1]?.pts);
    expect(framePlaying(detections, 10.8)).toBeNull();
    expect(framePlaying(detections, 9)).toBeNull();
  });
});
