// One open video: the server's data about it, and the parts that live as long as it is open. While it is read or
// analysed, it is polled every two seconds, with socket updates in between; while idle it isn't
// polled.
import { fetchDetections, fetchIndex, fetchVideo } from '../api/endpoints.ts';
import { Problem } from '../api/request.ts';
import type { CountUpdate, Video } from '../api/types.ts';
import { LineBook } from '../lines/line_book.svelte.ts';
import { backOffMs } from '../live/back_off.ts';
import { isCount, openCountSocket, type Update } from '../live/count_socket.ts';
import type { LiveSocket } from '../live/live_socket.ts';
import { serverWatch } from '../live/server_watch.svelte.ts';
import { DetectionCache } from '../overlay/detections.ts';
import { momentCount } from '../overlay/moment.ts';
import { health } from '../settings/health.svelte.ts';
import { isBeingRead, isWorked } from '../sources/state_words.ts';
import { Cursor } from '../time/cursor.svelte.ts';
import { PtsTable } from '../time/pts_table.ts';
import { CountCurve } from '../timeline/counts.svelte.ts';
import { coverage } from '../timeline/coverage.ts';
import { Sprites } from '../timeline/sprites.svelte.ts';
import { type TimeView, wholeView } from '../timeline/view.ts';

const TRAIL_SECS = 3;
const ASK_AGAIN = { firstMs: 2000, longestMs: 15_000 };

export class VideoSession {
  readonly id: string;
  readonly cursor = new Cursor();
  readonly curve: CountCurve;
  readonly lines: LineBook;
  readonly detections: DetectionCache;
  readonly sprites: Sprites;
  video = $state.raw<Video | null>(null);
  news = $state.raw<CountUpdate | null>(null);
  view = $state.raw<TimeView>(wholeView(0));
  /** Why there is nothing to show: the server's words, or '' when it does not answer. */
  problem = $state<string | null>(null);
  isSilent = $state(false);
  #arrivals = $state(0);
  #socket: LiveSocket<Update> | null = null;
  #timer = 0;
  #failures = 0;
  #asksForSprites = $state(5);
  #isClosed = false;
  #knownTo = '';
  readonly #endListening: (() => void)[];

  constructor(id: string, atSecs: number | null) {
    this.id = id;
    this.curve = new CountCurve(id);
    this.lines = new LineBook(id);
    this.sprites = new Sprites(id);
    this.detections = new DetectionCache({
      fetchWindow: (from, to, signal) => fetchDetections(id, from, to, signal),
      arrived: () => {
        this.#arrivals += 1;
      },
      nowMs: () => performance.now(),
    });
    if (atSecs !== null) this.cursor.seek(atSecs);
    this.#endListening = [
      serverWatch.listen(['videos', 'jobs'], () => void this.refresh()),
      serverWatch.listen(['lines'], () => void this.#orSilent(this.lines.refresh())),
    ];
    void this.refresh();
  }

