// A camera's video by WebRTC, as WHEP describes it: one offer, one answer, the camera's own frames. It says when it plays and when it has failed; it
// doesn't try again by itself.

/** What a session tells, by WebRTC or as fragments. */
export interface VideoListener {
  /** The first frame is shown. */
  playing(): void;
  /** It has ended for good. */
  failed(): void;
  /** A frame is shown; its RTP timestamp: the low 32 bits of its pts. */
  frame(rtp: number): void;
  /** How late frames are shown after they arrived, seconds; `isTcp`: whether they come over TCP, if that may be either. */
  late(secs: number, isTcp: boolean | null): void;
}

/** Without a frame for so long, it has stalled. */
const STALL_MS = 6000;
const WATCH_MS = 1000;
/** One that shows frames later than this is begun anew: it would stay behind for ever. */
const MOST_LATE_SECS = 2;

export class WhepSession {
  readonly #connection = new RTCPeerConnection();
  readonly #video: HTMLVideoElement;
  readonly #listener: VideoListener;
  #lastFrameMs = performance.now();
  #hasPlayed = false;
  #isOver = false;
  #timer = 0;
  #frameRequest = 0;
  #delays = { sum: 0, frames: 0 };

  constructor(url: string, video: HTMLVideoElement, listener: VideoListener) {
    this.#video = video;
    this.#listener = listener;
    this.#connection.addTransceiver('video', { direction: 'recvonly' });
    this.#connection.ontrack = ({ track, streams }) => {
      video.srcObject = streams[0] ?? new MediaStream([track]);
    };
    this.#connection.onconnectionstatechange = () => {
      if (['failed', 'closed'].includes(this.#connection.connectionState)) this.#fail();
    };
    this.#awaitFrame();
    this.#timer = window.setInterval(() => void this.#watch(), WATCH_MS);
    this.#connect(url).catch(() => this.#fail());
  }

  async #connect(url: string): Promise<void> {
    await this.#connection.setLocalDescription(await this.#connection.createOffer());
    const headers = { 'Content-Type': 'application/sdp' };
    const body = this.#connection.localDescription?.sdp ?? '';
    const answer = await fetch(url, { method: 'POST', headers, body });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const sdp = await answer.text();
    if (this.#isOver) return;
    await this.#connection.setRemoteDescription({ type: 'answer', sdp });
  }

  #awaitFrame(): void {
    this.#frameRequest = this.#video.requestVideoFrameCallback((_now, frame) => {
      if (this.#isOver) return;
      this.#lastFrameMs = performance.now();
      if (!this.#hasPlayed) this.#listener.playing();
      this.#hasPlayed = true;
      if (frame.rtpTimestamp !== undefined) this.#listener.frame(frame.rtpTimestamp);
      this.#awaitFrame();
    });
  }

  async #watch(): Promise<void> {
    // A page in the background shows nothing and is not behind.
    if (document.hidden) {
      this.#lastFrameMs = performance.now();
      return;
    }
    if (performance.now() - this.#lastFrameMs > STALL_MS) return this.#fail();
    const reports = await this.#connection.getStats();
    // It may have ended meanwhile.
    if (this.#isOver) return;
    for (const report of reports.values()) {
      if (report.type !== 'inbound-rtp' || report.kind !== 'video') continue;
      const { jitterBufferDelay: sum = 0, jitterBufferEmittedCount: frames = 0 } = report;
      const since = { sum: sum - this.#delays.sum, frames: frames - this.#delays.frames };
      this.#delays = { sum, frames };
      if (since.frames <= 0) continue;
      const secs = since.sum / since.frames;
      if (secs > MOST_LATE_SECS) return this.#fail();
      this.#listener.late(secs, isOverTcp(reports));
    }
  }

  #fail(): void {
    if (this.#isOver) return;
    this.close();
    this.#listener.failed();
  }

  /** Ends it. Nothing is told any more. The connection tells the server that it is over, so its session needs no DELETE. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#video.cancelVideoFrameCallback?.(this.#frameRequest);
    this.#connection.close();
    this.#video.srcObject = null;
  }
}

/** By the pair of addresses that is used. */
function isOverTcp(reports: RTCStatsReport): boolean {
  const all = [...reports.values()];
  const transport = all.find((report) => report.type === 'transport');
  const isUsed = (pair: { id: string; nominated?: boolean; state?: string }) =>
    transport?.selectedCandidatePairId === pair.id || (pair.nominated === true && pair.state === 'succeeded');
  const pair = all.find((report) => report.type === 'candidate-pair' && isUsed(report));
  return all.find((report) => report.id === pair?.remoteCandidateId)?.protocol === 'tcp';
}

/** Whether this browser can show cameras by WebRTC, and tells which frame it shows. */
export const takesWhep = () =>
  'RTCPeerConnection' in globalThis && 'requestVideoFrameCallback' in HTMLVideoElement.prototype;
