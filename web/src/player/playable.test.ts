import { expect, it } from 'vitest';
import { type Asked, formatName, waysToPlay } from './playable.ts';

/** A browser like most: no H.265. */
const plays = (type: string) => !/hvc1/.test(type);
const usual: Asked = { file: plays, stream: plays };

it.each([
  ['h264', 'video/mp4', ['file', 'stream', 'pictures']],
  ['H264', 'video/x-matroska', ['stream', 'file', 'pictures']],
  ['vp9', 'video/webm', ['file', 'stream', 'pictures']],
  ['vp8', 'video/webm', ['file', 'pictures']],
  ['hevc', 'video/mp4', ['pictures']],
  ['mpeg4', 'video/mp4', ['pictures']],
  ['mjpeg', 'video/quicktime', ['pictures']],
  ['h264', 'video/x-msvideo', ['stream', 'pictures']],
  ['h264', 'video/mp2t', ['stream', 'pictures']],
  [null, 'video/mp4', ['file', 'pictures']],
])('%s in %s', (codec, mediaType, expected) => {
  expect(waysToPlay({ codec, media_type: mediaType }, usual)).toEqual(expected);
});

it('without Media Source nothing is streamed', () => {
  const asked: Asked = { file: plays, stream: () => false };
  expect(waysToPlay({ codec: 'h264', media_type: 'video/mp2t' }, asked)).toEqual(['pictures']);
});

it('names formats as readers know them', () => {
  expect(formatName({ codec: 'hevc', name: 'a.mp4' })).toBe('H.265');
  expect(formatName({ codec: null, name: 'ramp.avi' })).toBe('AVI');
});
