import { expect, test } from 'vitest';
import { HEAD_START_MS, LiveWays, STEADY_MS, TRY_MS, VIDEO_WAYS } from './live_ways.ts';

const EVEN = 1;
/** What is open, as text. */
const open = (ways: LiveWays, nowMs: number) =>
  ways
    .open(nowMs)
    .map(({ way, number }) => `${way} ${number}`)
    .join(', ');

test('the best way is tried first, and the next one beside it when that takes long', () => {
  const ways = new LiveWays(VIDEO_WAYS);
  expect(open(ways, 0)).toBe('webrtc 1');
  expect(ways.nextMs(0)).toBe(HEAD_START_MS);
  expect(open(ways, HEAD_START_MS - 1)).toBe('webrtc 1');
  expect(open(ways, HEAD_START_MS)).toBe('webrtc 1, fragments 1');
  expect(ways.shown()).toBe('pictures');
  ways.playing('fragments', 2500);
  expect(open(ways, 2500)).toBe('webrtc 1, fragments 1');
  expect(ways.shown()).toBe('fragments');
  // A better one that plays after all takes its place.
  ways.playing('webrtc', 4000);
  expect(open(ways, 4000)).toBe('webrtc 1');
  expect(ways.shown()).toBe('webrtc');
  expect(ways.nextMs(4000)).toBe(0 + Number.POSITIVE_INFINITY);
});

test('a way that is refused gives way at once, and is tried again while the next one plays', () => {
  const ways = new LiveWays(VIDEO_WAYS);
  open(ways, 0);
  ways.failed('webrtc', 50, EVEN);
  expect(open(ways, 50)).toBe('fragments 1');
  ways.playing('fragments', 400);
  expect(open(ways, 400)).toBe('fragments 1');
  expect(ways.nextMs(400)).toBe(3050);
  // It goes on playing meanwhile, and after that failed as well.
  expect(open(ways, 3050)).toBe('webrtc 2, fragments 1');
  expect(ways.shown()).toBe('fragments');
  ways.failed('webrtc', 3100, EVEN);
  expect(open(ways, 3100)).toBe('fragments 1');
  expect(ways.nextMs(3100)).toBe(9100);
  // Less and less often.
  let nowMs = 3100;
  let tries = 0;
  while (nowMs < 3_600_000) {
    nowMs = ways.nextMs(nowMs);
    if (open(ways, nowMs).startsWith('webrtc')) tries += 1;
    ways.failed('webrtc', nowMs, EVEN);
  }
  expect(tries).toBeGreaterThan(30);
  expect(tries).toBeLessThan(40);
  expect(ways.shown()).toBe('fragments');
});

test('a try without an end is given up', () => {
  const ways = new LiveWays(VIDEO_WAYS);
  open(ways, 0);
  open(ways, HEAD_START_MS);
  ways.playing('fragments', 3000);
  expect(open(ways, TRY_MS - 1)).toBe('webrtc 1, fragments 1');
  expect(open(ways, TRY_MS)).toBe('fragments 1');
});

test('where nothing works pictures are shown, and everything is tried again', () => {
  const ways = new LiveWays(VIDEO_WAYS);
  open(ways, 0);
  ways.failed('webrtc', 10, EVEN);
  open(ways, 10);
  ways.failed('fragments', 20, EVEN);
  expect(open(ways, 20)).toBe('');
  expect(ways.shown()).toBe('pictures');
  expect(ways.nextMs(20)).toBe(3010);
  expect(open(ways, 3010)).toBe('webrtc 2');
});

test('what has played for long is tried again at once, what breaks off soon is not', () => {
  for (const [playedMs, again] of [
    [STEADY_MS, true],
    [STEADY_MS - 1, false],
  ] as const) {
    const ways = new LiveWays(VIDEO_WAYS);
    open(ways, 0);
    ways.playing('webrtc', 500);
    open(ways, 500);
    const endMs = 500 + playedMs;
    ways.failed('webrtc', endMs, EVEN);
    expect(open(ways, endMs)).toBe(again ? 'webrtc 2' : 'fragments 1');
  }
});

test('a way chosen by hand is the only one', () => {
  const ways = new LiveWays(['fragments']);
  expect(open(ways, 0)).toBe('fragments 1');
  ways.failed('fragments', 5, EVEN);
  expect(open(ways, 5)).toBe('');
  const none = new LiveWays([]);
  expect(open(none, 0)).toBe('');
  expect(none.nextMs(0)).toBe(Number.POSITIVE_INFINITY);
});

test('what is told of a way that was closed changes nothing', () => {
  const ways = new LiveWays(VIDEO_WAYS);
  open(ways, 0);
  open(ways, HEAD_START_MS);
  ways.playing('webrtc', 2100);
  open(ways, 2100);
  ways.playing('fragments', 2200);
  ways.failed('fragments', 2300, EVEN);
  expect(open(ways, 2300)).toBe('webrtc 1');
});
