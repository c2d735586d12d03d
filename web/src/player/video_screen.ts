// The <video> element as a screen. It reports the frame actually displayed (requestVideoFrameCallback), never the
// requested one.
//
// A browser's clock need not begin at the first frame: a stream copied with B-frames starts at 0.08 s. So the first frame of
// a new load, shown at time 0, gives the offset; seeks and playback wait for it.
// WebKitGTK reports such frames by the stream's clock but seeks by one that begins at 0: this is detected when
// a frame is reported later than the target time.
// Seeks don't queue: while one is in progress, only the newest request is kept.
import type { Screen, ScreenReports } from '../time/cursor.svelte.ts';

/** Browsers round times; frames last longer. */
const ROUNDING_SECS = 0.002;

export class VideoScreen implements Screen {
  readonly #video: HTMLVideoElement;
  readonly #reports: ScreenReports;
  readonly #firstPtsSecs: () => number | null;
  readonly #events = new AbortController();
  readonly #hasFrameReports: boolean;
  /** Of the first frame, on the clock of reports. */
  #offsetSecs: number | null = null;
  /** The same on the clock of seeks. */
  #seekOffsetSecs = 0;
  #soughtSecs: number | null = null;
  #nextSeekSecs: number | null = null;
  #isPlayWanted = false;
  #frameReport = 0;
  #reportsMade = 0;
  #reportsBeforeSeek = 0;

  constructor(video: HTMLVideoElement, reports: ScreenReports, firstPtsSecs: () => number | null) {
    this.#video = video;
    this.#reports = reports;
    this.#firstPtsSecs = firstPtsSecs;
    this.#hasFrameReports = 'requestVideoFrameCallback' in video;
    const listen = (name: string, action: () => void) =>
      video.addEventListener(name, action, { signal: this.#events.signal });
    listen('loadedmetadata', () => {
      reports.duration(video.duration);
      // Audio without a picture: the browser supports the container but not the codec.
      if (video.videoWidth === 0) reports.failed('format');
    });
    listen('loadeddata', () => {
      reports.waiting(false);
      if (!this.#hasFrameReports) this.#learnOffset(0);
    });
    listen('play', () => reports.playing(true));
    listen('pause', () => reports.playing(false));
    listen('ended', () => reports.playing(false));
    listen('waiting', () => reports.waiting(true));
    listen('playing', () => reports.waiting(false));
    listen('canplay', () => reports.waiting(false));
    listen('seeked', () => this.#seeked());
    listen('error', () => {
      reports.failed(video.error?.code === MediaError.MEDIA_ERR_NETWORK ? 'network' : 'format');
    });
    reports.waiting(true);
    if (this.#hasFrameReports) this.#listenForFrames();
    else listen('timeupdate', () => this.#reportTime(video.currentTime));
  }

  seek(secs: number): void {
    this.#nextSeekSecs = secs;
    if (!this.#video.seeking) this.#seekNext();
  }

  play(): void {
    this.#isPlayWanted = true;
    if (this.#offsetSecs === null) return;
    // The 'pause' event reports refused or interrupted playback; nothing to add.
    this.#video.play().catch(() => undefined);
  }

  pause(): void {
    this.#isPlayWanted = false;
    this.#video.pause();
  }

  setRate(rate: number): void {
    this.#video.playbackRate = rate;
  }

  setMuted(muted: boolean): void {
    this.#video.muted = muted;
  }

  close(): void {
    this.#events.abort();
    if (this.#hasFrameReports) this.#video.cancelVideoFrameCallback(this.#frameReport);
    this.#video.pause();
    // Closes the connection at once instead of at the next garbage collection.
    this.#video.removeAttribute('src');
    this.#video.load();
  }

  #listenForFrames(): void {
    this.#frameReport = this.#video.requestVideoFrameCallback((_now, frame) => {
      if (this.#offsetSecs === null) this.#learnOffset(frame.mediaTime);
      if (this.#isAheadOfSeek(frame.mediaTime)) {
        this.#seekOffsetSecs = 0;
        this.#nextSeekSecs ??= this.#soughtSecs;
        this.#seekNext();
      } else this.#reportTime(frame.mediaTime);
      this.#listenForFrames();
    });
  }

  /** A video at rest shows a frame that has begun; one that has not was reported by another clock than it was sought by. */
  #isAheadOfSeek(mediaSecs: number): boolean {
    const { paused, seeking, currentTime } = this.#video;
    return (
      this.#seekOffsetSecs !== 0 &&
      this.#soughtSecs !== null &&
      paused &&
      !seeking &&
      mediaSecs > currentTime + ROUNDING_SECS
    );
  }

  #learnOffset(firstFrameSecs: number): void {
    const own = this.#firstPtsSecs();
    // Browsers round; the stream's own start is exact if the two agree.
    const isOwn = own !== null && Math.abs(firstFrameSecs - own) < ROUNDING_SECS;
    this.#offsetSecs = isOwn ? own : firstFrameSecs;
    this.#seekOffsetSecs = this.#offsetSecs;
    this.#seekNext();
    if (this.#isPlayWanted) this.play();
  }

  #seekNext(): void {
    if (this.#nextSeekSecs === null || this.#offsetSecs === null) return;
    const target = this.#nextSeekSecs + this.#seekOffsetSecs;
    this.#soughtSecs = this.#nextSeekSecs;
    this.#nextSeekSecs = null;
    this.#reportsBeforeSeek = this.#reportsMade;
    this.#video.currentTime = target;
  }

  #seeked(): void {
    if (this.#nextSeekSecs !== null) {
      this.#seekNext();
      return;
    }
    // Some browsers don't report the frame of a paused seek. Requests point to the middle of a frame, so the target time
    // finds the same frame. A report may come before this event or up to two pictures after it.
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        if (this.#video.seeking || this.#nextSeekSecs !== null) return;
        if (this.#reportsMade === this.#reportsBeforeSeek) {
          const { currentTime } = this.#video;
          this.#reportTime(currentTime - this.#seekOffsetSecs + (this.#offsetSecs ?? 0));
        }
        this.#reports.settled();
      }),
    );
  }

  #reportTime(mediaSecs: number): void {
    if (this.#offsetSecs === null || this.#events.signal.aborted) return;
    this.#reportsMade += 1;
    this.#reports.shown(mediaSecs - this.#offsetSecs);
  }
}
