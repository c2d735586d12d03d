// Which intervals of a video are counted, not analysed yet, or without a picture.
import type { Gap } from '../time/pts_table.ts';

export type CoverageState = 'counted' | 'pending' | 'no_video';

export interface CoveragePart {
  fromSecs: number;
  toSecs: number;
  state: CoverageState;
}

export interface CoverageFacts {
  durationSecs: number;
  countedToSecs: number;
  hasVideo: boolean;
  gaps: Gap[];
}

export function coverage(facts: CoverageFacts): CoveragePart[] {
  const { durationSecs, gaps } = facts;
  if (durationSecs <= 0) return [];
  if (!facts.hasVideo) return [{ fromSecs: 0, toSecs: durationSecs, state: 'no_video' }];
  const parts: CoveragePart[] = [];
  let at = 0;
  for (const gap of [...gaps, { fromSecs: durationSecs, toSecs: durationSecs }]) {
    const counted = Math.max(at, Math.min(facts.countedToSecs, gap.fromSecs));
    push(parts, at, counted, 'counted');
    push(parts, counted, gap.fromSecs, 'pending');
    push(parts, gap.fromSecs, gap.toSecs, 'no_video');
    at = gap.toSecs;
  }
  return parts;
}

export function coverageAt(parts: CoveragePart[], secs: number): CoverageState {
  const part = parts.find((candidate) => secs >= candidate.fromSecs && secs < candidate.toSecs);
  return (part ?? parts.at(-1))?.state ?? 'no_video';
}

function push(parts: CoveragePart[], fromSecs: number, toSecs: number, state: CoverageState): void {
  if (toSecs - fromSecs > 1e-6) parts.push({ fromSecs, toSecs, state });
}
