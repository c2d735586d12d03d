import { expect, it } from 'vitest';
import { momentLink, parseRoute, videoLink } from './route.svelte.ts';

it.each([
  ['', { page: 'sources' }],
  ['#/', { page: 'sources' }],
  ['#/settings', { page: 'settings' }],
  ['#/queue', { page: 'queue' }],
  ['#/video/a%2Fb', { page: 'video', id: 'a/b', atSecs: null }],
  ['#/video/a?t=3.25', { page: 'video', id: 'a', atSecs: 3.25 }],
  ['#/camera/a%2Fb', { page: 'camera', id: 'a/b' }],
  ['#/camera/', { page: 'missing' }],
  ['#/video/%E0%A4%A', { page: 'missing' }],
  ['#/elsewhere', { page: 'missing' }],
])('%s', (hash, expected) => {
  expect(parseRoute(hash)).toEqual(expected);
});

it('leads to any id and back', () => {
  for (const id of ['pen 4', 'а/б?в#г', '100%']) expect(parseRoute(videoLink(id))).toMatchObject({ id });
});

it('leads to the frame that a link was made at, also where its time has more digits', () => {
  for (const secs of [0, 0.04, 1 / 3, 12.3456, 3599.999]) {
    const route = parseRoute(momentLink('pen 4', secs));
    if (route.page !== 'video') throw new Error(route.page);
    const at = route.atSecs ?? 0;
    expect(at).toBeGreaterThanOrEqual(secs - 1e-9);
    expect(at - secs).toBeLessThan(0.001);
  }
});
