// Words for what a camera's clock says.
import { span, t } from '../i18n/language.svelte.ts';

/** Networks and cameras delay what they tell; less is no difference. */
const SAME_SECS = 2;

export function clockWords(offsetSecs: number): string {
  if (Math.abs(offsetSecs) < SAME_SECS) return t('camera_clock_right');
  const time = span(Math.round(Math.abs(offsetSecs)));
  return offsetSecs > 0 ? t('camera_clock_ahead', { time }) : t('camera_clock_behind', { time });
}
