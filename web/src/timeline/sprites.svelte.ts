// Thumbnails of keyframes in a few sheets, with the server's WebVTT map. Once loaded, they are drawn within
// the pointer event.
import { fetchSpriteMap, spriteAddress } from '../api/endpoints.ts';

interface Cue {
  fromSecs: number;
  sheet: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A part of a sheet: the frame shown at `secs`. */
export interface Sprite extends Omit<Cue, 'sheet' | 'fromSecs'> {
  secs: number;
  sheet: HTMLImageElement;
}

export class Sprites {
  /** Raised when a sheet arrives. */
  #arrivals = $state(0);
  #cues: Cue[] = [];
  readonly #sheets = new Map<string, HTMLImageElement>();
  readonly #id: string;
  #isAsked = false;

  constructor(id: string) {
    this.#id = id;
  }

  /** To be called when the server has them; once is enough. A failure leaves the time line without thumbnails. */
  async load(): Promise<void> {
    if (this.#isAsked) return;
    this.#isAsked = true;
    try {
      this.#cues = parseMap(await fetchSpriteMap(this.#id));
      for (const name of new Set(this.#cues.map((cue) => cue.sheet))) {
        const sheet = new Image();
        sheet.src = spriteAddress(this.#id, name);
        await sheet.decode();
        this.#sheets.set(name, sheet);
        this.#arrivals += 1;
      }
    } catch {
      this.#isAsked = false;
    }
  }

  /** The last thumbnail that is not after `secs`; `null` while its sheet is not there. */
  at(secs: number): Sprite | null {
    this.#arrivals;
    let low = 0;
    let high = this.#cues.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#cues[middle] as Cue).fromSecs <= secs) low = middle + 1;
      else high = middle;
    }
    const cue = this.#cues[Math.max(0, low - 1)];
    const sheet = cue && this.#sheets.get(cue.sheet);
    if (!cue || !sheet) return null;
    const { fromSecs, x, y, width, height } = cue;
    return { secs: fromSecs, sheet, x, y, width, height };
  }
}

/** The cues of a WebVTT map in their order; what is no cue is passed over. */
export function parseMap(text: string): Cue[] {
  const cues: Cue[] = [];
  for (const block of text.split(/\r?\n\r?\n/)) {
    const found = /^([\d:.]+) --> [\d:.]+\r?\n([^\s#]+)#xywh=(\d+),(\d+),(\d+),(\d+)/.exec(block.trim());
    if (!found) continue;
    const [, time, sheet, ...corners] = found as unknown as [string, string, string, ...string[]];
    const [x, y, width, height] = corners.map(Number) as [number, number, number, number];
    const fromSecs = time.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
    cues.push({ fromSecs, sheet, x, y, width, height });
  }
  return cues;
}
