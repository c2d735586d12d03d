import { expect, it } from 'vitest';
import type { Run, Video } from '../api/types.ts';
import { isWorked, recountWords, videoState } from './state_words.ts';

const video = (change: Partial<Video>) =>
  ({ index: 'ready', error: null, run: null, job: null, ...change }) as Video;
const run = (state: Run['state'], error: string | null = null) =>
  ({ state, error, reason_code: null }) as Run;

it.each([
  [video({ index: 'pending' }), 'state_reading', 'working'],
  [video({ index: 'growing' }), 'state_reading', 'working'],
  [video({ index: 'failed', error: 'torn' }), 'state_unreadable', 'bad'],
  [video({}), 'state_untouched', 'calm'],
  [video({ run: run('queued') }), 'state_queued', 'working'],
  [video({ run: run('queued', 'no inference server answers') }), 'state_queued', 'bad'],
  [video({ run: run('queued'), paused: true }), 'state_paused', 'calm'],
  [video({ paused: true }), 'state_paused', 'calm'],
  [video({ run: run('done'), paused: true }), 'state_done', 'calm'],
  [video({ run: run('running') }), 'state_running', 'working'],
  [video({ run: run('done') }), 'state_done', 'calm'],
  [video({ run: run('failed', 'out of memory') }), 'state_failed', 'bad'],
  [video({ run: run('cancelled'), paused: true }), 'state_cancelled', 'calm'],
  [
    video({ job: { id: 'a', state: 'cancelled', error: null, reason_code: null } }),
    'state_cancelled',
    'calm',
  ],
  [
    video({ job: { id: 'a', state: 'failed', error: 'no memory', reason_code: 'no_memory' } }),
    'state_failed',
    'bad',
  ],
])('every state has its own words', (which, words, tone) => {
  expect(videoState(which, true)).toMatchObject({ words, tone });
});

it.each([
  [video({ index: 'growing', paused: true }), true],
  [video({ index: 'failed' }), false],
  [video({}), true],
  [video({ paused: true }), false],
  [video({ run: run('running') }), true],
  [video({ run: run('queued'), paused: true }), false],
  [video({ run: run('done') }), false],
  [video({ run: run('cancelled') }), false],
  [video({ job: { id: 'a', state: 'cancelled', error: null, reason_code: null } }), false],
])('news of it is worth asking for only where something goes on', (which, expected) => {
  expect(isWorked(which, true)).toBe(expected);
});

it('tells the next step when there is no model', () => {
  expect(videoState(video({}), false).next).toBe('untouched_no_model');
  expect(videoState(video({}), true).next).toBe('untouched_next');
  expect(videoState(video({ run: run('failed', 'out of memory') }), true).error).toBe('out of memory');
});

it('a recount has its own text and is polled', () => {
  const recount = (state: string, paused = false) =>
    video({ run: run('done'), paused, recount: { state } as Video['recount'] });
  expect(recountWords(video({ run: run('done'), recount: null }))).toBeNull();
  expect(recountWords(recount('running'))).toBe('recount_running');
  expect(recountWords(recount('waiting'))).toBe('recount_waiting');
  expect(recountWords(recount('waiting', true))).toBe('recount_paused');
  expect(recountWords(recount('failed'))).toBe('recount_failed');
  expect(isWorked(recount('running'), true)).toBe(true);
  expect(isWorked(recount('running', true), true)).toBe(false);
  expect(videoState(recount('running'), true).words).toBe('state_done');
});
