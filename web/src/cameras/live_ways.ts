// Which way a camera's video comes. The ways are tried from the best on; what plays is shown until a better one plays, and a way that has failed is tried
// again, so the page goes down and comes back up by itself. Where none plays, single pictures are shown. It reads no clock.
import { type BackOffRule, backOffMs } from '../live/back_off.ts';

/** From the best on: WebRTC; MP4 in fragments over a WebSocket. */
export const VIDEO_WAYS = ['webrtc', 'fragments'] as const;
export type VideoWay = (typeof VIDEO_WAYS)[number];
export type Way = VideoWay | 'pictures';
export type WayChoice = 'auto' | Way;

/** A way that doesn't play by then is given up. */
export const TRY_MS = 10_000;
/** A way has so long before the next one is tried beside it. */
export const HEAD_START_MS = 2000;
/** A way that has played for so long works: if it ends, it is tried again at once. */
export const STEADY_MS = 30_000;
const AGAIN: BackOffRule = { firstMs: 3000, longestMs: 120_000 };

interface State {
  is: 'idle' | 'trying' | 'playing';
  sinceMs: number;
  /** In a row. */
  failures: number;
  /** When it may be tried again. */
  againMs: number;
  /** Of its tries: each is a new connection. */
  tries: number;
}

export interface Opened {
  way: VideoWay;
  /** Differs from try to try. */
  number: number;
}

export class LiveWays {
  readonly #ways: readonly VideoWay[];
  readonly #states: Map<VideoWay, State>;

  /** `ways`: those that the browser has and the person wants, the best first. */
  constructor(ways: readonly VideoWay[]) {
    this.#ways = ways;
    const fresh = (): State => ({ is: 'idle', sinceMs: 0, failures: 0, againMs: 0, tries: 0 });
    this.#states = new Map(ways.map((way) => [way, fresh()]));
  }

  /** What is to be open now: the way that plays, and those that are tried. Call it after each event, and when `nextMs` has come. */
  open(nowMs: number): Opened[] {
    for (const way of this.#ways) {
      const state = this.#of(way);
      if (state.is === 'trying' && nowMs - state.sinceMs >= TRY_MS) this.failed(way, nowMs, 0.5);
    }
    let mayBegin = true;
    for (const way of this.#ways) {
      const state = this.#of(way);
      if (mayBegin && state.is === 'idle' && nowMs >= state.againMs) {
        state.is = 'trying';
        state.sinceMs = nowMs;
        state.tries += 1;
      }
      if (state.is === 'trying' && nowMs - state.sinceMs < HEAD_START_MS) mayBegin = false;
      if (state.is !== 'playing') continue;
      // Nothing below what plays.
      for (const below of this.#ways.slice(this.#ways.indexOf(way) + 1)) this.#of(below).is = 'idle';
      break;
    }
    return this.#ways
      .filter((way) => this.#of(way).is !== 'idle')
      .map((way) => ({ way, number: this.#of(way).tries }));
  }

  /** The best way that plays. */
  shown(): Way {
    return this.#ways.find((way) => this.#of(way).is === 'playing') ?? 'pictures';
  }

  /** A way shows its first frame. */
  playing(way: VideoWay, nowMs: number): void {
    const state = this.#of(way);
    if (state.is !== 'trying') return;
    state.is = 'playing';
    state.sinceMs = nowMs;
  }

  /** A way has ended, or doesn't work. `uneven` is a number from 0 to 1. */
  failed(way: VideoWay, nowMs: number, uneven: number): void {
    const state = this.#of(way);
    if (state.is === 'idle') return;
    const isSteady = state.is === 'playing' && nowMs - state.sinceMs >= STEADY_MS;
    state.is = 'idle';
    state.againMs = isSteady ? nowMs : nowMs + backOffMs(AGAIN, state.failures, uneven);
    state.failures = isSteady ? 0 : state.failures + 1;
  }

  /** When `open` is to be called again without an event; `Infinity`: never. */
  nextMs(nowMs: number): number {
    const times = this.#ways.flatMap((way) => {
      const { is, sinceMs, againMs } = this.#of(way);
      if (is === 'trying') return [sinceMs + HEAD_START_MS, sinceMs + TRY_MS];
      return is === 'idle' ? [againMs] : [];
    });
    return Math.min(...times.filter((time) => time > nowMs));
  }

  #of(way: VideoWay): State {
    const state = this.#states.get(way);
    if (!state) throw new Error(`${way} is not among the ways`);
    return state;
  }
}
