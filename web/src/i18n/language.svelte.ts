// The current language: the browser's at first, then the user's choice. All displayed text goes through `t`.
import { keep, kept } from '../settings/kept.ts';
import { spanParts } from '../time/words.ts';
import { en } from './en.ts';
import { type Arguments, type Key, phrase } from './plural.ts';
import { ru } from './ru.ts';

export const LANGUAGES = { en: 'English', ru: 'Русский' } as const;
export type LanguageCode = keyof typeof LANGUAGES;

const dictionaries = { en, ru };

function firstLanguage(): LanguageCode {
  const chosen = kept('language');
  if (chosen === 'en' || chosen === 'ru') return chosen;
  const wanted = globalThis.navigator?.languages ?? [];
  for (const tag of wanted) {
    if (tag.startsWith('ru')) return 'ru';
    if (tag.startsWith('en')) return 'en';
  }
  return 'en';
}

class Language {
  code = $state<LanguageCode>(firstLanguage());
  readonly rules = $derived(new Intl.PluralRules(this.code));
  readonly numbers = $derived(new Intl.NumberFormat(this.code, { maximumFractionDigits: 1 }));

  choose(code: LanguageCode): void {
    this.code = code;
    keep('language', code);
  }
}

export const language = new Language();

export function t<K extends Key>(key: K, ...values: Arguments<K>): string {
  return phrase(dictionaries[language.code][key], values[0] ?? {}, language.rules, language.numbers);
}

/** Why something is so: in the reader's language where the server's code for it is known, else in the server's words. */
export function reason(code: string | null, text: string): string {
  const key = `reason_${code}`;
  return key in en ? t(key as Extract<Key, `reason_${string}`>) : text;
}

export function number(value: number): string {
  return language.numbers.format(value);
}

/** A measured value with its unit, as short as is still clear: "3 min", "8.2 ms". */
export function quantity(value: number, unit: string): string {
  const options = { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: 1 } as const;
  return new Intl.NumberFormat(language.code, options).format(value);
}

export function span(secs: number): string {
  return spanParts(secs)
    .map((part) => quantity(part.value, part.unit))
    .join(' ');
}

/** A day and a time, on the reader's clock. */
export function dayAndTime(ms: number): string {
  return new Intl.DateTimeFormat(language.code, { dateStyle: 'medium', timeStyle: 'short' }).format(ms);
}

/** The same to the second. */
export function dayAndSecond(ms: number): string {
  return new Intl.DateTimeFormat(language.code, { dateStyle: 'medium', timeStyle: 'medium' }).format(ms);
}

/** The time of day, to the second. */
export function timeOfDay(ms: number): string {
  return new Intl.DateTimeFormat(language.code, { timeStyle: 'medium' }).format(ms);
}

/** As spreadsheets in the reader's language expect it. */
export function decimalSign(): 'point' | 'comma' {
  return new Intl.NumberFormat(language.code).format(1.5).includes(',') ? 'comma' : 'point';
}

export function percent(share: number): string {
  return new Intl.NumberFormat(language.code, { style: 'percent' }).format(share);
}
