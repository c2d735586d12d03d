// Checks every entry of every language: forms for every plural category, and the same {names} as in English.
import { describe, expect, it } from 'vitest';
import { en } from './en.ts';
import { type Forms, phrase } from './plural.ts';
import { ru } from './ru.ts';

const dictionaries: Record<string, Record<string, string | Forms>> = { en, ru };
const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();

describe.each(Object.entries(dictionaries))('%s', (code, dictionary) => {
  const rules = new Intl.PluralRules(code);
  const format = new Intl.NumberFormat(code);
  const entries = Object.entries(dictionary);

  it('has exactly the keys of English', () => {
    expect(Object.keys(dictionary).sort()).toEqual(Object.keys(en).sort());
  });

  it.each(entries)('%s has all its forms and names', (key, entry) => {
    const pattern = (en as Record<string, string | Forms>)[key] as string | Forms;
    const wanted = names(typeof pattern === 'string' ? pattern : pattern.other);
    const texts = typeof entry === 'string' ? [entry] : Object.values(entry);
    for (const text of texts) {
      expect(text.trim()).not.toBe('');
      expect(names(text)).toEqual(wanted);
    }
    if (typeof entry === 'string') return;
    expect(Object.keys(entry).sort()).toEqual(rules.resolvedOptions().pluralCategories.sort());
    for (const count of [0, 1, 2, 4, 5, 11, 12, 14, 21, 22, 25, 101, 111, 112, 1001, 1.5]) {
      expect(phrase(entry, { count }, rules, format)).toBe(
        (entry[rules.select(count)] as string).replace('{count}', format.format(count)),
      );
    }
  });
});

it('says the right word for a number of pigs', () => {
  const say = (code: string, count: number) =>
    phrase(
      dictionaries[code]?.pigs as Forms,
      { count },
      new Intl.PluralRules(code),
      new Intl.NumberFormat(code),
    );
  expect([0, 1, 2, 5, 11, 21, 22, 112].map((count) => say('ru', count))).toEqual([
    'свиней',
    'свинья',
    'свиньи',
    'свиней',
    'свиней',
    'свинья',
    'свиньи',
    'свиней',
  ]);
  expect([0, 1, 2].map((count) => say('en', count))).toEqual(['pigs', 'pig', 'pigs']);
});

it('keeps "no video", "not analysed yet" and "no pigs" apart', () => {
  for (const dictionary of [en, ru]) {
    expect(new Set([dictionary.no_video, dictionary.not_analysed_yet, dictionary.no_pigs]).size).toBe(3);
    expect(dictionary.coverage_no_video).not.toBe(dictionary.coverage_pending);
  }
});
