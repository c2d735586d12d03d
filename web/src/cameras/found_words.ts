// What is said of a found camera and its streams.

import type { FoundCamera, FoundProfile } from '../api/types.ts';
import { quantity, t } from '../i18n/language.svelte.ts';

/** A clock that is off by less is right: cameras tell whole seconds. */
const RIGHT_CLOCK_SECS = 2;

/** As it is called when it is added; two of one model have different names. */
export function suggestedName(camera: Pick<FoundCamera, 'name' | 'model' | 'address'>): string {
  return `${camera.name ?? camera.model ?? ''} ${camera.address}`.trim();
}

/** Maker and model once, also where the model begins with the maker. */
export function makerAndModel(camera: Pick<FoundCamera, 'manufacturer' | 'model'>): string {
  const { manufacturer, model } = camera;
  if (manufacturer && model?.toLowerCase().startsWith(manufacturer.toLowerCase())) return model;
  return [manufacturer, model].filter(Boolean).join(' ');
}

/** `H264 · 2560×1440 · 20 frames/s · keyframe every 2 s`, as far as the camera says it. */
export function streamSettings(profile: FoundProfile): string {
  const { codec, width, height, frames_per_sec: rate, gop_frames: gop } = profile;
  const parts = [codec];
  if (width !== null && height !== null) parts.push(`${width}×${height}`);
  if (rate !== null) parts.push(t('found_rate', { rate }));
  if (rate !== null && gop !== null) parts.push(t('found_gop', { every: quantity(gop / rate, 'second') }));
  return parts.filter(Boolean).join(' · ');
}

/** How wrong its clock is; null: it is right, or not known. */
export function clockError(offset: number | null): string | null {
  if (offset === null || Math.abs(offset) < RIGHT_CLOCK_SECS) return null;
  const secs = Math.abs(offset);
  const [size, unit] =
    secs < 120
      ? [secs, 'second']
      : secs < 7200
        ? [secs / 60, 'minute']
        : secs < 172_800
          ? [secs / 3600, 'hour']
          : [secs / 86_400, 'day'];
  const by = size < 10 ? quantity(size, unit) : quantity(Math.round(size), unit);
  return offset > 0 ? t('found_clock_fast', { by }) : t('found_clock_slow', { by });
}
