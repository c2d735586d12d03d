// HTTP Live Streaming in a <video>. hls.js is loaded only if needed. A browser without Media Source Extensions that plays
// HLS natively (an iPhone) gets the address.
import type { ScreenReports } from '../time/cursor.svelte.ts';

const PLAYLIST = 'application/vnd.apple.mpegurl';
/** What is kept on both sides of the moment shown: a video of hours must not fill a phone's memory. */
const BUFFER_SECS = { ahead: 15, behind: 15 };

function mediaSource(): Pick<typeof MediaSource, 'isTypeSupported'> | null {
  const own = window as { ManagedMediaSource?: typeof MediaSource; MediaSource?: typeof MediaSource };
  return own.ManagedMediaSource ?? own.MediaSource ?? null;
}

/** Whether the browser plays pieces of this media type. */
export function canStream(mediaType: string): boolean {
  const source = mediaSource();
  if (source) return source.isTypeSupported(mediaType);
  const video = document.createElement('video');
  return video.canPlayType(PLAYLIST) !== '' && video.canPlayType(mediaType) !== '';
}

export class Stream {
  #isClosed = false;
  #destroy: (() => void) | null = null;

  constructor(video: HTMLVideoElement, address: string, failed: ScreenReports['failed']) {
    if (mediaSource()) void this.#play(video, address, failed);
    else video.src = address;
  }

  close(): void {
    this.#isClosed = true;
    this.#destroy?.();
  }

  async #play(video: HTMLVideoElement, address: string, failed: ScreenReports['failed']): Promise<void> {
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
    hls.on(Hls.Events.ERROR, (_event, error) => {
      if (!error.fatal) return;
      const status = error.response?.code ?? 0;
      // The server would refuse a retry too.
      const isGone = error.type === Hls.ErrorTypes.NETWORK_ERROR && (status < 400 || status >= 500);
      failed(isGone ? 'network' : 'format');
    });
    hls.loadSource(address);
    hls.attachMedia(video);
  }
}
