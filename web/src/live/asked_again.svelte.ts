// A response that is polled: every two seconds while something in it changes, after each command, when the server tells of a change, and
// when the user comes back to the page; never while idle.
import type { Topic } from '../api/types.ts';
import { backOffMs } from './back_off.ts';
import { serverWatch } from './server_watch.svelte.ts';

const ASK_AGAIN = { firstMs: 2000, longestMs: 15_000 };

export class AskedAgain<T> {
  answer = $state.raw<T | null>(null);
  isSilent = $state(false);
  readonly #ask: () => Promise<T>;
  readonly #isMoving: (answer: T) => boolean;
  readonly #endListening: () => void;
  #failures = 0;
  #timer = 0;
  #asked = 0;
  #isClosed = false;
  readonly #onShow = () => {
    if (!document.hidden) void this.refresh();
  };

  /** `topics`: whose changes it depends on. */
  constructor(ask: () => Promise<T>, isMoving: (answer: T) => boolean, topics: readonly Topic[]) {
    this.#ask = ask;
    this.#isMoving = isMoving;
    this.#endListening = serverWatch.listen(topics, () => void this.refresh());
    document.addEventListener('visibilitychange', this.#onShow);
    void this.refresh();
  }

  async refresh(): Promise<void> {
    clearTimeout(this.#timer);
    this.#asked += 1;
    const asked = this.#asked;
    try {
      const answer = await this.#ask();
      // A request from before a change is out of date.
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
    if (!this.isSilent && !(this.answer !== null && this.#isMoving(this.answer))) return;
    const wait = this.isSilent ? backOffMs(ASK_AGAIN, this.#failures, Math.random()) : ASK_AGAIN.firstMs;
    this.#timer = window.setTimeout(() => void this.refresh(), wait);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#endListening();
    document.removeEventListener('visibilitychange', this.#onShow);
  }
}
