// Uploads, one after the other. They continue while other pages are open, automatically when the
// connection comes back, and where they stopped if the same file is selected again after the page was closed.
import type { Upload as TusUpload } from 'tus-js-client';
import { address } from '../api/request.ts';

/** Tried again after so long; a farm's network may be gone for minutes, and then again whenever it comes back. */
const RETRY_AFTER_MS = [0, 1000, 3000, 5000, 10_000, 20_000, 30_000, 60_000, 60_000, 60_000];

/** One that the server did not answer is tried again after so long, for as long as the page is open. */
const RETRY_FAILED_AFTER_MS = 60_000;

export type UploadState = 'waiting' | 'sending' | 'paused' | 'failed';

export class UploadItem {
  readonly file: File;
  state = $state<UploadState>('waiting');
  sentBytes = $state(0);
  /** The server's words, or '' when it does not answer. */
  problem = $state<string | null>(null);
  upload: TusUpload | null = null;
  preparing: Promise<TusUpload> | null = null;
  /** Raised whenever it is begun, so that one begun twice is sent once. */
  turn = 0;

  constructor(file: File) {
    this.file = file;
  }
}

class Uploads {
  items = $state.raw<readonly UploadItem[]>([]);
  /** Raised with every file that has become a video. */
  finished = $state(0);

  constructor() {
    window.addEventListener('beforeunload', (event) => {
      if (this.items.some((item) => item.state === 'sending')) event.preventDefault();
    });
    window.addEventListener('online', () => {
      for (const item of this.items) this.#tryAgain(item);
    });
  }

  add(files: Iterable<File>): void {
    const isSame = (file: File) => (item: UploadItem) =>
      item.file.name === file.name &&
      item.file.size === file.size &&
      item.file.lastModified === file.lastModified;
    const fresh = [...files].filter((file) => !this.items.some(isSame(file)));
    this.items = [...this.items, ...fresh.map((file) => new UploadItem(file))];
    this.#startNext();
  }

  pause(item: UploadItem): void {
    item.state = 'paused';
    // The sent bytes are already on the server; there is nothing to wait for.
    void item.upload?.abort().catch(() => undefined);
    this.#startNext();
  }

  resume(item: UploadItem): void {
    item.state = 'waiting';
    item.problem = null;
    this.#startNext();
  }

  remove(item: UploadItem): void {
    this.items = this.items.filter((other) => other !== item);
    // The server deletes it too; if that fails, it does so after a week.
    void item.upload?.abort(true).catch(() => undefined);
    this.#startNext();
  }

  #startNext(): void {
    if (this.items.some((item) => item.state === 'sending')) return;
    const next = this.items.find((item) => item.state === 'waiting');
    if (!next) return;
    next.state = 'sending';
    void this.#send(next);
  }

  async #send(item: UploadItem): Promise<void> {
    item.turn += 1;
    const { turn } = item;
    try {
      item.preparing ??= this.#prepare(item);
      item.upload = await item.preparing;
    } catch {
      item.preparing = null;
      if (turn === item.turn) this.#fail(item, '');
      return;
    }
    if (turn === item.turn && item.state === 'sending' && this.items.includes(item)) item.upload.start();
  }

  async #prepare(item: UploadItem): Promise<TusUpload> {
    const { Upload } = await import('tus-js-client');
    const upload: TusUpload = new Upload(item.file, {
      endpoint: address('api/uploads'),
      metadata: { filename: item.file.name },
      retryDelays: RETRY_AFTER_MS,
      removeFingerprintOnSuccess: true,
      onProgress: (sent) => {
        item.sentBytes = sent;
      },
      onSuccess: () => {
        this.items = this.items.filter((other) => other !== item);
        this.finished += 1;
        this.#startNext();
      },
      // Also if the browser reports no network: it comes back.
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        return status === 0 || status >= 500 || status === 409 || status === 423;
      },
      onError: (error) => {
        const answer = 'originalResponse' in error ? error.originalResponse : null;
        this.#fail(item, answer ? detail(answer.getBody()) : '');
      },
    });
    const [previous] = await upload.findPreviousUploads();
    if (previous) upload.resumeFromPreviousUpload(previous);
    return upload;
  }

  #fail(item: UploadItem, problem: string): void {
    if (item.state === 'sending') item.state = 'failed';
    item.problem = problem;
    if (problem === '') window.setTimeout(() => this.#tryAgain(item), RETRY_FAILED_AFTER_MS);
    this.#startNext();
  }

  /** One that failed for want of an answer, and is still wanted. */
  #tryAgain(item: UploadItem): void {
    if (item.state === 'failed' && item.problem === '' && this.items.includes(item)) this.resume(item);
  }
}

/** The sentence of a problem document. */
function detail(body: string): string {
  try {
    const problem = JSON.parse(body);
    return typeof problem.detail === 'string' ? problem.detail : '';
  } catch {
    return '';
  }
}

/** Of the whole page: an upload goes on wherever its reader looks. */
export const uploads = new Uploads();
