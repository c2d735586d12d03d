// HTTP Live Streaming in a <video>, by hls.js, which is loaded only if needed. Browsers that play HLS themselves are not left to it: they may
// seek to other frames than were asked for. Without Media Source
// Extensions (an iPhone before iOS 17.1) single pictures are shown.
import type { ScreenReports } from '../time/cursor.svelte.ts';

/** What is kept on both sides of the moment shown: a video of hours must not fill a phone's memory. */
const BUFFER_SECS = { ahead: 15, behind: 15 };

/** Of each piece. A browser that keeps less of it has lost frames: WebKitGTK does with GStreamer's h264parse (plugins-bad). */
const LEAST_COVERED = 0.6;

/** How much of a stretch of time is buffered. */
export function coveredSecs(
  buffered: Pick<TimeRanges, 'length' | 'start' | 'end'>,
  from: number,
  to: number,
): number {
  let covered = 0;
  for (let range = 0; range < buffered.length; range += 1)
    covered += Math.max(0, Math.min(to, buffered.end(range)) - Math.max(from, buffered.start(range)));
  return covered;
}

function mediaSource(): Pick<typeof MediaSource, 'isTypeSupported'> | null {
  const own = window as { ManagedMediaSource?: typeof MediaSource; MediaSource?: typeof MediaSource };
  return own.ManagedMediaSource ?? own.MediaSource ?? null;
}

/** Whether the browser plays pieces of this media type. */
export function canStream(mediaType: string): boolean {
  return mediaSource()?.isTypeSupported(mediaType) ?? false;
}

export class Stream {
  #isClosed = false;
  #destroy: (() => void) | null = null;
  #playingDate: (() => Date | null) | null = null;

  /** `startDateMs`: where playback starts, in a playlist with times of day. */
  constructor(
    video: HTMLVideoElement,
    address: string,
    failed: ScreenReports['failed'],
    { startDateMs = null }: { startDateMs?: number | null } = {},
  ) {
    void this.#play(video, address, failed, startDateMs);
  }

  /** The time of day of what is shown; null: not known yet, or the playlist has none. */
  playingDateMs(): number | null {
    return this.#playingDate?.()?.getTime() ?? null;
  }

  close(): void {
    this.#isClosed = true;
    this.#destroy?.();
  }

  async #play(
    video: HTMLVideoElement,
    address: string,
    failed: ScreenReports['failed'],
    startDateMs: number | null,
  ): Promise<void> {
    const loaded = await import('hls.js/light').catch(() => null);
    if (this.#isClosed) return;
    if (!loaded) {
      failed('network');
      return;
    }
    const Hls = loaded.default;
    const hls = new Hls({
      enableWorker: false,
      startPosition: 0,
      maxBufferLength: BUFFER_SECS.ahead,
      backBufferLength: BUFFER_SECS.behind,
    });
    this.#destroy = () => hls.destroy();
    this.#playingDate = () => hls.playingDate;
    if (startDateMs !== null) {
      hls.once(Hls.Events.LEVEL_LOADED, (_event, { details }) => {
        // The first piece begins with the keyframe before it.
        const first = details.fragments[0]?.programDateTime;
        const intoSecs = first ? (startDateMs - first) / 1000 : 0;
        if (intoSecs > 0) video.currentTime = intoSecs;
      });
    }
    hls.on(Hls.Events.ERROR, (_event, error) => {
      if (!error.fatal) return;
      const status = error.response?.code ?? 0;
      // The server would refuse a retry too.
      const isGone = error.type === Hls.ErrorTypes.NETWORK_ERROR && (status < 400 || status >= 500);
      failed(isGone ? 'network' : 'format');
    });
    hls.on(Hls.Events.FRAG_BUFFERED, (_event, { frag }) => {
      // Seeks into what is missing would never end.
      if (coveredSecs(video.buffered, frag.start, frag.end) < LEAST_COVERED * (frag.end - frag.start))
        failed('format');
    });
    hls.loadSource(address);
    hls.attachMedia(video);
  }
}
