// All requests go through here. Addresses are relative to the document, so the page works under any sub-path. Every failure
// becomes a `Problem`, whose `detail` is shown to the user.

export type Query = Record<string, string | number | boolean>;

/** What went wrong, in the server's words. `status` 0: no answer came at all, and there are no words. */
export class Problem extends Error {
  readonly status: number;
  readonly detail: string;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
    this.detail = detail;
  }
}

export function address(path: string, query: Query = {}): string {
  const url = new URL(path, document.baseURI);
  url.hash = '';
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  return url.href;
}

export function socketAddress(path: string, query: Query): string {
  return address(path, query).replace(/^http/, 'ws');
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

export async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Problem(0, '');
  }
  if (!response.ok) throw new Problem(response.status, await problemDetail(response));
  return response;
}

export async function askJson<T>(url: string, signal?: AbortSignal): Promise<T> {
  const response = await ask(url, signal ? { signal } : {});
  return (await response.json()) as T;
}

/** A page of a list, and the cursor of the page that follows. */
export interface ListPage<T> {
  items: T[];
  total: number;
  next: string | null;
}

/** The server names the next page in the header `Link`, and how many there are in `X-Total-Count`. */
export async function askPage<T>(url: string): Promise<ListPage<T>> {
  const response = await ask(url);
  const items = (await response.json()) as T[];
  const total = Number(response.headers.get('x-total-count') ?? items.length);
  return { items, total, next: nextCursor(response.headers.get('link')) };
}

export function nextCursor(link: string | null): string | null {
  const next = /<[^>]*[?&]cursor=([^&>]+)[^>]*>;\s*rel="next"/.exec(link ?? '');
  return next?.[1] ? decodeURIComponent(next[1]) : null;
}

export async function sendJson<T>(method: 'POST' | 'PUT', url: string, body: unknown): Promise<T> {
  const headers = { 'content-type': 'application/json' };
  const response = await ask(url, { method, headers, body: JSON.stringify(body) });
  return (await response.json()) as T;
}

async function problemDetail(response: Response): Promise<string> {
  try {
    const body = await response.json();
    return body.detail || body.title || `${response.status}`;
  } catch {
    return `${response.status} ${response.statusText}`.trim();
  }
}
