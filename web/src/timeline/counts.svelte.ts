// The counts of the curve, for the visible interval, with as many points as the timeline can show. The newest request
// wins; the old curve stays until the new one arrives.
import { fetchCounts } from '../api/endpoints.ts';
import type { CountWindow } from '../api/narrowed.ts';
import type { TimeView } from './view.ts';

const POINTS = 1000;

export class CountCurve {
  counts = $state.raw<CountWindow | null>(null);
  readonly #video: string;
  #newest = 0;

  constructor(video: string) {
    this.#video = video;
  }

  async load(view: TimeView): Promise<void> {
    this.#newest += 1;
    const request = this.#newest;
    const counts = await fetchCounts(this.#video, view.fromSecs, view.toSecs, POINTS);
    if (request === this.#newest) this.counts = counts;
  }
}
