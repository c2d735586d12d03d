// A view's only time cursor; everything else follows it. It owns no picture: the screen (a <video>, or server pictures)
// shows frames and reports the one displayed. A request alone never moves the cursor; the frame shown does.
import type { PtsTable } from './pts_table.ts';

/** The frame on the screen. Index and pts are unknown until the video's index has been read. */
export interface ShownFrame {
  secs: number;
  index: number | null;
  pts: number | null;
}

/** What can show frames. Seconds count from the first frame of the video. */
export interface Screen {
  seek(secs: number): void;
  play(): void;
  pause(): void;
  setRate(rate: number): void;
  setMuted(muted: boolean): void;
  close(): void;
}

/** What a screen tells: facts only. */
export interface ScreenReports {
  shown(secs: number): void;
  /** The last seek is done: what is shown now is what it led to. */
  settled(): void;
  playing(playing: boolean): void;
  waiting(waiting: boolean): void;
  duration(secs: number): void;
  /** The picture cannot be shown: the browser does not know the format, or the server is gone. */
  failed(reason: 'format' | 'network'): void;
}

export const RATES = [0.25, 0.5, 1, 1.5, 2, 4] as const;

export class Cursor {
  shown = $state.raw<ShownFrame | null>(null);
  playing = $state(false);
  waiting = $state(false);
  rate = $state(1);
  muted = $state(true);
  durationSecs = $state(0);
  table = $state.raw<PtsTable | null>(null);
  /** The frame that was asked for, when the screen came to rest on another one. */
  missedIndex = $state<number | null>(null);
  /** A finger drags the time line: the scrub screen shows, not the screen. */
  scrubbing = $state(false);
  #screen: Screen | null = null;
  #scrubScreen: Screen | null = null;
  /** Asked for and not yet shown: quick steps count from here, or they would be lost. */
  #wanted: { index: number | null; secs: number } | null = null;
  #scrubbedWhilePlaying = false;

  attach(screen: Screen): void {
    this.#screen = screen;
    screen.setRate(this.rate);
    screen.setMuted(this.muted);
    const secs = this.#wanted?.secs ?? this.shown?.secs ?? 0;
    this.seek(secs);
  }

  detach(screen: Screen): void {
    if (this.#screen !== screen) return;
    this.#screen = null;
    this.playing = false;
    this.waiting = false;
  }

  /** What shows frames while a finger drags, where the screen itself is too slow for it. */
  attachScrub(screen: Screen): void {
    this.#scrubScreen = screen;
  }

  detachScrub(screen: Screen): void {
    if (this.#scrubScreen !== screen) return;
    this.endScrub();
    this.#scrubScreen = null;
  }

  useTable(table: PtsTable): void {
    this.table = table;
    this.durationSecs = table.durationSecs;
    if (this.shown) this.showAt(this.shown.secs);
  }

  useDuration(secs: number): void {
    if (!this.table && Number.isFinite(secs)) this.durationSecs = secs;
  }

  /** Report of the screen: the frame on it at `secs`. */
  showAt(secs: number): void {
    this.coverAt(secs);
    if (this.playing || this.#wanted?.index === this.shown?.index) this.#wanted = null;
  }

  /** Report of what covers the screen: the frame at `secs` is seen, and the screen itself is still waited for. */
  coverAt(secs: number): void {
    const index = this.table ? this.table.indexAt(secs) : null;
    if (index !== null && this.table) {
      const pts = this.table.ptsOfIndex(index);
      this.shown = { secs: this.table.secsOfPts(pts), index, pts };
    } else {
      this.shown = { secs, index: null, pts: null };
    }
  }

  /** Report of the screen: it has come to rest. Some browsers miss the frame (variable rate with B-frames): tell it. */
  settled(): void {
    const wanted = this.#wanted?.index ?? null;
    this.missedIndex = wanted !== null && !this.playing && wanted !== this.shown?.index ? wanted : null;
  }

  seek(secs: number): void {
    if (this.table) {
      this.seekToIndex(this.table.indexAt(secs));
      return;
    }
    const target = Math.max(0, this.durationSecs ? Math.min(secs, this.durationSecs) : secs);
    this.#wanted = { index: null, secs: target };
    this.#screen?.seek(target);
  }

  seekToPts(pts: number): void {
    if (this.table) this.seekToIndex(this.table.indexOfPts(pts));
  }

  seekToIndex(index: number): void {
    if (!this.table) return;
    const target = Math.max(0, Math.min(index, this.table.frames - 1));
    const secs = this.table.middleSecs(target);
    this.missedIndex = null;
    this.#wanted = { index: target, secs };
    (this.scrubbing ? this.#scrubScreen : this.#screen)?.seek(secs);
  }

  /** Whether the frame at `secs` is the one that was asked for; any is, where none was. */
  isWanted(secs: number): boolean {
    const wanted = this.#wanted?.index ?? null;
    return this.playing || wanted === null || this.table?.indexAt(secs) === wanted;
  }

  skip(secs: number): void {
    this.seek((this.#wanted?.secs ?? this.shown?.secs ?? 0) + secs);
  }

  step(frames: number): void {
    const from = this.#wanted?.index ?? this.shown?.index ?? null;
    if (from === null) return;
    this.pause();
    this.seekToIndex(from + frames);
  }

  play(): void {
    this.missedIndex = null;
    if (this.table && this.shown?.index === this.table.frames - 1) this.seek(0);
    this.#screen?.play();
  }

  pause(): void {
    this.#screen?.pause();
  }

  toggle(): void {
    if (this.playing) this.pause();
    else this.play();
  }

  setRate(rate: number): void {
    this.rate = rate;
    this.#screen?.setRate(rate);
  }

  /** To the next faster (+1) or slower (−1) speed. */
  shiftRate(by: number): void {
    const place = RATES.indexOf(this.rate as (typeof RATES)[number]);
    const rate = RATES[Math.max(0, Math.min(RATES.length - 1, place + by))];
    if (rate) this.setRate(rate);
  }

  setMuted(muted: boolean): void {
    this.muted = muted;
    this.#screen?.setMuted(muted);
  }

  /** While a finger drags the time line the picture stands still under it; afterwards playing goes on. */
  beginScrub(): void {
    this.#scrubbedWhilePlaying = this.playing;
    this.pause();
    this.scrubbing = this.#scrubScreen !== null;
  }

  endScrub(): void {
    if (this.scrubbing) {
      this.scrubbing = false;
      const index = this.#wanted?.index ?? this.shown?.index ?? null;
      if (index !== null) this.seekToIndex(index);
    }
    if (this.#scrubbedWhilePlaying) {
      this.missedIndex = null;
      this.#screen?.play();
    }
    this.#scrubbedWhilePlaying = false;
  }
}
