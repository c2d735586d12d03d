// Single pictures from the server as a screen: over a video while scrubbing, and for videos that the browser can't
// play. Within the pointer event the thumbnail is drawn; then the exact small frame; after a moment without
// further requests, the full-size frame. The newest request wins, and outdated pictures are aborted. Playback shows
// the frames that the server delivers in time, and reports which ones they are.
import { ask, isAbort, Problem } from '../api/request.ts';
import type { Screen, ScreenReports } from '../time/cursor.svelte.ts';
import type { PtsTable } from '../time/pts_table.ts';
import type { Sprite } from '../timeline/sprites.svelte.ts';

/** While a drag goes on, a picture this young is let through: aborting each one would show nothing until the end. */
const PATIENCE_MS = 150;
/** A finger that has not moved for so long rests. */
const REST_MS = 120;
/** A thumbnail that is not this much nearer than what is shown is no gain. */
const LEAST_GAIN_SECS = 0.1;

export interface PictureReports extends ScreenReports {
  pictureFailed(detail: string | null): void;
}

/** Where the pictures come from. */
export interface PictureSource {
  /** What is at hand for a moment. */
  sprite(secs: number): Sprite | null;
  smallAddress(pts: number): string;
  wholeAddress(secs: number): string;
}

export class PictureScreen implements Screen {
  readonly #canvas: HTMLCanvasElement;
  readonly #reports: PictureReports;
  readonly #tableNow: () => PtsTable;
  readonly #source: PictureSource;
  #request: AbortController | null = null;
  #requestedAtMs = 0;
  #wantedIndex: number | null = null;
  #requestedIndex: number | null = null;
  #shownIndex: number | null = null;
  #rate = 1;
  #isPlaying = false;
  #playedFrom = { atMs: 0, secs: 0 };
  #playTimer = 0;
  #restTimer = 0;

  constructor(
    canvas: HTMLCanvasElement,
    reports: PictureReports,
    table: () => PtsTable,
    source: PictureSource,
  ) {
    this.#canvas = canvas;
    this.#reports = reports;
    this.#tableNow = table;
    this.#source = source;
  }

