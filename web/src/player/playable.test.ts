import { expect, it } from 'vitest';
import { formatName, isPlayable } from './playable.ts';

/** A browser like most: no H.265. */
const canPlay = (type: string) => (/hvc1/.test(type) ? '' : 'probably');

it.each([
  ['h264', 'video/mp4', true],
  ['H264', 'video/x-matroska', true],
  ['vp9', 'video/webm', true],
  ['hevc', 'video/mp4', false],
  ['mpeg4', 'video/mp4', false],
  ['mjpeg', 'video/quicktime', false],
  ['h264', 'video/x-msvideo', false],
  ['h264', 'video/mp2t', false],
  [null, 'video/mp4', true],
])('%s in %s', (codec, mediaType, expected) => {
  expect(isPlayable({ codec, media_type: mediaType }, canPlay)).toBe(expected);
});

it('names formats as readers know them', () => {
  expect(formatName({ codec: 'hevc', name: 'a.mp4' })).toBe('H.265');
  expect(formatName({ codec: null, name: 'ramp.avi' })).toBe('AVI');
});