  readonly isWorking = $derived.by(() => {
    const video = this.video;
    if (!video) return true;
    if (isBeingRead(video)) return true;
    if (video.index === 'failed') return false;
    // Thumbnails follow the index within seconds, if there is space for them.
    if (!video.preview.sprites && this.#asksForSprites > 0) return true;
    return isWorked(video, health.report?.model != null);
  });

  readonly hasVideo = $derived(this.video?.index !== 'failed');

  readonly countedToSecs = $derived.by(() => {
    const run = this.video?.run;
    if (!run) return 0;
    if (run.state === 'done') return this.cursor.durationSecs;
    return Math.max(run.counted_to_secs, this.curve.counts?.counted_to_secs ?? 0);
  });

  readonly gaps = $derived(this.cursor.table?.gaps() ?? []);

  readonly coverage = $derived(
    coverage({
      durationSecs: this.cursor.durationSecs,
      countedToSecs: this.countedToSecs,
      hasVideo: this.hasVideo,
      gaps: this.gaps,
    }),
  );

  /** Detections of the frame shown: `undefined` while on their way, `null` when there are none for it. */
  readonly frame = $derived.by(() => {
    this.#arrivals;
    const shown = this.cursor.shown;
    if (!shown || shown.pts === null) return undefined;
    return this.detections.frame(shown.pts, shown.secs);
  });

  readonly trail = $derived.by(() => {
    this.#arrivals;
    const { shown, table } = this.cursor;
    if (!shown || shown.pts === null || !table) return [];
    const fromSecs = Math.max(0, shown.secs - TRAIL_SECS);
    const fromPts = table.ptsOfIndex(table.indexAt(fromSecs));
    return this.detections.between(fromPts, shown.pts, fromSecs, shown.secs);
  });

  readonly moment = $derived.by(() => {
    const { shown } = this.cursor;
    const frame = this.frame;
    const done = this.video?.run?.state === 'done';
    return momentCount({
      hasVideo: this.hasVideo,
      hasRun: this.video?.run != null,
      secs: shown?.secs ?? null,
      frame,
      countedToSecs: done ? Number.POSITIVE_INFINITY : this.detections.windowCountedTo(shown?.secs ?? 0),
    });
  });

  /** The cursor has moved, or more has been counted: have the detections around it. */
  fetchNearby(): void {
    const { shown, durationSecs } = this.cursor;
    if (!shown || !this.video?.run) return;
    this.detections.countedTo(this.countedToSecs);
    this.detections.near(shown.secs, durationSecs);
  }

  showView(view: TimeView): void {
    if (view === this.view) return;
    this.view = view;
    void this.#orSilent(this.curve.load(view));
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const end of this.#endListening) end();
    this.#socket?.close();
    this.detections.close();
  }

  async refresh(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      const video = await fetchVideo(this.id);
      if (this.#isClosed) return;
      if (video.index === 'ready') this.#asksForSprites -= 1;
      await this.#take(video);
      if (this.#isClosed) return;
      this.isSilent = false;
      this.problem = null;
      this.#failures = 0;
    } catch (error) {
      if (this.#isClosed) return;
      this.#fail(error);
    }
    if (this.problem) return;
    this.#keepListening();
    if (!this.isWorking && !this.isSilent) return;
    const wait = this.#failures > 0 ? backOffMs(ASK_AGAIN, this.#failures, Math.random()) : ASK_AGAIN.firstMs;
    this.#timer = window.setTimeout(() => void this.refresh(), wait);
  }

  #fail(error: unknown): void {
    this.#failures += 1;
    if (error instanceof Problem && error.status >= 400 && error.status < 500) {
      this.problem = error.detail;
    } else {
      this.isSilent = true;
    }
  }

  async #take(video: Video): Promise<void> {
    if (video.duration_secs !== null) this.cursor.useDuration(video.duration_secs);
    const isKnown = video.index === 'ready' || video.index === 'growing';
    if (isKnown && !this.cursor.table?.isWhole) {
      const table = new PtsTable(await fetchIndex(this.id));
      if (this.#isClosed) return;
      this.cursor.useTable(table);
    }
    if (this.view.toSecs < this.cursor.durationSecs && this.#knownTo === '') {
      this.view = wholeView(this.cursor.durationSecs);
    }
    const isChanged = this.video?.run?.state !== video.run?.state;
    const shownRun = this.video?.run?.id;
    if (shownRun !== undefined && shownRun !== video.run?.id) {
      this.detections.forget();
      this.#arrivals += 1;
    }
    this.video = video;
    if (video.preview.sprites) void this.sprites.load();
    if (isChanged && video.run?.state !== 'running') this.news = null;
    if (video.index !== 'ready') return;
    const knownTo = `${video.run?.id} ${video.run?.state} ${video.run?.counted_to_secs}`;
    if (knownTo === this.#knownTo) return;
    await Promise.all([this.lines.refresh(), video.run ? this.curve.load(this.view) : null]);
    this.#knownTo = knownTo;
  }

  #keepListening(): void {
    const state = this.video?.run?.state;
    if (state !== 'queued' && state !== 'running') {
      this.#socket?.close();
      this.#socket = null;
      return;
    }
    this.#socket ??= openCountSocket(this.id, (news) => {
      if (!isCount(news)) return;
      const isOver = news.state === 'done' || news.state === 'failed';
      this.news = news;
      if (isOver) void this.refresh();
    });
  }

  async #orSilent(work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch {
      this.isSilent = true;
    }
  }
}
