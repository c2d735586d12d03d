// Numbers of animals at moments, by source, until the detector learns from them. They stay while a person looks at other recordings of the source, and in
// this browser until they are used.
import type { CountedMoment } from '../api/types.ts';
import { keep, kept } from '../settings/kept.ts';

/** Fewer say too little: two thirds teach, a third judges. */
export const FEWEST_MOMENTS = 3;
const MOST_MOMENTS = 200;

const keyOf = (source: string) => `moments ${source}`;

function read(source: string): CountedMoment[] {
  try {
    const stored: unknown = JSON.parse(kept(keyOf(source)) ?? '[]');
    const isMoment = (one: CountedMoment) =>
      typeof one?.video === 'string' && Number.isFinite(one.t) && Number.isInteger(one.animals);
    return Array.isArray(stored) ? stored.filter(isMoment) : [];
  } catch {
    return [];
  }
}

class Moments {
  #bySource = $state.raw<Record<string, CountedMoment[]>>({});

  of(source: string): CountedMoment[] {
    return this.#bySource[source] ?? read(source);
  }

  /** A second number for the same moment takes the first one's place. */
  add(source: string, moment: CountedMoment): void {
    const others = this.of(source).filter((one) => one.video !== moment.video || one.t !== moment.t);
    const all = [...others, moment].slice(-MOST_MOMENTS);
    this.#set(
      source,
      all.sort((one, other) => one.video.localeCompare(other.video) || one.t - other.t),
    );
  }

  remove(source: string, moment: CountedMoment): void {
    this.#set(
      source,
      this.of(source).filter((one) => one !== moment),
    );
  }

  clear(source: string): void {
    this.#set(source, []);
  }

  #set(source: string, moments: CountedMoment[]): void {
    this.#bySource = { ...this.#bySource, [source]: moments };
    keep(keyOf(source), JSON.stringify(moments));
  }
}

export const moments = new Moments();
