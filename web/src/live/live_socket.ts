// A WebSocket that brings messages for as long as the page wants them. Reconnects if the connection is lost; late messages of an old
// connection are ignored. Clock and socket are injected, so tests run an hour of outages in a moment.
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

export const browserSurroundings: Surroundings = {
  open: (url) => new WebSocket(url) as unknown as Socket,
  later: (action, ms) => {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
  uneven: Math.random,
};

export interface Wishes<T> {
  url: string;
  /** A message that is understood; `null` for any other. */
  parse: (data: unknown) => T | null;
  heard: (message: T) => void;
  rule: BackOffRule;
  /** A server that is silent for so long is gone, also if the connection seems to be there. */
  silentAfterMs?: number;
  /** The connection was closed, or never came. */
  lost?: () => void;
}

export class LiveSocket<T> {
  readonly #wishes: Wishes<T>;
  readonly #surroundings: Surroundings;
  #socket: Socket | null = null;
  #cancelRetry: (() => void) | null = null;
  #cancelSilence: (() => void) | null = null;
  #failures = 0;
  isOpen = false;

  constructor(wishes: Wishes<T>, surroundings = browserSurroundings) {
    this.#wishes = wishes;
    this.#surroundings = surroundings;
    this.#connect();
  }

  close(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#drop();
  }

  #drop(): void {
    this.#cancelSilence?.();
    this.#cancelSilence = null;
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
    const socket = this.#surroundings.open(this.#wishes.url);
    this.#socket = socket;
    this.#expectMore();
    socket.onopen = () => {
      this.isOpen = true;
    };
    socket.onmessage = (event) => {
      const message = this.#wishes.parse(event.data);
      if (message === null) return;
      // Only a message proves that the server works: a proxy in between may accept and close at once.
      this.#failures = 0;
      this.#expectMore();
      this.#wishes.heard(message);
    };
    socket.onclose = () => this.#lose();
  }

  #lose(): void {
    this.#drop();
    const wait = backOffMs(this.#wishes.rule, this.#failures, this.#surroundings.uneven());
    this.#failures += 1;
    this.#cancelRetry = this.#surroundings.later(() => this.#connect(), wait);
    this.#wishes.lost?.();
  }

  #expectMore(): void {
    this.#cancelSilence?.();
    const { silentAfterMs } = this.#wishes;
    if (silentAfterMs === undefined) return;
    this.#cancelSilence = this.#surroundings.later(() => this.#lose(), silentAfterMs);
  }
}

/** A message of one of these types. */
export function parseMessage<T extends { type: string }>(
  data: unknown,
  types: readonly T['type'][],
): T | null {
  if (typeof data !== 'string') return null;
  try {
    const message = JSON.parse(data);
    return types.includes(message?.type) ? (message as T) : null;
  } catch {
    return null;
  }
}
