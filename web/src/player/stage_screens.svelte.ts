// Selects the screen and receives its reports: the browser's <video>, a still picture over it while scrubbing or while the video
// is on another frame, or single pictures from the server. The cursor moves the screens; what they show moves the cursor.
import { untrack } from 'svelte';
import { fileAddress, pictureAddress, playlistAddress, previewAddress } from '../api/endpoints.ts';
import type { Size } from '../overlay/geometry.ts';
import type { ScreenReports } from '../time/cursor.svelte.ts';
import { PictureScreen, type PictureSource } from './picture_screen.ts';
import type { Way } from './playable.ts';
import type { VideoSession } from './session.svelte.ts';
import { Stream } from './stream.ts';
import { VideoScreen } from './video_screen.ts';

/** How long to wait before a video that failed to load is loaded again. */
const RELOAD_AFTER_MS = 3000;

const ignore = () => undefined;

/** What the screens are told of: the video and how it is played may change while they live. */
export interface StageInputs {
  videoId: () => string;
  way: () => Way;
  /** The browser does not take it this way after all. */
  refused: () => void;
}

export class StageScreens {
  /** The shape that the picture turned out to have; its pixels need not be square. */
  learnedShape = $state.raw<Size | null>(null);
  /** Why no picture comes; empty where the server does not answer. */
  pictureProblem = $state<string | null>(null);
  /** Counts attempts to load the video. */
  loads = $state(0);
  /** A picture from the server lies over the video. */
  isStill = $state(false);

  #still: PictureScreen | null = null;
  readonly #session: VideoSession;
  readonly #inputs: StageInputs;
  readonly #source: PictureSource;
  readonly #reports: ScreenReports;

  constructor(session: VideoSession, inputs: StageInputs) {
    this.#session = session;
    this.#inputs = inputs;
    this.#source = {
      sprite: (secs) => untrack(() => session.sprites.at(secs)),
      smallAddress: (pts) => previewAddress(inputs.videoId(), pts),
      wholeAddress: (secs) => pictureAddress(inputs.videoId(), secs),
    };
    this.#reports = this.#videoReports();
  }

  /** Covers the video with the exact frame where it came to rest on another one. */
  coverMissedFrame(): void {
    const { cursor } = this.#session;
    if (cursor.missedIndex !== null && cursor.table)
      this.#still?.seek(cursor.table.middleSecs(cursor.missedIndex));
    else if (!untrack(() => cursor.scrubbing || this.isStill)) this.#still?.forget();
  }

  /** Attaches the <video> element; gives what ends it. */
  attachVideo(element: HTMLVideoElement): () => void {
    const { cursor } = this.#session;
    const screen = new VideoScreen(element, this.#reports, () => cursor.table?.firstPtsSecs ?? null);
    const isStream = this.#inputs.way() === 'stream';
    const id = this.#inputs.videoId();
    const stream = isStream ? new Stream(element, playlistAddress(id), this.#reports.failed) : null;
    if (!stream) element.src = fileAddress(id);
    cursor.attach(screen);
    const learnShape = () => {
      if (element.videoWidth) this.learnedShape = { width: element.videoWidth, height: element.videoHeight };
    };
    element.addEventListener('loadedmetadata', learnShape);
    element.addEventListener('resize', learnShape);
    return () => {
      cursor.detach(screen);
      stream?.close();
      screen.close();
    };
  }

  /** Attaches the canvas over the video; gives what ends it. */
  attachStill(element: HTMLCanvasElement): (() => void) | undefined {
    const { cursor } = this.#session;
    const table = cursor.table;
    if (!table) return undefined;
    const reports = {
      shown: (secs: number) => {
        this.isStill = true;
        if (cursor.scrubbing) cursor.showAt(secs);
        else cursor.coverAt(secs);
      },
      settled: () => cursor.settled(),
      playing: ignore,
      waiting: ignore,
      duration: ignore,
      failed: ignore,
      // Without it the video shows what it has.
      pictureFailed: (detail: string | null) => {
        if (detail !== null && !cursor.scrubbing) this.isStill = false;
      },
    };
    const screen = new PictureScreen(element, reports, () => cursor.table ?? table, this.#source);
    this.#still = screen;
    cursor.attachScrub(screen);
    return () => {
      cursor.detachScrub(screen);
      screen.close();
      this.#still = null;
      this.isStill = false;
    };
  }

  /** Attaches the canvas that shows single pictures where nothing plays; gives what ends it. */
  attachPictures(element: HTMLCanvasElement): (() => void) | undefined {
    const { cursor } = this.#session;
    const table = cursor.table;
    if (!table) return undefined;
    const reports = {
      ...this.#reports,
      pictureFailed: (detail: string | null) => {
        this.pictureProblem = detail;
      },
    };
    const screen = new PictureScreen(element, reports, () => cursor.table ?? table, this.#source);
    cursor.attach(screen);
    return () => {
      cursor.detach(screen);
      screen.close();
    };
  }

  #videoReports(): ScreenReports {
    const { cursor } = this.#session;
    return {
      shown: (secs) => {
        // Frames that the video passes on its way to the target stay covered.
        if (cursor.scrubbing || (this.isStill && !cursor.isWanted(secs))) return;
        // An earlier picture may still be in flight.
        if (cursor.missedIndex === null) this.#still?.forget();
        this.isStill = false;
        cursor.showAt(secs);
      },
      settled: () => {
        if (!cursor.scrubbing) cursor.settled();
      },
      playing: (playing) => {
        cursor.playing = playing;
      },
      waiting: (waiting) => {
        cursor.waiting = waiting;
      },
      duration: (secs) => cursor.useDuration(secs),
      failed: (reason) => {
        if (reason === 'format') this.#inputs.refused();
        else setTimeout(() => (this.loads += 1), RELOAD_AFTER_MS);
      },
    };
  }
}