  seek(secs: number): void {
    this.#wantedIndex = this.#table.indexAt(secs);
    clearTimeout(this.#restTimer);
    if (this.#isPlaying) this.#playFrom(secs);
    this.#showSprite(secs);
    if (this.#request) {
      if (performance.now() - this.#requestedAtMs < PATIENCE_MS) return;
      this.#request.abort();
    }
    void this.#fetchWanted();
  }

  play(): void {
    if (this.#isPlaying) return;
    clearTimeout(this.#restTimer);
    this.#isPlaying = true;
    this.#playFrom(this.#table.secsOfIndex(this.#nextIndex));
    this.#reports.playing(true);
    this.#playNext();
  }

  pause(): void {
    clearTimeout(this.#playTimer);
    if (!this.#isPlaying) return;
    this.#isPlaying = false;
    this.#reports.playing(false);
    this.#restSoon();
  }

  setRate(rate: number): void {
    this.#rate = rate;
    if (this.#isPlaying) this.#playFrom(this.#table.secsOfIndex(this.#nextIndex));
  }

  setMuted(): void {
    // Pictures have no audio.
  }

  /** Nobody waits for a picture any more. */
  forget(): void {
    clearTimeout(this.#restTimer);
    this.#wantedIndex = null;
    this.#shownIndex = null;
    this.#requestedIndex = null;
    this.#request?.abort();
    this.#request = null;
  }

  close(): void {
    clearTimeout(this.#playTimer);
    this.#isPlaying = false;
    this.forget();
  }

  /** It grows while the file is being read. */
  get #table(): PtsTable {
    return this.#tableNow();
  }

  /** What is wished for, on its way, or shown. */
  get #nextIndex(): number {
    return this.#wantedIndex ?? this.#requestedIndex ?? this.#shownIndex ?? 0;
  }

  #playFrom(secs: number): void {
    this.#playedFrom = { atMs: performance.now(), secs };
  }

  /** The frame due now, or a nap until the next one is. */
  #playNext(): void {
    clearTimeout(this.#playTimer);
    if (!this.#isPlaying || this.#request) return;
    const { atMs, secs } = this.#playedFrom;
    const dueSecs = secs + ((performance.now() - atMs) / 1000) * this.#rate;
    const due = this.#table.indexAt(dueSecs);
    const shown = this.#shownIndex ?? 0;
    if (due > shown) {
      this.#wantedIndex = due;
      void this.#fetchWanted();
    } else if (shown >= this.#table.frames - 1) {
      this.pause();
    } else {
      const waitSecs = (this.#table.secsOfIndex(shown + 1) - dueSecs) / this.#rate;
      this.#playTimer = window.setTimeout(() => this.#playNext(), Math.max(1, waitSecs * 1000));
    }
  }

  #showSprite(secs: number): void {
    const sprite = this.#source.sprite(secs);
    if (!sprite) return;
    const shown = this.#shownIndex;
    const offSecs =
      shown === null ? Number.POSITIVE_INFINITY : Math.abs(this.#table.secsOfIndex(shown) - secs);
    if (Math.abs(sprite.secs - secs) + LEAST_GAIN_SECS >= offSecs) return;
    const { sheet, x, y, width, height } = sprite;
    this.#resize(width, height)?.drawImage(sheet, x, y, width, height, 0, 0, width, height);
    this.#told(this.#table.indexAt(sprite.secs));
  }

  async #fetchWanted(): Promise<void> {
    const index = this.#wantedIndex;
    if (index === null) return;
    this.#wantedIndex = null;
    const isDone = await this.#fetch(index, this.#source.smallAddress(this.#table.ptsOfIndex(index)));
    if (this.#request) return;
    if (this.#wantedIndex !== null) {
      void this.#fetchWanted();
      return;
    }
    this.#reports.waiting(false);
    if (isDone) this.#reports.settled();
    if (this.#isPlaying) this.#playNext();
    else if (isDone) this.#restSoon();
  }

  /** What is shown comes whole when nothing else is wished for a moment. */
  #restSoon(): void {
    clearTimeout(this.#restTimer);
    this.#restTimer = window.setTimeout(() => {
      if (this.#request || this.#wantedIndex !== null || this.#shownIndex === null) return;
      void this.#fetch(this.#shownIndex, this.#source.wholeAddress(this.#askedSecs(this.#shownIndex))).then(
        () => {
          if (this.#request) return;
          if (this.#wantedIndex !== null) void this.#fetchWanted();
          else if (this.#isPlaying) this.#playNext();
        },
      );
    }, REST_MS);
  }

  /** Shows what is behind the address; whether it came. */
  async #fetch(index: number, address: string): Promise<boolean> {
    const request = new AbortController();
    this.#request = request;
    this.#requestedIndex = index;
    this.#requestedAtMs = performance.now();
    this.#reports.waiting(true);
    let isDone = false;
    try {
      const response = await ask(address, { signal: request.signal });
      const picture = await createImageBitmap(await response.blob());
      if (request.signal.aborted) {
        picture.close();
        return false;
      }
      const served = Number.parseInt(response.headers.get('x-frame-pts') ?? '', 10);
      this.#resize(picture.width, picture.height)?.drawImage(picture, 0, 0);
      picture.close();
      this.#told(Number.isFinite(served) ? this.#table.indexOfPts(served) : index);
      this.#reports.pictureFailed(null);
      isDone = true;
    } catch (error) {
      if (isAbort(error) || request.signal.aborted) return false;
      this.pause();
      this.#reports.pictureFailed(error instanceof Problem ? error.detail : String(error));
    }
    if (this.#request === request) {
      this.#request = null;
      this.#requestedIndex = null;
    }
    this.#reports.waiting(false);
    return isDone;
  }

  /** A little after the frame's beginning, so that no rounding on the way can name the frame before it. */
  #askedSecs(index: number): number {
    const begin = this.#table.secsOfIndex(index);
    if (index >= this.#table.frames - 1) return begin;
    return begin + (this.#table.secsOfIndex(index + 1) - begin) / 4;
  }

  #resize(width: number, height: number): CanvasRenderingContext2D | null {
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    return this.#canvas.getContext('2d');
  }

  #told(index: number): void {
    this.#shownIndex = index;
    this.#reports.shown(this.#table.secsOfIndex(index));
  }
}
