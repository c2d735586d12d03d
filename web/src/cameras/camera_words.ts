// The states of a camera in words.
import type { CameraState } from '../api/types.ts';
import { t } from '../i18n/language.svelte.ts';

const WORDS: Record<CameraState, () => string> = {
  connecting: () => t('camera_connecting'),
  live: () => t('camera_live'),
  away: () => t('camera_away'),
  stopped: () => t('camera_stopped'),
};

export const stateWords = (state: CameraState): string => WORDS[state]();
