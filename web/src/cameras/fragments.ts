// A camera's video as fragments of MP4 over a WebSocket, played by the browser's MediaSource: it goes through wherever the page does. It says when it
// plays and when it has failed; it doesn't try again by itself.
import { Lateness, LiveEdge, rtpOf, shownSecs } from './live_edge.ts';
import type { VideoListener } from './whep.ts';

/** Without a frame for so long, it has stalled. */
const STALL_MS = 6000;
/** Without a frame for so long, the camera sends none at the moment. */
const QUIET_MS = 1000;
const WATCH_MS = 500;
/** Later than this for so long, it is begun anew. */
const MOST_LATE_SECS = 3;
const MOST_LATE_WATCHES = 6;
/** What was shown is kept for so long, and no more than this behind the newest frame. */
const KEPT_SECS = 5;
const MOST_KEPT_SECS = 20;
/** Messages that wait for the player: some seconds. */
const MOST_WAITING = 1000;

interface Start {
  type: string;
  media_type: string;
  zero_pts: number;
}

type Source = MediaSource & { readonly streaming?: boolean };
type SourceClass = { new (): Source; isTypeSupported(type: string): boolean };

/** Safari on phones has ManagedMediaSource alone. */
const sourceClass = (): SourceClass | undefined => {
  const all = globalThis as unknown as Record<string, SourceClass | undefined>;
  return all.ManagedMediaSource ?? all.MediaSource;
};

export class FragmentSession {
  readonly #socket: WebSocket;
  readonly #video: HTMLVideoElement;
  readonly #listener: VideoListener;
  readonly #edge = new LiveEdge();
  readonly #lateness = new Lateness();
  #source: Source | null = null;
  #buffer: SourceBuffer | null = null;
  #url = '';
  #zeroPts = 0;
  /** Bytes to append, and codings to change to. */
  #waiting: (ArrayBuffer | string)[] = [];
  #newestSecs: number | null = null;
  #lastFrameMs = performance.now();
  #hasPlayed = false;
  #isOver = false;
  #timer = 0;
  #frameRequest = 0;
  #lateWatches = 0;

  constructor(url: string, video: HTMLVideoElement, listener: VideoListener) {
    this.#video = video;
    this.#listener = listener;
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onmessage = ({ data }) => (typeof data === 'string' ? this.#begin(data) : this.#take(data));
    this.#socket.onclose = () => this.#fail();
    video.onwaiting = () => this.#edge.ranDry();
    video.onerror = () => this.#fail();
    this.#awaitFrame();
    this.#timer = window.setInterval(() => this.#watch(), WATCH_MS);
  }

  /** The server says what comes. */
  #begin(text: string): void {
    const start = JSON.parse(text) as Start;
    const Source = sourceClass();
    if (start.type !== 'start' || !Source?.isTypeSupported(start.media_type)) {
      this.#fail();
      return;
    }
    this.#zeroPts = start.zero_pts;
    if (this.#source) {
      this.#waiting.push(start.media_type);
      return;
    }
    const source = new Source();
    this.#source = source;
    source.onsourceopen = () => {
      if (this.#isOver) return;
      try {
        this.#buffer = source.addSourceBuffer(start.media_type);
      } catch {
        this.#fail();
        return;
      }
      this.#buffer.onupdateend = () => this.#append();
      this.#append();
    };
    this.#url = URL.createObjectURL(source);
    // Managed sources want it.
    this.#video.disableRemotePlayback = true;
    this.#video.src = this.#url;
  }

  #take(bytes: ArrayBuffer): void {
    const secs = shownSecs(bytes);
    if (secs !== null) {
      this.#lateness.arrived(secs, performance.now());
      this.#newestSecs = Math.max(this.#newestSecs ?? secs, secs);
    }
    this.#waiting.push(bytes);
    if (this.#waiting.length > MOST_WAITING) {
      this.#fail();
      return;
    }
    this.#append();
  }

  #append(): void {
    const buffer = this.#buffer;
    if (!buffer || buffer.updating || this.#isOver) return;
    try {
      while (typeof this.#waiting[0] === 'string') buffer.changeType(this.#waiting.shift() as string);
      const next = this.#waiting.shift() as ArrayBuffer | undefined;
      if (next !== undefined) buffer.appendBuffer(next);
      else this.#steer(buffer);
    } catch {
      // The player has ended, or has no room although old frames are removed.
      this.#fail();
    }
  }

  /** All that has come is in the player. */
  #steer(buffer: SourceBuffer): void {
    const video = this.#video;
    if (this.#newestSecs === null) return;
    const ranges = Array.from(
      { length: buffer.buffered.length },
      (_, at) => [buffer.buffered.start(at), buffer.buffered.end(at)] as const,
    );
    const { seekSecs, rate } = this.#edge.steer(video.currentTime, this.#newestSecs, ranges);
    if (seekSecs !== null && !video.seeking) video.currentTime = seekSecs;
    if (video.playbackRate !== rate) video.playbackRate = rate;
    const oldest = ranges[0]?.[0] ?? 0;
    const kept = Math.max(video.currentTime - KEPT_SECS, this.#newestSecs - MOST_KEPT_SECS);
    if (oldest < kept - KEPT_SECS) buffer.remove(0, kept);
  }

  #awaitFrame(): void {
    this.#frameRequest = this.#video.requestVideoFrameCallback((_now, frame) => {
      if (this.#isOver) return;
      this.#lastFrameMs = performance.now();
      if (!this.#hasPlayed) this.#listener.playing();
      this.#hasPlayed = true;
      this.#listener.frame(rtpOf(frame.mediaTime, this.#zeroPts));
      this.#awaitFrame();
    });
  }

  #watch(): void {
    // A page in the background shows nothing and is not behind.
    if (document.hidden) {
      this.#lastFrameMs = performance.now();
      return;
    }
    if (performance.now() - this.#lastFrameMs > STALL_MS) {
      this.#fail();
      return;
    }
    // Browsers pause what can't be seen.
    if (this.#video.paused) this.#video.play().catch(() => undefined);
    // Where nothing comes, nothing is late.
    if (!this.#hasPlayed || performance.now() - this.#lastFrameMs > QUIET_MS) return;
    const secs = this.#lateness.of(this.#video.currentTime, performance.now());
    if (secs === null) return;
    this.#listener.late(secs, null);
    this.#lateWatches = secs > MOST_LATE_SECS ? this.#lateWatches + 1 : 0;
    if (this.#lateWatches >= MOST_LATE_WATCHES) this.#fail();
  }

  #fail(): void {
    if (this.#isOver) return;
    this.close();
    this.#listener.failed();
  }

  /** Ends it. Nothing is told any more. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    const video = this.#video;
    video.cancelVideoFrameCallback?.(this.#frameRequest);
    video.onwaiting = null;
    video.onerror = null;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close();
    this.#waiting = [];
    if (this.#url === '') return;
    video.removeAttribute('src');
    video.load();
    URL.revokeObjectURL(this.#url);
  }
}

/** Whether this browser can play fragments, and tells which frame it shows. */
export const takesFragments = () =>
  sourceClass() !== undefined && 'requestVideoFrameCallback' in HTMLVideoElement.prototype;
