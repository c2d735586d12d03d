// The queue as displayed: groups of jobs, the commands of each, and expected times. Pure.
import type { JobWish } from '../api/narrowed.ts';
import type { Job, JobState } from '../api/types.ts';
import type { Key } from '../i18n/plural.ts';

export type Part = 'queue_now' | 'queue_next' | 'queue_paused' | 'queue_stopped' | 'queue_done';

const PART_OF: Record<JobState, Part> = {
  running: 'queue_now',
  waiting: 'queue_next',
  paused: 'queue_paused',
  failed: 'queue_stopped',
  cancelled: 'queue_stopped',
  done: 'queue_done',
};
const PARTS: Part[] = ['queue_now', 'queue_next', 'queue_paused', 'queue_stopped', 'queue_done'];
const STATES = Object.keys(PART_OF) as JobState[];
/** What is done is in the list of videos; here a glance is enough. */
const DONE_SHOWN = 5;

export interface Group {
  part: Part;
  jobs: Job[];
  /** There are so many more. */
  more: number;
}

/** Only parts in which something is. */
export function groups(jobs: Job[], counts: Record<JobState, number>): Group[] {
  return PARTS.map((part) => {
    const states = STATES.filter((state) => PART_OF[state] === part);
    const all = jobs.filter((job) => PART_OF[job.state] === part);
    const shown = part === 'queue_done' ? all.slice(0, DONE_SHOWN) : all;
    const there = states.reduce((sum, state) => sum + counts[state], 0);
    return { part, jobs: shown, more: Math.max(0, there - shown.length) };
  }).filter((group) => group.jobs.length > 0);
}

export const JOB_WORDS: Record<JobState, Extract<Key, `state_${string}`>> = {
  running: 'state_running',
  waiting: 'state_queued',
  paused: 'state_paused',
  failed: 'state_failed',
  cancelled: 'state_cancelled',
  done: 'state_done',
};

/** What the server takes in each state. */
const WISHES: Record<JobState, JobWish[]> = {
  running: ['pause', 'cancel'],
  waiting: ['pause', 'cancel'],
  paused: ['resume', 'cancel'],
  failed: ['retry'],
  cancelled: ['retry'],
  done: [],
};

/** What can be done about a job: one whose file is another one now is over. */
export const wishesOf = (job: Pick<Job, 'state' | 'is_replaced'>) =>
  job.is_replaced ? [] : WISHES[job.state];

/** When something is counted, as a person says it, and the priority that stands for it. */
export const ORDERS = { order_first: 10, order_usual: 0, order_last: -10 } as const;
export type Order = keyof typeof ORDERS;

/** `null` where a program has set something in between. */
export function orderOf(priority: number): Order | null {
  const found = Object.entries(ORDERS).find(([, value]) => value === priority);
  return (found?.[0] as Order | undefined) ?? null;
}

/** Something goes on, or will without anybody's doing. */
export const isMoving = (counts: Record<JobState, number>) => counts.running + counts.waiting > 0;
