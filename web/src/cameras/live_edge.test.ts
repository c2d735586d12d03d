import { expect, test } from 'vitest';
import {
  FIRST_BEHIND_SECS,
  JUMP_SECS,
  Lateness,
  LiveEdge,
  MOST_BEHIND_SECS,
  rtpOf,
  shownSecs,
} from './live_edge.ts';

test('a player begins near the newest frame and stays there', () => {
  const edge = new LiveEdge();
  const behind = FIRST_BEHIND_SECS;
  expect(edge.steer(0, 5, [])).toEqual({ seekSecs: null, rate: 1 });
  // Where nothing is yet, and in a hole.
  expect(edge.steer(0, 5, [[1, 5.1]])).toEqual({ seekSecs: 5 - behind, rate: 1 });
  expect(
    edge.steer(3, 9, [
      [1, 3],
      [8.9, 9.1],
    ]),
  ).toEqual({ seekSecs: 8.9, rate: 1 });
  const whole = [[1, 20]] as const;
  expect(edge.steer(10, 10 + behind, whole)).toEqual({ seekSecs: null, rate: 1 });
  expect(edge.steer(10, 10 + behind + JUMP_SECS - 0.01, whole).rate).toBeGreaterThan(1);
  expect(edge.steer(10, 10 + behind + JUMP_SECS + 0.01, whole).seekSecs).toBeCloseTo(10 + JUMP_SECS + 0.01);
  expect(edge.steer(10, 10.01, whole).rate).toBeLessThan(1);
});

test('one that runs dry keeps more distance, up to a bound', () => {
  const edge = new LiveEdge();
  edge.ranDry();
  expect(edge.behindSecs).toBeCloseTo(FIRST_BEHIND_SECS + 0.1);
  for (let times = 0; times < 100; times += 1) edge.ranDry();
  expect(edge.behindSecs).toBe(MOST_BEHIND_SECS);
});

test('lateness is measured against the frame that came the soonest', () => {
  const lateness = new Lateness();
  expect(lateness.of(1, 0)).toBeNull();
  // The frames since the last keyframe come at once; the newest of them is on time.
  for (let frame = 0; frame <= 60; frame += 1) lateness.arrived(1 + frame / 15, 500);
  expect(lateness.of(5, 500)).toBeCloseTo(0);
  expect(lateness.of(4, 500)).toBeCloseTo(1);
  lateness.arrived(5.1, 900);
  expect(lateness.of(5, 900)).toBeCloseTo(0.4);
  expect(lateness.of(9, 900)).toBe(0);
});

test('a clock that runs differently makes nothing late', () => {
  const lateness = new Lateness();
  // An hour with a camera whose clock is slow by a thousandth.
  for (let secs = 0; secs < 3600; secs += 1) lateness.arrived(secs * 0.999, secs * 1000);
  expect(lateness.of(3599 * 0.999, 3_599_000)).toBeLessThan(0.1);
});

test('the frame of a fragment is read as the server wrote it', () => {
  const bytes = new ArrayBuffer(200);
  const view = new DataView(bytes);
  expect(shownSecs(bytes)).toBeNull();
  for (const [at, kind] of [
    [4, 'moof'],
    [52, 'tfdt'],
  ] as const) {
    for (const [place, letter] of [...kind].entries()) view.setUint8(at + place, letter.charCodeAt(0));
  }
  view.setBigUint64(60, 90_000n * 100_000n);
  view.setUint32(100, 45_000);
  expect(shownSecs(bytes)).toBe(100_000.5);
  expect(shownSecs(bytes.slice(0, 60))).toBeNull();
});

test('a media time names its frame exactly, across the end of 32 bits', () => {
  const zero = 2 ** 32 - 90_000;
  for (const frame of [0, 1, 14, 15, 16, 1000, 1_000_000]) {
    const pts = zero + frame * 6001;
    // Browsers count in whole microseconds.
    const mediaSecs = Math.round(((pts - zero) / 90_000) * 1e6) / 1e6;
    expect(rtpOf(mediaSecs, zero)).toBe(pts % 2 ** 32);
  }
  expect(rtpOf(0.5, -90_000)).toBe(2 ** 32 - 45_000);
});
