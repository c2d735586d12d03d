// What is known about one moment. Three answers that must never be confused: no video, not analysed yet, and a number,
// which may be zero. `fetching` isn't an answer: the page is still waiting for the server.
import type { DetectionFrame } from '../api/narrowed.ts';

export type MomentCount =
  | { state: 'counted'; count: number }
  | { state: 'pending' }
  | { state: 'no_video' }
  | { state: 'fetching' };

export interface MomentFacts {
  hasVideo: boolean;
  hasRun: boolean;
  /** `null` while no frame is on the screen. */
  secs: number | null;
  frame: DetectionFrame | null | undefined;
  countedToSecs: number;
}

export function momentCount(facts: MomentFacts): MomentCount {
  if (!facts.hasVideo) return { state: 'no_video' };
  if (!facts.hasRun) return { state: 'pending' };
  if (facts.secs === null || facts.frame === undefined) return { state: 'fetching' };
  // A tolerance of a thousandth of a second for rounding.
  if (facts.frame === null || facts.secs > facts.countedToSecs + 1e-3) return { state: 'pending' };
  return { state: 'counted', count: facts.frame.boxes.length };
}
