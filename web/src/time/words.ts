// Moments in clock format. Dots and colons in every language: these are readings, not sentences.

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

/** `m:ss` or `h:mm:ss`, with `digits` of the second's fraction. Cut, not rounded: a clock never shows a moment to come. */
export function clock(secs: number, digits: 0 | 1 | 2 = 0): string {
  if (!Number.isFinite(secs)) return '–:––';
  const scale = 10 ** digits;
  const parts = Math.floor(Math.max(0, secs) * scale + 1e-6);
  const whole = Math.floor(parts / scale);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const head = hours > 0 ? `${hours}:${pad(minutes)}` : `${minutes}`;
  const fraction = digits > 0 ? `.${String(parts % scale).padStart(digits, '0')}` : '';
  return `${head}:${pad(whole % 60)}${fraction}`;
}

export interface SpanPart {
  value: number;
  unit: 'second' | 'minute' | 'hour' | 'day';
}

/** A length of time as at most two parts, as coarse as a person would say it. */
export function spanParts(secs: number): SpanPart[] {
  const whole = Math.max(0, Math.round(secs));
  if (whole < 60) return [{ value: whole, unit: 'second' }];
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return [{ value: minutes, unit: 'minute' }];
  const hours = Math.floor(minutes / 60);
  if (hours < 48) {
    const parts: SpanPart[] = [{ value: hours, unit: 'hour' }];
    if (minutes % 60 > 0) parts.push({ value: minutes % 60, unit: 'minute' });
    return parts;
  }
  return [{ value: Math.round(hours / 24), unit: 'day' }];
}
