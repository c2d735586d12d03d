// Single pictures from the server as a screen: for videos that the browser cannot play. The newest wish wins; a picture that
// nobody waits for any more is aborted. Playing shows whatever the server manages to give, and says which frame that is.
import { ask, isAbort, Problem } from '../api/request.ts';
import type { Screen, ScreenReports } from '../time/cursor.svelte.ts';
import type { PtsTable } from '../time/pts_table.ts';

/** While a drag goes on, a picture this young is let through: aborting each one would show nothing until the end. */
const PATIENCE_MS = 150;

export interface PictureReports extends ScreenReports {
  pictureFailed(detail: string | null): void;
}

export class PictureScreen implements Screen {
  readonly #canvas: HTMLCanvasElement;
  readonly #reports: PictureReports;
  readonly #table: PtsTable;
  readonly #address: (secs: number) => string;
  #request: AbortController | null = null;
  #requestedAtMs = 0;
  #wantedIndex: number | null = null;
  #shownIndex = 0;
  #rate = 1;
  #isPlaying = false;
  #playedFrom = { atMs: 0, secs: 0 };
  #timer = 0;

  constructor(
    canvas: HTMLCanvasElement,
    reports: PictureReports,
    table: PtsTable,
    address: (secs: number) => string,
  ) {
    this.#canvas = canvas;
    this.#reports = reports;
    this.#table = table;
    this.#address = address;
  }

  seek(secs: number): void {
    this.#wantedIndex = this.#table.indexAt(secs);
    if (this.#isPlaying) this.#playFrom(secs);
    if (this.#request) {
      if (performance.now() - this.#requestedAtMs < PATIENCE_MS) return;
      this.#request.abort();
    }
    void this.#fetchWanted();
  }

  play(): void {
    if (this.#isPlaying) return;
    this.#isPlaying = true;
    this.#playFrom(this.#table.secsOfIndex(this.#wantedIndex ?? this.#shownIndex));
    this.#reports.playing(true);
    this.#playNext();
  }

  pause(): void {
    clearTimeout(this.#timer);
    if (!this.#isPlaying) return;
    this.#isPlaying = false;
    this.#reports.playing(false);
  }

  setRate(rate: number): void {
    this.#rate = rate;
    if (this.#isPlaying) this.#playFrom(this.#table.secsOfIndex(this.#shownIndex));
  }

  setMuted(): void {
    // Pictures have no sound.
  }

  /** Nobody waits for a picture any more. */
  forget(): void {
    this.#wantedIndex = null;
    this.#request?.abort();
    this.#request = null;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#isPlaying = false;
    this.forget();
  }

  #playFrom(secs: number): void {
    this.#playedFrom = { atMs: performance.now(), secs };
  }

  /** The frame due now, or a nap until the next one is. */
  #playNext(): void {
    clearTimeout(this.#timer);
    if (!this.#isPlaying || this.#request) return;
    const { atMs, secs } = this.#playedFrom;
    const dueSecs = secs + ((performance.now() - atMs) / 1000) * this.#rate;
    const due = this.#table.indexAt(dueSecs);
    if (due > this.#shownIndex) {
      this.#wantedIndex = due;
      void this.#fetchWanted();
    } else if (this.#shownIndex >= this.#table.frames - 1) {
      this.pause();
    } else {
      const waitSecs = (this.#table.secsOfIndex(this.#shownIndex + 1) - dueSecs) / this.#rate;
      this.#timer = window.setTimeout(() => this.#playNext(), Math.max(1, waitSecs * 1000));
    }
  }

  async #fetchWanted(): Promise<void> {
    const index = this.#wantedIndex;
    if (index === null) return;
    this.#wantedIndex = null;
    const request = new AbortController();
    this.#request = request;
    this.#requestedAtMs = performance.now();
    this.#reports.waiting(true);
    try {
      const response = await ask(this.#address(this.#askedSecs(index)), { signal: request.signal });
      const picture = await createImageBitmap(await response.blob());
      if (request.signal.aborted) return;
      const served = Number.parseInt(response.headers.get('x-frame-pts') ?? '', 10);
      this.#show(picture, Number.isFinite(served) ? this.#table.indexOfPts(served) : index);
      this.#reports.pictureFailed(null);
    } catch (error) {
      if (isAbort(error) || request.signal.aborted) return;
      this.pause();
      this.#reports.pictureFailed(error instanceof Problem ? error.detail : String(error));
    }
    if (this.#request === request) this.#request = null;
    if (this.#wantedIndex !== null) {
      void this.#fetchWanted();
      return;
    }
    this.#reports.waiting(false);
    this.#playNext();
  }

  /** A little after the frame's beginning, so that no rounding on the way can name the frame before it. */
  #askedSecs(index: number): number {
    const begin = this.#table.secsOfIndex(index);
    if (index >= this.#table.frames - 1) return begin;
    return begin + (this.#table.secsOfIndex(index + 1) - begin) / 4;
  }

  #show(picture: ImageBitmap, index: number): void {
    this.#canvas.width = picture.width;
    this.#canvas.height = picture.height;
    this.#canvas.getContext('2d')?.drawImage(picture, 0, 0);
    picture.close();
    this.#shownIndex = index;
    this.#reports.shown(this.#table.secsOfIndex(index));
    this.#reports.settled();
  }
}
