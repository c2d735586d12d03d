import { expect, it } from 'vitest';
import type { Job, JobState } from '../api/types.ts';
import { groups, isMoving, ORDERS, orderOf, wishesOf } from './job_words.ts';

const NONE: Record<JobState, number> = {
  running: 0,
  waiting: 0,
  paused: 0,
  failed: 0,
  cancelled: 0,
  done: 0,
};
const job = (id: string, state: JobState) => ({ id, state }) as Job;

it('stands together what asks for the same, in the order of the server', () => {
  const jobs = [
    job('a', 'running'),
    job('b', 'waiting'),
    job('c', 'waiting'),
    job('d', 'cancelled'),
    job('e', 'failed'),
  ];
  const counts = { ...NONE, running: 1, waiting: 7, cancelled: 1, failed: 1 };
  expect(
    groups(jobs, counts).map(({ part, jobs, more }) => [part, jobs.map(({ id }) => id).join(''), more]),
  ).toEqual([
    ['queue_now', 'a', 0],
    ['queue_next', 'bc', 5],
    ['queue_stopped', 'de', 0],
  ]);
  expect(groups([], NONE)).toEqual([]);
});

it('shows of what is done the latest', () => {
  const jobs = Array.from({ length: 20 }, (_, place) => job(`${place}`, 'done'));
  const [done] = groups(jobs, { ...NONE, done: 300 });
  expect(done?.jobs.map(({ id }) => id)).toEqual(['0', '1', '2', '3', '4']);
  expect(done?.more).toBe(295);
});

it('offers nothing that the server refuses', () => {
  const wishes = (state: JobState, is_replaced = false) => wishesOf({ state, is_replaced });
  expect(wishes('done')).toEqual([]);
  expect(wishes('running')).not.toContain('retry');
  for (const state of ['failed', 'cancelled'] as const) {
    expect(wishes(state)).toEqual(['retry']);
    expect(wishes(state, true), 'its file is another one now').toEqual([]);
  }
});

it('says when in words, and leaves what a program has set', () => {
  for (const [order, priority] of Object.entries(ORDERS)) expect(orderOf(priority)).toBe(order);
  expect(orderOf(37)).toBeNull();
});

it('asks again only while something moves', () => {
  expect(isMoving({ ...NONE, waiting: 1 })).toBe(true);
  expect(isMoving({ ...NONE, paused: 3, failed: 1, done: 9 })).toBe(false);
});
