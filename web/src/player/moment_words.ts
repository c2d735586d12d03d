// A moment's count in words.
import { t } from '../i18n/language.svelte.ts';
import type { MomentCount } from '../overlay/moment.ts';

export function momentWords(moment: MomentCount): string {
  switch (moment.state) {
    case 'no_video':
      return t('no_video');
    case 'pending':
      return t('not_analysed_yet');
    case 'fetching':
      return `${t('fetching')}…`;
    case 'counted':
      return moment.count === 0 ? t('no_pigs') : t('pigs', { count: moment.count });
  }
}

/** How far a count may be off, in whole animals: null where it is not known. An animal is never counted by halves. */
export function wholeUncertainty(count: { uncertainty: number | null } | null): number | null {
  return count === null || count.uncertainty === null ? null : Math.round(count.uncertainty);
}
