// Which frame is shown at a moment. Frames per second are never used: recorders drop frames and change their rate, so the
// server sends every frame's pts, run-length coded, and the page finds the last one not after the moment.
//
// The table keeps one entry per run, not per frame: ten hours at a constant rate are one run.
import type { FrameIndex } from '../api/narrowed.ts';

/** Browsers round a frame's time to microseconds; frames nearer to each other than this do not occur. */
const EPSILON_SECS = 1e-4;

interface PtsRun {
  /** Index and pts of the frame before the run's first one. */
  index: number;
  pts: number;
  delta: number;
  count: number;
}

export interface Gap {
  fromSecs: number;
  toSecs: number;
}

export class PtsTable {
  /** Whether all frames are there: a file may still be read. */
  readonly isWhole: boolean;
  /** The stored picture is mirrored. */
  readonly isMirrored: boolean;
  readonly frames: number;
  readonly firstPts: number;
  readonly lastPts: number;
  readonly #numerator: number;
  readonly #denominator: number;
  readonly #runs: PtsRun[] = [];
  readonly #expectedSecs: number;

  constructor(source: FrameIndex) {
    const [numerator, denominator] = source.time_base;
    this.isWhole = source.is_whole;
    this.isMirrored = source.is_mirrored;
    this.#expectedSecs = source.is_whole ? 0 : source.duration_secs;
    this.#numerator = numerator;
    this.#denominator = denominator;
    this.firstPts = source.first_pts;
    let index = 0;
    let pts = source.first_pts;
    for (const [delta, count] of source.runs) {
      if (count <= 0 || delta <= 0) continue;
      this.#runs.push({ index, pts, delta, count });
      index += count;
      pts += delta * count;
    }
    this.lastPts = pts;
    this.frames = source.frames > 0 ? index + 1 : 0;
  }

  secsOfPts(pts: number): number {
    return this.#secs(pts - this.firstPts);
  }

  /** Where the stream itself puts the first frame; some browsers keep it as the start of their own clock. */
  get firstPtsSecs(): number {
    return this.#secs(this.firstPts);
  }

  get lastSecs(): number {
    return this.secsOfPts(this.lastPts);
  }

  /** The end of the last frame, which lasts as long as the one before it. */
  get endSecs(): number {
    return this.lastSecs + this.#secs(this.#lastDelta());
  }

  /** How long the video will be, as far as is known. */
  get durationSecs(): number {
    return Math.max(this.endSecs, this.#expectedSecs);
  }

  ptsOfIndex(index: number): number {
    const wanted = Math.max(0, Math.min(index, this.frames - 1));
    const run = this.#runBefore((candidate) => candidate.index < wanted);
    return run ? run.pts + (wanted - run.index) * run.delta : this.firstPts;
  }

  secsOfIndex(index: number): number {
    return this.secsOfPts(this.ptsOfIndex(index));
  }

  /** The last frame that is not after `secs`; the first one before the beginning. */
  indexAt(secs: number): number {
    return this.#floorIndex(this.firstPts + this.#ticks(secs + EPSILON_SECS));
  }

  /** The frame with this pts, or the last one before it. */
  indexOfPts(pts: number): number {
    return this.#floorIndex(pts);
  }

  /**
   * The middle of a frame: a seek there finds the frame in every browser, whatever its rounding. Of a frame that stands for
   * missing ones, the middle of its first moments: to players of streams the rest may be a hole, which they jump over.
   */
  middleSecs(index: number): number {
    const from = this.secsOfIndex(index);
    const next = index + 1 < this.frames ? this.secsOfIndex(index + 1) : this.endSecs;
    return from + Math.min(next - from, this.#secs(this.#usualDelta())) / 2;
  }

  /** Stretches for which the recorder kept no picture: at least two seconds, and ten usual frames. */
  gaps(): Gap[] {
    const usual = this.#usualDelta();
    const least = Math.max(this.#ticks(2), 10 * usual);
    const gaps: Gap[] = [];
    for (const run of this.#runs) {
      if (run.delta < least) continue;
      for (let step = 0; step < run.count; step += 1) {
        const from = run.pts + step * run.delta;
        gaps.push({ fromSecs: this.secsOfPts(from + usual), toSecs: this.secsOfPts(from + run.delta) });
      }
    }
    return gaps;
  }

  /** Multiplies first: one rounding, and whole seconds stay whole. */
  #secs(ticks: number): number {
    return (ticks * this.#numerator) / this.#denominator;
  }

  #ticks(secs: number): number {
    return (secs * this.#denominator) / this.#numerator;
  }

  #floorIndex(ticks: number): number {
    const run = this.#runBefore((candidate) => candidate.pts <= ticks);
    if (!run) return 0;
    return run.index + Math.min(run.count, Math.floor((ticks - run.pts) / run.delta));
  }

  /** The last run for which `isBefore` holds; runs are in order, so halving finds it. */
  #runBefore(isBefore: (run: PtsRun) => boolean): PtsRun | undefined {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(this.#runs[middle] as PtsRun)) low = middle + 1;
      else high = middle;
    }
    return this.#runs[low - 1];
  }

  #lastDelta(): number {
    return this.#runs.at(-1)?.delta ?? this.#ticks(0.04);
  }

  /** The delta that most frames have. */
  #usualDelta(): number {
    const frames = new Map<number, number>();
    let usual = this.#lastDelta();
    let most = 0;
    for (const run of this.#runs) {
      const count = (frames.get(run.delta) ?? 0) + run.count;
      frames.set(run.delta, count);
      if (count > most) [most, usual] = [count, run.delta];
    }
    return usual;
  }
}
