import { afterEach, expect, it } from 'vitest';
import { language, reason } from './language.svelte.ts';

afterEach(() => language.choose('en'));

it("says why in the reader's language", () => {
  language.choose('ru');
  expect(reason('disk_full', 'the disk is full: taking a job was not done')).toMatch(/^Диск заполнен/);
  language.choose('en');
  expect(reason('disk_full', 'the disk is full: taking a job was not done')).toMatch(/^The disk is full\./);
});

it('falls back to the words of a server that knows more', () => {
  language.choose('ru');
  for (const code of [null, 'other', 'of_tomorrow', 'toString']) {
    expect(reason(code, 'the words of the server')).toBe('the words of the server');
  }
});
