// The typed dictionary: existing keys, the {names} of an entry, and the selection of a form. Pure, so tests can check
// every entry in every language.
import type { en } from './en.ts';

type English = typeof en;
export type Key = keyof English;

type Names<Text> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never;
type AllNames<Entry> = Entry extends string
  ? Names<Entry>
  : 'count' | (Entry extends { other: infer Other } ? Names<Other> : never);

/** What must be given with a key. */
export type Values<K extends Key> = Record<AllNames<English[K]>, string | number>;
export type Arguments<K extends Key> = [AllNames<English[K]>] extends [never] ? [] : [values: Values<K>];

export type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };
export type Dictionary<Categories extends Intl.LDMLPluralRule> = {
  [K in Key]: English[K] extends string ? string : Record<Categories, string>;
};

/** The text of an entry with its {names} filled in; numbers in the language's own writing. */
export function phrase(
  entry: string | Forms,
  values: Record<string, string | number>,
  rules: Intl.PluralRules,
  format: Intl.NumberFormat,
): string {
  const text = typeof entry === 'string' ? entry : (entry[rules.select(Number(values.count))] ?? entry.other);
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? format.format(value) : value;
  });
}
