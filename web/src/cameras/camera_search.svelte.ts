// A search for cameras on the server's networks: what it has found so far, and pictures of that. The password is sent once and kept nowhere.

import {
  beginDiscovery,
  enterDiscoveryCredentials,
  fetchDiscovery,
  fetchFoundPicture,
  removeDiscovery,
} from '../api/endpoints.ts';
import { isAbort, Problem } from '../api/request.ts';
import type { CameraDiscovery } from '../api/types.ts';

const ASK_AGAIN_MS = 1000;
/** Pictures at the same time: a browser has few connections to a server, and the rest of the page needs some. */
const PICTURES_AT_ONCE = 2;

export interface FoundPicture {
  /** An address of this page; null: none yet, or none at all. */
  address: string | null;
  problem: string | null;
}

export class CameraSearch {
  found = $state.raw<CameraDiscovery | null>(null);
  /** Why it could not begin or go on, in the server's words; empty: the server does not answer. */
  problem = $state<string | null>(null);
  pictures = $state<Record<string, FoundPicture>>({});
  #timer = 0;
  #isClosed = false;
  #waiting: string[] = [];
  #fetching = 0;
  readonly #ending = new AbortController();

  get isSearching(): boolean {
    return this.problem === null && (this.found === null || this.found.state === 'searching');
  }

  async begin(): Promise<void> {
    clearTimeout(this.#timer);
    this.problem = null;
    this.found = null;
    this.#forgetPictures();
    await this.#take(beginDiscovery);
  }

  /** Throws the problem: it belongs to the form. */
  async enter(user: string, password: string): Promise<void> {
    if (!this.found) return;
    clearTimeout(this.#timer);
    const found = await enterDiscoveryCredentials(this.found.id, user, password);
    this.#forgetPictures();
    this.#keep(found);
  }

  async refresh(): Promise<void> {
    const id = this.found?.id;
    if (id !== undefined) await this.#take(() => fetchDiscovery(id));
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#ending.abort();
    this.#forgetPictures();
    // If that fails, the server forgets it by itself.
    if (this.found) void removeDiscovery(this.found.id).catch(() => undefined);
  }

  async #take(ask: () => Promise<CameraDiscovery>): Promise<void> {
    try {
      const found = await ask();
      if (this.#isClosed) {
        void removeDiscovery(found.id).catch(() => undefined);
        return;
      }
      this.#keep(found);
    } catch (error) {
      if (this.#isClosed) return;
      this.problem = error instanceof Problem ? error.detail : String(error);
      // No answer at all: the server may be starting.
      if (error instanceof Problem && error.status === 0) this.#again();
    }
  }

  #keep(found: CameraDiscovery): void {
    this.found = found;
    this.problem = null;
    clearTimeout(this.#timer);
    if (found.state === 'searching') this.#again();
    for (const camera of found.cameras) {
      if (camera.state !== 'told') continue;
      for (const profile of camera.profiles) this.#want(profile.id);
    }
  }

  #again(): void {
    const next = () => void (this.found ? this.refresh() : this.begin());
    this.#timer = window.setTimeout(next, ASK_AGAIN_MS);
  }

  #want(profile: string): void {
    if (this.pictures[profile]) return;
    this.pictures[profile] = { address: null, problem: null };
    this.#waiting.push(profile);
    this.#fetchNext();
  }

  #fetchNext(): void {
    const id = this.found?.id;
    while (id !== undefined && this.#fetching < PICTURES_AT_ONCE) {
      const profile = this.#waiting.shift();
      if (profile === undefined) return;
      this.#fetching += 1;
      void this.#fetch(id, profile).finally(() => {
        this.#fetching -= 1;
        if (!this.#isClosed) this.#fetchNext();
      });
    }
  }

  async #fetch(id: string, profile: string): Promise<void> {
    try {
      const picture = await fetchFoundPicture(id, profile, this.#ending.signal);
      const isWanted = !this.#isClosed && this.found?.id === id && this.pictures[profile];
      if (isWanted) this.pictures[profile] = { address: URL.createObjectURL(picture), problem: null };
    } catch (error) {
      if (isAbort(error) || this.#isClosed) return;
      const problem = error instanceof Problem ? error.detail : String(error);
      if (this.pictures[profile]) this.pictures[profile] = { address: null, problem };
    }
  }

  #forgetPictures(): void {
    for (const { address } of Object.values(this.pictures)) if (address) URL.revokeObjectURL(address);
    this.pictures = {};
    this.#waiting = [];
  }
}
