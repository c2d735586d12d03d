// The state of a video as the one thing to say about it. Pure: which words, and how urgent; the words are the dictionary's.
import type { Video } from '../api/types.ts';
import type { Key } from '../i18n/plural.ts';

export interface VideoState {
  words: Extract<Key, `state_${string}`>;
  /** What happens or has to be done next. */
  next: 'reading_next' | 'untouched_no_model' | 'untouched_next' | 'queued_next' | null;
  tone: 'calm' | 'working' | 'bad';
  /** The server's own words about a failure. */
  error: string | null;
}

export function videoState(video: Video, hasModel: boolean): VideoState {
  const calm = { next: null, tone: 'calm', error: null } as const;
  if (video.index === 'failed') {
    return { ...calm, words: 'state_unreadable', tone: 'bad', error: video.error };
  }
  if (video.index === 'pending') {
    return { ...calm, words: 'state_reading', next: 'reading_next', tone: 'working' };
  }
  switch (video.run?.state) {
    case undefined:
      return { ...calm, words: 'state_untouched', next: hasModel ? 'untouched_next' : 'untouched_no_model' };
    case 'queued':
      return { ...calm, words: 'state_queued', next: 'queued_next', tone: 'working' };
    case 'running':
      return { ...calm, words: 'state_running', tone: 'working' };
    case 'failed':
      return { ...calm, words: 'state_failed', tone: 'bad', error: video.run?.error ?? null };
    default:
      return { ...calm, words: 'state_done' };
  }
}
