// Live updates of one video during analysis, or of a camera. Reconnects if the connection is lost; late messages of an old
// connection are ignored. Clock and socket are injected, so tests run an hour of outages in a moment.
import type { BoxesUpdate, CountUpdate } from '../api/types.ts';
import { type BackOffRule, backOffMs } from './back_off.ts';

export interface Socket {
  onopen: (() => void) | null;
  onclose: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  close(): void;
}

export interface Surroundings {
  open(url: string): Socket;
  later(action: () => void, ms: number): () => void;
  uneven(): number;
}

const RULE: BackOffRule = { firstMs: 1000, longestMs: 30_000 };

export const browserSurroundings: Surroundings = {
  open: (url) => new WebSocket(url) as unknown as Socket,
  later: (action, ms) => {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
  uneven: Math.random,
};

export type Update = CountUpdate | BoxesUpdate;

export const isCount = (update: Update): update is CountUpdate => update.type === 'count_update';

export class CountSocket {
  readonly #url: string;
  readonly #heard: (update: Update) => void;
  readonly #surroundings: Surroundings;
  #socket: Socket | null = null;
  #cancelRetry: (() => void) | null = null;
  #failures = 0;
  isOpen = false;

  constructor(url: string, heard: (update: Update) => void, surroundings = browserSurroundings) {
    this.#url = url;
    this.#heard = heard;
    this.#surroundings = surroundings;
    this.#connect();
  }

  close(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#drop();
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.isOpen = false;
    if (!socket) return;
    socket.onopen = null;
    socket.onclose = null;
    socket.onmessage = null;
    socket.close();
  }

  #connect(): void {
    const socket = this.#surroundings.open(this.#url);
    this.#socket = socket;
    socket.onopen = () => {
      this.isOpen = true;
    };
    socket.onmessage = (event) => {
      const update = parseUpdate(event.data);
      if (!update) return;
      // Only a message proves that the server works: a proxy in between may accept and close at once.
      this.#failures = 0;
      this.#heard(update);
    };
    socket.onclose = () => {
      this.#drop();
      const wait = backOffMs(RULE, this.#failures, this.#surroundings.uneven());
      this.#failures += 1;
      this.#cancelRetry = this.#surroundings.later(() => this.#connect(), wait);
    };
  }
}

export function parseUpdate(data: unknown): Update | null {
  if (typeof data !== 'string') return null;
  try {
    const message = JSON.parse(data);
    return ['count_update', 'boxes'].includes(message?.type) ? (message as Update) : null;
  } catch {
    return null;
  }
}
