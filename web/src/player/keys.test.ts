import { expect, it } from 'vitest';
import { type KeyPress, keyAction } from './keys.ts';

const press = (key: string, code: string, change: Partial<KeyPress> = {}): KeyPress => ({
  key,
  code,
  shiftKey: false,
  ctrlKey: false,
  altKey: false,
  metaKey: false,
  ...change,
});

it.each([
  ['space plays', press(' ', 'Space'), 'toggle'],
  ['K plays', press('k', 'KeyK'), 'toggle'],
  ['the same place on a Russian board', press('л', 'KeyK'), 'toggle'],
  ['J goes back', press('о', 'KeyJ'), 'back_long'],
  ['comma steps back', press(',', 'Comma'), 'frame_back'],
  ['the place of the full stop on a Russian board', press('ю', 'Period'), 'frame_forward'],
  ['the full stop of a Russian board', press('.', 'Slash'), 'frame_forward'],
  ['? helps', press('?', 'Slash', { shiftKey: true }), 'help'],
  ['? of a Russian board helps', press('?', 'Digit7', { shiftKey: true }), 'help'],
  ['> is faster', press('>', 'Period', { shiftKey: true }), 'faster'],
  ['the browser keeps its own keys', press('f', 'KeyF', { ctrlKey: true }), null],
  ['other keys do nothing', press('x', 'KeyX'), null],
])('%s', (_, pressed, action) => {
  expect(keyAction(pressed)).toBe(action);
});
