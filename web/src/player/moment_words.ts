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
