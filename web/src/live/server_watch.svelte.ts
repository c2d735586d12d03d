// Whether the server is there, and what has changed on it: one socket for the whole page, so that lists show other people's changes
// and a dead server without being asked again and again.
import { fetchHealth } from '../api/endpoints.ts';
import { socketAddress } from '../api/request.ts';
import type { Changes, Topic } from '../api/types.ts';
import { browserSurroundings, LiveSocket, parseMessage, type Surroundings } from './live_socket.ts';

/** The server says something every two seconds. */
const SILENT_AFTER_MS = 4500;
const RULE = { firstMs: 500, longestMs: 4000 };

interface Listener {
  topics: readonly Topic[];
  changed: () => void;
}

export class ServerWatch {
  isSilent = $state(false);
  #listeners: Listener[] = [];
  #socket: LiveSocket<Changes> | null = null;
  #missed = false;
  readonly #isThere: () => Promise<boolean>;

  /** `isThere` asks without the socket. */
  constructor(isThere: () => Promise<boolean>) {
    this.#isThere = isThere;
  }

  start(surroundings: Surroundings = browserSurroundings): void {
    this.#socket ??= new LiveSocket<Changes>(
      {
        url: socketAddress('ws/changes', {}),
        parse: (data) => parseMessage<Changes>(data, ['changes']),
        heard: ({ topics }) => this.#hear(topics),
        rule: RULE,
        silentAfterMs: SILENT_AFTER_MS,
        lost: () => void this.#ask(),
      },
      surroundings,
    );
  }

  /** Calls `changed` after a change of one of these topics, and when the server is there again. Returns how to end that. */
  listen(topics: readonly Topic[], changed: () => void): () => void {
    const listener = { topics, changed };
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  #hear(topics: readonly Topic[]): void {
    const isBack = this.#missed;
    this.#missed = false;
    this.isSilent = false;
    this.#tell(({ topics: wanted }) => isBack || wanted.some((topic) => topics.includes(topic)));
  }

  /** The socket is lost. A proxy may pass on requests only: then what is shown is asked for again with each attempt. */
  async #ask(): Promise<void> {
    this.#missed = true;
    const isThere = await this.#isThere();
    // It may have come back in between.
    if (!this.#missed) return;
    this.isSilent = !isThere;
    if (isThere) this.#tell(() => true);
  }

  #tell(isMeant: (listener: Listener) => boolean): void {
    if (document.hidden) return;
    for (const listener of this.#listeners) if (isMeant(listener)) listener.changed();
  }
}

async function answersRequests(): Promise<boolean> {
  try {
    await fetchHealth();
    return true;
  } catch {
    return false;
  }
}

export const serverWatch = new ServerWatch(answersRequests);
