// The lines of one video and their crossings. A line changes here only when the server has confirmed the change;
// until then the page shows it as `pending`, and reverts it if the server refuses.
import { changeLine, createLine, deleteLine, fetchCrossings, fetchLines } from '../api/endpoints.ts';
import type { LineEnds } from '../api/narrowed.ts';
import { Problem } from '../api/request.ts';
import type { Crossing, Line, LineDifference, Scope } from '../api/types.ts';
import { rounded } from './line_geometry.ts';

export class LineBook {
  lines = $state.raw<Line[]>([]);
  crossings = $state.raw<Crossing[]>([]);
  /** Wishes under way, by line id; 'new' for one being created. */
  pending = $state.raw<ReadonlyMap<string, LineEnds>>(new Map());
  /** The server's refusal of the last wish. */
  refusal = $state<string | null>(null);
  selected = $state<string | null>(null);
  /** What moving a line last has changed, and which line that was. */
  difference = $state.raw<{ line: string; found: LineDifference } | null>(null);
  /** What the next line is drawn for. */
  scope = $state<Scope>('source');
  /** The reader is drawing a new line on the picture. */
  isDrawing = $state(false);
  hasFirstEnd = $state(false);
  readonly #video: string;

  constructor(video: string) {
    this.#video = video;
  }

  async refresh(): Promise<void> {
    const [lines, crossings] = await Promise.all([fetchLines(this.#video), fetchCrossings(this.#video)]);
    this.lines = lines;
    this.crossings = crossings;
  }

  /** The first name of the pattern that no line bears yet. */
  freeName(pattern: (number: number) => string): string {
    const taken = new Set(this.lines.map((line) => line.name));
    let number = 1;
    while (taken.has(pattern(number))) number += 1;
    return pattern(number);
  }

  create(name: string, ends: LineEnds): Promise<boolean> {
    return this.#wish('new', ends, async () => {
      const line = await createLine(this.#video, this.scope, name, rounded(ends));
      this.lines = [...this.lines.filter((other) => other.id !== line.id), line];
      this.selected = line.id;
    });
  }

  change(line: Line, name: string, ends: LineEnds): Promise<boolean> {
    return this.#wish(line.id, ends, async () => {
      const { difference, ...changed } = await changeLine(line.id, this.#video, name, rounded(ends));
      if (difference) this.difference = { line: line.id, found: difference };
      this.lines = this.lines.map((other) => (other.id === line.id ? changed : other));
    });
  }

  delete(line: Line): Promise<boolean> {
    return this.#wish(line.id, line, async () => {
      await deleteLine(line.id);
      this.lines = this.lines.filter((other) => other.id !== line.id);
      if (this.difference?.line === line.id) this.difference = null;
    });
  }

  async #wish(id: string, ends: LineEnds, ask: () => Promise<void>): Promise<boolean> {
    this.refusal = null;
    this.#mark(id, { x1: ends.x1, y1: ends.y1, x2: ends.x2, y2: ends.y2 });
    try {
      await ask();
      this.crossings = await fetchCrossings(this.#video);
      return true;
    } catch (error) {
      this.refusal = error instanceof Problem ? error.detail : String(error);
      return false;
    } finally {
      this.#mark(id, null);
    }
  }

  #mark(id: string, ends: LineEnds | null): void {
    const pending = new Map(this.pending);
    if (ends) pending.set(id, ends);
    else pending.delete(id);
    this.pending = pending;
  }
}
