// The way that a person has chosen for cameras' pictures, kept in this browser.
import { keep, kept } from '../settings/kept.ts';
import { VIDEO_WAYS, type WayChoice } from './live_ways.ts';

export function chosenWay(): WayChoice {
  const chosen = kept('live_way');
  return [...VIDEO_WAYS, 'pictures' as const].find((way) => way === chosen) ?? 'auto';
}

export const keepWay = (choice: WayChoice): void => keep('live_way', choice);
