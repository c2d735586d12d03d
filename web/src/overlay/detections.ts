// Detections near the cursor, in windows of ten seconds. Only nearby windows are fetched, a bounded number is kept,
// and the next one is requested ahead of time. A window fetched while its video was still being counted is
// fetched again once more of it is known.
import type { DetectionFrame, DetectionWindow } from '../api/narrowed.ts';

export const WINDOW_SECS = 10;
export const MOST_WINDOWS = 8;
const RETRY_AFTER_MS = 3000;

interface Window {
  frames: Map<number, DetectionFrame>;
  inOrder: DetectionFrame[];
  countedToSecs: number;
}

export interface DetectionSource {
  fetchWindow(fromSecs: number, toSecs: number, signal: AbortSignal): Promise<DetectionWindow>;
  arrived(): void;
  nowMs(): number;
}

export class DetectionCache {
  readonly #source: DetectionSource;
  /** In order of use: the first is the one longest unused. */
  readonly #windows = new Map<number, Window>();
  readonly #underWay = new Map<number, AbortController>();
  readonly #failedAtMs = new Map<number, number>();
  #countedToSecs = 0;

  constructor(source: DetectionSource) {
    this.#source = source;
  }

  get windowCount(): number {
    return this.#windows.size;
  }

  /** How far the video is counted by now, as any answer of the server told. */
  countedTo(secs: number): void {
    this.#countedToSecs = Math.max(this.#countedToSecs, secs);
  }

  /** The cursor is here: have this window, then its neighbour in the direction of play; stop fetching far ones. */
  near(secs: number, endSecs: number): void {
    const here = Math.floor(Math.max(0, secs) / WINDOW_SECS);
    for (const [place, controller] of this.#underWay) {
      if (Math.abs(place - here) > 1) {
        controller.abort();
        this.#underWay.delete(place);
      }
    }
    this.#want(here, endSecs);
    if (secs - here * WINDOW_SECS < 3 && here > 0) this.#want(here - 1, endSecs);
    else if (secs - here * WINDOW_SECS > WINDOW_SECS * 0.4) this.#want(here + 1, endSecs);
  }

  /** `undefined`: the window has not arrived. `null`: it has, and the server told nothing about this frame. */
  frame(pts: number, secs: number): DetectionFrame | null | undefined {
    const place = Math.floor(secs / WINDOW_SECS);
    // A frame on the border may have come with the neighbouring window: the server rounds on its own.
    for (const near of [place, place - 1, place + 1]) {
      const frame = this.#windows.get(near)?.frames.get(pts);
      if (frame) return frame;
    }
    return this.#windows.has(place) ? null : undefined;
  }

  /** How far the window around `secs` was counted when it was fetched. */
  windowCountedTo(secs: number): number {
    return this.#windows.get(Math.floor(secs / WINDOW_SECS))?.countedToSecs ?? 0;
  }

  /** Frames with `fromPts` ≤ pts ≤ `toPts` that are here, in order. */
  between(fromPts: number, toPts: number, fromSecs: number, toSecs: number): DetectionFrame[] {
    const found: DetectionFrame[] = [];
    const first = Math.floor(Math.max(0, fromSecs) / WINDOW_SECS);
    for (let place = first; place <= Math.floor(toSecs / WINDOW_SECS); place += 1) {
      for (const frame of this.#windows.get(place)?.inOrder ?? []) {
        if (frame.pts > toPts) break;
        if (frame.pts >= fromPts) found.push(frame);
      }
    }
    return found;
  }

  /** Another count of the video is shown from now on: what is here is not of it. */
  forget(): void {
    this.close();
    this.#failedAtMs.clear();
    this.#countedToSecs = 0;
  }

  close(): void {
    for (const controller of this.#underWay.values()) controller.abort();
    this.#underWay.clear();
    this.#windows.clear();
  }

  #want(place: number, endSecs: number): void {
    const fromSecs = place * WINDOW_SECS;
    if (fromSecs > endSecs || this.#underWay.has(place)) return;
    const window = this.#windows.get(place);
    if (window) {
      this.#windows.delete(place);
      this.#windows.set(place, window);
      if (!this.#isStale(window, fromSecs)) return;
    }
    const failedAtMs = this.#failedAtMs.get(place);
    if (failedAtMs !== undefined && this.#source.nowMs() - failedAtMs < RETRY_AFTER_MS) return;
    void this.#fetch(place);
  }

  /** More is known now than when it was fetched, by enough to be worth a request. */
  #isStale(window: Window, fromSecs: number): boolean {
    const toSecs = fromSecs + WINDOW_SECS;
    if (window.countedToSecs >= toSecs || this.#countedToSecs <= fromSecs) return false;
    const known = Math.min(this.#countedToSecs, toSecs) - Math.max(window.countedToSecs, fromSecs);
    return known >= 1 || (known > 0 && this.#countedToSecs >= toSecs);
  }

  async #fetch(place: number): Promise<void> {
    const controller = new AbortController();
    this.#underWay.set(place, controller);
    try {
      const from = place * WINDOW_SECS;
      const answer = await this.#source.fetchWindow(from, from + WINDOW_SECS, controller.signal);
      if (controller.signal.aborted) return;
      this.#keep(place, answer);
      this.#failedAtMs.delete(place);
    } catch {
      if (controller.signal.aborted) return;
      this.#failedAtMs.set(place, this.#source.nowMs());
    }
    this.#underWay.delete(place);
    this.#source.arrived();
  }

  #keep(place: number, answer: DetectionWindow): void {
    this.countedTo(answer.counted_to_secs);
    const inOrder = [...answer.frames].sort((one, other) => one.pts - other.pts);
    const frames = new Map(inOrder.map((frame) => [frame.pts, frame]));
    this.#windows.delete(place);
    this.#windows.set(place, { frames, inOrder, countedToSecs: answer.counted_to_secs });
    for (const oldest of this.#windows.keys()) {
      if (this.#windows.size <= MOST_WINDOWS) break;
      this.#windows.delete(oldest);
    }
  }
}
