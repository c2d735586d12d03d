// The list of videos. Asked for again every two seconds while something is read or counted, and when the reader comes back
// to the page; never when nothing goes on.
import { fetchVideos } from '../api/endpoints.ts';
import type { Video } from '../api/types.ts';
import { backOffMs } from '../live/back_off.ts';
import { isWorked } from './state_words.ts';

const ASK_AGAIN = { firstMs: 2000, longestMs: 15_000 };

export class VideoList {
  videos = $state.raw<Video[] | null>(null);
  isSilent = $state(false);
  #failures = 0;
  #timer = 0;
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
    try {
      const videos = await fetchVideos();
      if (this.#isClosed) return;
      this.videos = videos;
      this.isSilent = false;
      this.#failures = 0;
    } catch {
      if (this.#isClosed) return;
      this.isSilent = true;
      this.#failures += 1;
    }
    if (document.hidden) return;
    if (!this.isSilent && !this.videos?.some((video) => isWorked(video, false))) return;
    const wait = this.isSilent ? backOffMs(ASK_AGAIN, this.#failures, Math.random()) : ASK_AGAIN.firstMs;
    this.#timer = window.setTimeout(() => void this.refresh(), wait);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    document.removeEventListener('visibilitychange', this.#onShow);
  }
}
