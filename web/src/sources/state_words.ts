// The state of a video in one message. Pure: selects the words and their urgency; the words are in the dictionary.
import type { Video } from '../api/types.ts';
import type { Key } from '../i18n/plural.ts';

export interface VideoState {
  words: Extract<Key, `state_${string}`>;
  /** What happens or has to be done next. */
  next:
    | 'reading_next'
    | 'growing_next'
    | 'paused_next'
    | 'untouched_no_model'
    | 'untouched_next'
    | 'queued_next'
    | 'cancelled_next'
    | null;
  tone: 'calm' | 'working' | 'bad';
  /** The server's own words about a failure. */
  error: string | null;
  /** Its name for them. */
  code: string | null;
}

/** Its index is not whole yet. */
export const isBeingRead = (video: Pick<Video, 'index'>) =>
  video.index === 'pending' || video.index === 'growing';

/** Something goes on with it, or will without anybody's doing. */
export function isWorked(video: Video, hasModel: boolean): boolean {
  if (isBeingRead(video)) return true;
  if (video.index === 'failed' || video.paused) return false;
  if (video.job?.state === 'cancelled' || video.job?.state === 'failed') return false;
  if (video.recount) return true;
  return video.run === null ? hasModel : video.run.state === 'queued' || video.run.state === 'running';
}

/** What to say of a count with other settings that is made beside the one that is shown. */
export function recountWords(video: Pick<Video, 'recount' | 'paused'>) {
  const state = video.recount?.state;
  if (state === undefined) return null;
  if (state === 'failed') return 'recount_failed' as const;
  if (video.paused || state === 'paused') return 'recount_paused' as const;
  return state === 'running' ? ('recount_running' as const) : ('recount_waiting' as const);
}

export function videoState(video: Video, hasModel: boolean): VideoState {
  const calm = { next: null, tone: 'calm', error: null, code: null } as const;
  const why = (from: { error: string | null; reason_code: string | null } | null) => ({
    error: from?.error ?? null,
    code: from?.reason_code ?? null,
  });
  if (video.index === 'failed') {
    return { ...calm, words: 'state_unreadable', tone: 'bad', ...why(video) };
  }
  if (isBeingRead(video)) {
    const next = video.index === 'growing' ? 'growing_next' : 'reading_next';
    return { ...calm, words: 'state_reading', next, tone: 'working' };
  }
  if (video.run?.state === 'cancelled' || (video.run === null && video.job?.state === 'cancelled')) {
    return { ...calm, words: 'state_cancelled', next: 'cancelled_next' };
  }
  // It failed before its first frame.
  if (video.run === null && video.job?.state === 'failed') {
    return { ...calm, words: 'state_failed', tone: 'bad', ...why(video.job) };
  }
  if (video.paused && video.run?.state !== 'done' && video.run?.state !== 'failed') {
    return { ...calm, words: 'state_paused', next: 'paused_next' };
  }
  switch (video.run?.state) {
    case undefined:
      return { ...calm, words: 'state_untouched', next: hasModel ? 'untouched_next' : 'untouched_no_model' };
    case 'queued':
      // It is first in the queue, but something it needs is missing.
      if (video.run?.error) return { ...calm, words: 'state_queued', tone: 'bad', ...why(video.run) };
      return { ...calm, words: 'state_queued', next: 'queued_next', tone: 'working' };
    case 'running':
      return { ...calm, words: 'state_running', tone: 'working' };
    case 'failed':
      return { ...calm, words: 'state_failed', tone: 'bad', ...why(video.run) };
    default:
      return { ...calm, words: 'state_done' };
  }
}
