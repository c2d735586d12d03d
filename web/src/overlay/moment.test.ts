import { expect, it } from 'vitest';
import { type MomentFacts, momentCount } from './moment.ts';

const facts: MomentFacts = {
  hasVideo: true,
  hasRun: true,
  secs: 5,
  frame: { pts: 1, inferred: true, boxes: [] },
  countedToSecs: 10,
};

it.each([
  ['no pigs', {}, { state: 'counted', count: 0 }],
  ['not analysed yet: beyond what is counted', { countedToSecs: 4 }, { state: 'pending' }],
  ['not analysed yet: the server tells nothing', { frame: null }, { state: 'pending' }],
  ['not analysed yet: nobody has begun', { hasRun: false, frame: undefined }, { state: 'pending' }],
  ['no video', { hasVideo: false, hasRun: false }, { state: 'no_video' }],
  ['no answer here yet', { frame: undefined }, { state: 'fetching' }],
  ['the last frame counted, told with another rounding', { secs: 10.0004 }, { state: 'counted', count: 0 }],
] as const)('%s', (_, change, expected) => {
  expect(momentCount({ ...facts, ...change })).toEqual(expected);
});
