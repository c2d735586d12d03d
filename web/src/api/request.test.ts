import { expect, it } from 'vitest';
import { nextCursor } from './request.ts';

it.each([
  ['<?limit=100&cursor=01abc>; rel="next"', '01abc'],
  ['<?cursor=a%20b&limit=2>; rel="next"', 'a b'],
  ['<?cursor=a>; rel="prev"', null],
  ['', null],
  [null, null],
])('the cursor of the next page is read from Link', (link, cursor) => {
  expect(nextCursor(link)).toBe(cursor);
});
