// Frames of a live video that wait for their boxes. The detector's answer comes a little after the frame; drawn over the frame that is shown by then,
// a box would trail its animal. The browser's own delay (jitterBufferTarget) doesn't hold after a start from a cached keyframe, so copies wait here.

/** 95 of 100 boxes arrive within 125 ms of their frame. */
export const WAIT_MS = 160;
/** At 60 frames a second still enough. */
const MOST_FRAMES = 16;

export interface Waiting<Picture> {
  rtp: number;
  picture: Picture;
  sinceMs: number;
}

export class DelayedFrames<Picture> {
  #waiting: Waiting<Picture>[] = [];
  readonly #drop: (picture: Picture) => void;

  /** `drop` gives back what a picture holds. */
  constructor(drop: (picture: Picture) => void) {
    this.#drop = drop;
  }

  /** Takes a frame, and gives the newest one that has waited long enough. Who takes that must drop it. */
  next(frame: Waiting<Picture>): Waiting<Picture> | null {
    this.#waiting.push(frame);
    let due: Waiting<Picture> | null = null;
    const isDue = (first: Waiting<Picture> | undefined) =>
      first !== undefined && (frame.sinceMs - first.sinceMs >= WAIT_MS || this.#waiting.length > MOST_FRAMES);
    while (isDue(this.#waiting[0])) {
      if (due) this.#drop(due.picture);
      due = this.#waiting.shift() as Waiting<Picture>;
    }
    return due;
  }

  clear(): void {
    for (const { picture } of this.#waiting) this.#drop(picture);
    this.#waiting = [];
  }
}
