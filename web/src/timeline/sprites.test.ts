import { expect, test } from 'vitest';
import { parseMap } from './sprites.svelte.ts';

test('a map is read cue by cue, and what is no cue is passed over', () => {
  const map = [
    'WEBVTT',
    'NOTE made by hand',
    '00:00:00.000 --> 00:00:02.000\n0.jpg#xywh=0,0,160,90',
    '01:00:02.500 --> 01:00:04.000\r\n1.jpg#xywh=320,180,160,90\r',
    '00:00:05.000 --> 00:00:06.000\nno picture',
    '',
  ].join('\n\n');
  expect(parseMap(map)).toEqual([
    { fromSecs: 0, sheet: '0.jpg', x: 0, y: 0, width: 160, height: 90 },
    { fromSecs: 3602.5, sheet: '1.jpg', x: 320, y: 180, width: 160, height: 90 },
  ]);
  expect(parseMap('')).toEqual([]);
});
