// Words of a detector's file that people read in their own language.
import { t } from '../i18n/language.svelte.ts';

const CLASSES = ['pig', 'piglet', 'sow', 'boar'] as const;

/** A class as its file names it, or in the reader's language where it is a usual one. */
export function className(name: string): string {
  const known = CLASSES.find((one) => one === name.toLowerCase());
  return known ? t(`class_${known}`) : name;
}

/** Where a detector comes from: a path, or a name with "(built in)" behind it. */
export function modelFile(path: string): string {
  const [, file] = /^(.*) \(built in\)$/.exec(path) ?? [];
  return file === undefined ? path : t('model_built_in', { file });
}
