// Which parts of the overlay the user has switched on; stored in this browser.
import { keep, kept } from '../settings/kept.ts';
import type { OverlayChoice } from './draw.ts';

const PARTS = ['boxes', 'numbers', 'trails'] as const;
export type OverlayPart = (typeof PARTS)[number];

function firstChoice(): OverlayChoice {
  const stored = kept('overlay');
  const shown = stored === null ? ['boxes', 'numbers'] : stored.split(' ');
  return {
    boxes: shown.includes('boxes'),
    numbers: shown.includes('numbers'),
    trails: shown.includes('trails'),
  };
}

export const overlayChoice = $state(firstChoice());

export function toggleOverlay(part: OverlayPart): void {
  overlayChoice[part] = !overlayChoice[part];
  keep('overlay', PARTS.filter((name) => overlayChoice[name]).join(' '));
}
