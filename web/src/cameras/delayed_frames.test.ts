import { expect, it } from 'vitest';
import { DelayedFrames, WAIT_MS } from './delayed_frames.ts';

it('gives each frame once, in order and late, and drops what it passes over', () => {
  const dropped: number[] = [];
  const frames = new DelayedFrames<number>((picture) => dropped.push(picture));
  const shown: number[] = [];
  for (let frame = 0; frame < 40; frame += 1) {
    // Fifteen frames a second, and one that comes late.
    const sinceMs = frame * 66 + (frame >= 20 ? 500 : 0);
    const due = frames.next({ rtp: frame, picture: frame, sinceMs });
    if (due === null) continue;
    expect(sinceMs - due.sinceMs).toBeGreaterThanOrEqual(WAIT_MS);
    shown.push(due.rtp);
  }
  expect(shown).toEqual([...shown].sort((one, other) => one - other));
  // Those that had waited when the late one came: only the newest of them is shown.
  expect(dropped).toEqual([17, 18]);
  expect(new Set([...shown, ...dropped]).size).toBe(shown.length + dropped.length);
  frames.clear();
  expect(dropped.slice(2)).toEqual([37, 38, 39]);
});

it('holds a bounded number of frames, however fast they come', () => {
  const dropped: number[] = [];
  const frames = new DelayedFrames<number>((picture) => dropped.push(picture));
  let shown = 0;
  for (let frame = 0; frame < 1000; frame += 1) {
    if (frames.next({ rtp: frame, picture: frame, sinceMs: frame }) !== null) shown += 1;
  }
  frames.clear();
  expect(shown + dropped.length).toBe(1000);
  expect(dropped.length).toBeLessThanOrEqual(16);
});
