import { describe, expect, it } from 'vitest';
import type { Recording } from '../api/types.ts';
import { nearestRecorded, recordedSpans } from './recorded.ts';

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
