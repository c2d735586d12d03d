// The queue. Asked for again every two seconds while something goes on or waits, after each change, and when the reader comes back to
// the page.
import { fetchJobs } from '../api/endpoints.ts';
import type { Jobs } from '../api/types.ts';
import { backOffMs } from '../live/back_off.ts';
import { isMoving } from './job_words.ts';

const ASK_AGAIN = { firstMs: 2000, longestMs: 15_000 };
/** More nobody reads; how many more there are is told. */
const MOST = 200;

export class JobList {
  answer = $state.raw<Jobs | null>(null);
  isSilent = $state(false);
  #failures = 0;
  #timer = 0;
  #asked = 0;
  #isClosed = false;
  readonly #onShow = () => {
    if (!document.hidden) void this.refresh();
  };

  constructor() {
    document.addEventListener('visibilitychange', this.#onShow);
    void this.refresh();
  }

  async refresh(): Promise<void> {
    clearTimeout(this.#timer);
    this.#asked += 1;
    const asked = this.#asked;
    try {
      const answer = await fetchJobs(MOST);
      // What was asked for before a change is out of date.
      if (this.#isClosed || asked !== this.#asked) return;
      this.answer = answer;
      this.isSilent = false;
      this.#failures = 0;
    } catch {
      if (this.#isClosed || asked !== this.#asked) return;
      this.isSilent = true;
      this.#failures += 1;
    }
    if (document.hidden) return;
    if (!this.isSilent && !(this.answer && isMoving(this.answer.counts))) return;
    const wait = this.isSilent ? backOffMs(ASK_AGAIN, this.#failures, Math.random()) : ASK_AGAIN.firstMs;
    this.#timer = window.setTimeout(() => void this.refresh(), wait);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    document.removeEventListener('visibilitychange', this.#onShow);
  }
}
