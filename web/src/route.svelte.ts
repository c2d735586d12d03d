// The current page. Hash routes: the server needs only one address, whatever path it is served under.

export type Route =
  | { page: 'sources' }
  | { page: 'video'; id: string; atSecs: number | null }
  | { page: 'camera'; id: string }
  | { page: 'queue' }
  | { page: 'settings' }
  | { page: 'missing' };

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split('?');
  if (path === '') return { page: 'sources' };
  if (path === 'queue') return { page: 'queue' };
  if (path === 'settings') return { page: 'settings' };
  const [, page, name] = /^(video|camera)\/([^/]+)$/.exec(path) ?? [];
  if (!name) return { page: 'missing' };
  const at = Number.parseFloat(new URLSearchParams(query).get('t') ?? '');
  try {
    const id = decodeURIComponent(name);
    if (page === 'camera') return { page, id };
    return { page: 'video', id, atSecs: Number.isFinite(at) ? at : null };
  } catch {
    return { page: 'missing' };
  }
}

export const cameraLink = (id: string) => `#/camera/${encodeURIComponent(id)}`;
export const videoLink = (id: string) => `#/video/${encodeURIComponent(id)}`;

/** A frame is shown from its own time on, so a link to it is rounded up. */
export function momentLink(id: string, secs: number): string {
  const t = Math.ceil(secs * 1000 - 1e-6) / 1000;
  return t > 0 ? `${videoLink(id)}?t=${t}` : videoLink(id);
}

class CurrentRoute {
  now = $state.raw<Route>(parseRoute(globalThis.location?.hash ?? ''));

  follow(): void {
    addEventListener('hashchange', () => {
      this.now = parseRoute(location.hash);
    });
  }
}

export const route = new CurrentRoute();
