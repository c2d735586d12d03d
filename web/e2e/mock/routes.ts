// The mock server: the built page from disk under any sub-path, and the API from a `World`. It opens no port; Playwright
// intercepts the requests of the browser.

import { existsSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page, Route, WebSocketRoute } from '@playwright/test';
import type { JobWish } from '../../src/api/narrowed.ts';
import type { Adaptation, Camera, Topic } from '../../src/api/types.ts';
import { checkAnswer } from './contract.ts';
import { filmPath, streamPath } from './film.ts';
import { framePicture, SPRITE, spriteSheet } from './picture.ts';
import { CAMERA, NOT_ADAPTED, type World } from './world.ts';

const DIST = fileURLToPath(new URL('../../dist/', import.meta.url));
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
};

/** A host name without TLS, as on a farm's network: code that needs a secure context fails here. */
export const HOST = 'http://pigweight.test';

export async function serve(page: Page, world: World, base: string): Promise<void> {
  await page.route(`${HOST}${base}**`, (route) => answer(route, world, base));
  // The made-up world has no MP4 of cameras either.
  await page.routeWebSocket(/\/ws\/cameras\//, (socket) => socket.close());
  await page.routeWebSocket(/\/ws\/changes$/, (socket) => tellChanges(page, socket, world));
  // A video's socket says nothing: what it would tell is asked for as well.
  await page.routeWebSocket(/\/ws\/count\?/, (socket) => {
    for (const update of world.updates) socket.send(JSON.stringify(update));
  });
}

/** As the server does: at once, after each change, and every two seconds. */
function tellChanges(page: Page, socket: WebSocketRoute, world: World): void {
  const tell = (topics: Topic[]) => {
    if (!world.isGone) socket.send(JSON.stringify({ type: 'changes', topics }));
  };
  const timer = setInterval(() => tell([]), 2000);
  const end = () => {
    clearInterval(timer);
    world.watchers.delete(tell);
  };
  socket.onClose(end);
  page.once('close', end);
  world.watchers.add(tell);
  tell([]);
}

async function answer(route: Route, world: World, base: string): Promise<void> {
  const url = new URL(route.request().url());
  const path = url.pathname.slice(base.length);
  world.requests.push(`${route.request().method()} ${path}${url.search}`);
  if (!path.startsWith('api/')) return answerFile(route, path || 'index.html');
  await world.gate;
  if (world.isGone) return route.abort('connectionrefused');
  try {
    await answerApi(route, world, path.slice(4).split('/').map(decodeURIComponent), url.searchParams);
  } catch (error) {
    // A request that the page has cancelled cannot be answered; any other failure is a fault of the test.
    if (!/already handled|closed|Invalid InterceptionId/.test(String(error))) throw error;
  }
}

function answerFile(route: Route, path: string): Promise<void> {
  const file = join(DIST, path);
  if (!file.startsWith(DIST) || !existsSync(file)) return route.fulfill({ status: 404 });
  return route.fulfill({ body: readFileSync(file), contentType: TYPES[extname(file)] ?? 'text/plain' });
}

function json(route: Route, value: unknown, status = 200): Promise<void> {
  const request = route.request();
  const path = new URL(request.url()).pathname;
  checkAnswer(request.method(), path.slice(path.indexOf('/api/')), status, value);
  return route.fulfill({ status, json: value });
}

function problem(route: Route, status: number, detail: string): Promise<void> {
  const body = JSON.stringify({ type: 'about:blank', title: 'Refused', status, detail });
  return route.fulfill({ status, contentType: 'application/problem+json', body });
}

async function answerApi(route: Route, world: World, path: string[], query: URLSearchParams): Promise<void> {
  const [noun, id = '', part] = path;
  if (noun === 'health') return json(route, world.health);
  if (noun === 'jobs') return answerJobs(route, world, id, part);
  if (noun === 'lines') return answerLines(route, world, id, query);
  if (noun === 'video_file' && id === 'stream_hls') return answerStream(route, part ?? '', path[3]);
  if (noun === 'video_file' && id === 'count_at_time') return json(route, world.countAtTime());
  if (noun === 'video_file') return answerPicture(route, world, query);
  if (noun === 'cameras' && id === 'discoveries') return answerDiscoveries(route, world, path.slice(2));
  if (noun === 'cameras') return answerCameras(route, world, id, part, query);
  if (noun === 'sources' && part === 'adaptation') return answerAdaptation(route, world);
  if (noun === 'sources') return answerSource(route, world, id);
  if (noun !== 'videos') return problem(route, 404, `No ${noun} here.`);
  if (id === '') return answerVideos(route, world, query);
  if (world.cameras.some((camera) => camera.video === id)) {
    return json(route, part === 'counts' ? world.cameraCounts(Number(query.get('from'))) : []);
  }
  const video = world.find(id);
  if (!video) return problem(route, 404, 'There is no such video. It may have been moved.');
  const from = Number(query.get('from'));
  const to = Number(query.get('to'));
  switch (part) {
    case undefined:
      return json(route, video);
    case 'work':
      Object.assign(video, route.request().postDataJSON());
      if (video.run?.state === 'running') video.run.state = 'queued';
      return json(route, video);
    case 'calibration':
      if (world.refuseCalibration !== null) return problem(route, 409, world.refuseCalibration);
      video.min_score = 0.16;
      return json(route, { min_score: 0.16, mean_before: 25.8, mean_after: 31.2 });
    case 'settings':
      Object.assign(video, route.request().postDataJSON());
      return json(route, video);
    case 'file':
      return answerRange(route, readFileSync(filmPath(world.film)));
    case 'index':
      return json(route, world.index(world.knownFrames));
    case 'detections':
      return json(route, world.detections(video, from, to));
    case 'counts':
      return json(route, world.counts(video, from, to));
    case 'preview':
      return answerPreview(route, world, path[3] ?? '', query);
    case 'crossings':
      if (path[3]) return route.fulfill({ contentType: 'image/jpeg', body: framePicture(world.film, 0) });
      return json(route, world.crossings(id));
    default:
      return problem(route, 404, `No ${part} here.`);
  }
}

function answerCameras(
  route: Route,
  world: World,
  id: string,
  part: string | undefined,
  query: URLSearchParams,
): Promise<void> {
  if (part === 'recordings')
    return json(route, world.cameraRecordings(Number(query.get('from')), Number(query.get('to'))));
  // Nothing in the made-up world can be played: the page shows picture after picture.
  if (part === 'hls') return problem(route, 404, 'Nothing of that time is recorded.');
  if (part === 'states') return json(route, world.cameraStates);
  if (part === 'clips') return json(route, { video: 'pen', name: 'Gate 2026-11-23.mp4' }, 201);
  if (part === 'frame.jpg') return answerPicture(route, world, new URLSearchParams({ t: '1' }));
  // The made-up world has no UDP: the page shows pictures.
  if (part === 'whep') return problem(route, 503, 'WebRTC is off.');
  if (id === '' && route.request().method() === 'GET') return json(route, world.cameras);
  if (route.request().method() === 'GET') {
    const camera = world.cameras.find((one) => one.id === id);
    return camera ? json(route, camera) : problem(route, 404, 'There is no such camera.');
  }
  if (id === '') {
    const wanted = route.request().postDataJSON() as { name: string; test: boolean };
    if (world.refuseCamera !== null && wanted.test) return problem(route, 422, world.refuseCamera);
    const added: Camera = { ...CAMERA, id: `camera-${world.cameras.length}`, name: wanted.name };
    world.cameras.push(added);
    return json(route, added, 201);
  }
  if (route.request().method() === 'PUT') {
    const { counting_url: url } = route.request().postDataJSON() as { counting_url: string | null };
    const stream = { stream: CAMERA.stream, measured: CAMERA.measured, advice: [], state: CAMERA.state };
    const changed = { ...CAMERA, counting_stream: url === null ? null : { ...stream, url } };
    world.cameras = world.cameras.map((camera) => (camera.id === id ? changed : camera));
    return json(route, changed);
  }
  world.cameras = world.cameras.filter((camera) => camera.id !== id);
  return route.fulfill({ status: 204 });
}

/** A search for cameras: begun, looked at, given a password, added from, forgotten. */
function answerDiscoveries(route: Route, world: World, path: string[]): Promise<void> {
  const method = route.request().method();
  const body = route.request().postDataJSON() as Record<string, unknown> | null;
  if (body !== null) world.sentToDiscovery.push(body);
  const [id, part] = path;
  if (id === undefined) return json(route, world.discovery, 202);
  if (part === 'profiles') {
    // The second camera has no picture.
    if (path[2]?.startsWith('1-')) return problem(route, 422, 'the camera stopped sending for 12 s');
    return answerPicture(route, world, new URLSearchParams({ t: '1' }));
  }
  if (part === 'credentials') {
    world.discovery = world.discoveryTold;
    return json(route, world.discovery);
  }
  if (part === 'cameras') {
    if (world.refuseCamera !== null && body?.test === true) return problem(route, 422, world.refuseCamera);
    const added: Camera = { ...CAMERA, id: `camera-${world.cameras.length}`, name: String(body?.name) };
    world.cameras.push(added);
    const told = world.discovery.cameras.map((camera) => ({
      ...camera,
      profiles: camera.profiles.map((profile) =>
        profile.id === body?.profile ? { ...profile, camera: added.id } : profile,
      ),
    }));
    world.discovery = { ...world.discovery, cameras: told };
    return json(route, added, 201);
  }
  return method === 'DELETE' ? route.fulfill({ status: 204 }) : json(route, world.discovery);
}

/** A person says how many animals there are: all recordings of the source know it. Or sets the width of the detector's input. */
function answerSource(route: Route, world: World, id: string): Promise<void> {
  const settings = (route.request().postDataJSON() ?? {}) as {
    animals?: number | null;
    input_width?: number | null;
  };
  const { animals, input_width: width } = settings;
  if (animals !== undefined) {
    for (const video of world.videos.filter((candidate) => candidate.source === id)) video.animals = animals;
  }
  if (width !== undefined) world.inputWidth = width;
  return json(route, {
    id,
    kind: 'folder',
    name: 'Pen 4',
    folder: '/srv/pens',
    videos: 1,
    lines: 0,
    min_score: null,
    calibration: null,
    animals: world.videos.find((video) => video.source === id)?.animals ?? null,
    input_width: world.inputWidth,
    input: {
      width: world.inputWidth ?? 768,
      chosen_by: world.inputWidth === null ? 'animals' : 'person',
      animal_px: 52.4,
      inference_ms: world.inputWidth === null ? 48.2 : null,
      widths: [512, 640, 768, 896],
    },
    created_at: '2026-11-01T06:00:00Z',
  });
}

/** Begun by POST, taken back by DELETE; the test says how it goes on. */
function answerAdaptation(route: Route, world: World): Promise<void> {
  const method = route.request().method();
  if (method === 'DELETE') {
    world.adaptation = { ...NOT_ADAPTED };
    return route.fulfill({ status: 204 });
  }
  if (method === 'POST') {
    const { moments = [] } = (route.request().postDataJSON() ?? {}) as { moments?: Adaptation['moments'] };
    const animals = moments.length > 0 ? null : 31;
    world.adaptation = { ...NOT_ADAPTED, state: 'waiting', animals, moments };
  }
  return json(route, world.adaptation, method === 'POST' ? 202 : 200);
}

/** Paginated like the server. */
function answerVideos(route: Route, world: World, query: URLSearchParams): Promise<void> {
  const limit = Number(query.get('limit') ?? 1000);
  const after = world.videos.findIndex((video) => video.id === query.get('cursor')) + 1;
  const page = world.videos.slice(after, after + limit);
  const headers: Record<string, string> = { 'x-total-count': String(world.videos.length) };
  const last = page.at(-1);
  if (last && after + limit < world.videos.length)
    headers.link = `<?limit=${limit}&cursor=${encodeURIComponent(last.id)}>; rel="next"`;
  checkAnswer('GET', '/api/videos', 200, page);
  return route.fulfill({ headers, json: page });
}

function answerJobs(route: Route, world: World, id: string, wish: string | undefined): Promise<void> {
  if (id === '') return json(route, world.jobList());
  const job = world.jobs.find((candidate) => candidate.id === id);
  if (!job) return problem(route, 404, 'There is no such job.');
  if (world.refuseJobs !== null) {
    const detail = world.refuseJobs;
    world.refuseJobs = null;
    return problem(route, 409, detail);
  }
  if (wish === 'priority') return json(route, Object.assign(job, route.request().postDataJSON()));
  return json(route, world.change(job, wish as JobWish));
}

function answerLines(route: Route, world: World, id: string, query: URLSearchParams): Promise<void> {
  const method = route.request().method();
  if (method === 'GET')
    return json(
      route,
      world.lines.filter((line) => line.video === query.get('video')),
    );
  if (world.refuseLines !== null) {
    const detail = world.refuseLines;
    world.refuseLines = null;
    return problem(route, 422, detail);
  }
  if (method === 'POST') return json(route, world.addLine(route.request().postDataJSON()), 201);
  const line = world.lines.find((candidate) => candidate.id === id);
  if (!line) return problem(route, 404, 'There is no such line.');
  if (method === 'DELETE') {
    world.lines = world.lines.filter((candidate) => candidate !== line);
    return route.fulfill({ status: 204 });
  }
  const before = [line.x1, line.y1, line.x2, line.y2].join();
  Object.assign(line, route.request().postDataJSON());
  const isMoved = before !== [line.x1, line.y1, line.x2, line.y2].join();
  line.version += isMoved ? 1 : 0;
  return json(route, { ...line, difference: isMoved ? world.difference : null });
}

/** Thumbnails of every 25th frame, all on one sprite sheet. */
function answerPreview(route: Route, world: World, name: string, query: URLSearchParams): Promise<void> {
  if (name === '0.jpg') return route.fulfill({ contentType: 'image/jpeg', body: spriteSheet(world.film) });
  if (name !== 'sprites.vtt')
    return answerFrame(route, world, world.table.pts.indexOf(Number(query.get('pts'))));
  const time = (secs: number) => `00:00:${secs.toFixed(3).padStart(6, '0')}`;
  const cues = world.table.pts.flatMap((_, index) => {
    if (index % SPRITE.every !== 0) return [];
    const [from, to] = [
      world.secs(index),
      world.secs(Math.min(index + SPRITE.every, world.table.pts.length - 1)),
    ];
    const x = (index / SPRITE.every) * SPRITE.width;
    return [`${time(from)} --> ${time(to)}\n0.jpg#xywh=${x},0,${SPRITE.width},${SPRITE.height}\n`];
  });
  return route.fulfill({ contentType: 'text/vtt', body: `WEBVTT\n\n${cues.join('\n')}` });
}

/** The playlist lies beside the folder of its segments, which has the same name. */
function answerStream(route: Route, id: string, piece: string | undefined): Promise<void> {
  if (piece) return route.fulfill({ contentType: 'video/mp4', body: readFileSync(streamPath(piece)) });
  const playlist = readFileSync(streamPath('film.m3u8'), 'utf8').replace(/\w+\.(m4s|mp4)/g, `${id}/$&`);
  return route.fulfill({ contentType: 'application/vnd.apple.mpegurl', body: playlist });
}

async function answerPicture(route: Route, world: World, query: URLSearchParams): Promise<void> {
  await answerFrame(route, world, world.floorIndex(Number(query.get('t'))));
}

async function answerFrame(route: Route, world: World, index: number): Promise<void> {
  const headers = {
    'x-frame-pts': String(world.table.pts[index]),
    'x-frame-time': String(world.secs(index)),
    'x-has-inference': 'false',
  };
  await route.fulfill({ contentType: 'image/jpeg', headers, body: framePicture(world.film, index) });
}

function answerRange(route: Route, bytes: Buffer): Promise<void> {
  const range = /bytes=(\d+)-(\d*)/.exec(route.request().headers().range ?? '');
  const headers: Record<string, string> = { 'accept-ranges': 'bytes', 'content-type': 'video/mp4' };
  if (!range) return route.fulfill({ headers, body: bytes });
  const from = Number(range[1]);
  const to = range[2] ? Math.min(Number(range[2]), bytes.length - 1) : bytes.length - 1;
  headers['content-range'] = `bytes ${from}-${to}/${bytes.length}`;
  return route.fulfill({ status: 206, headers, body: bytes.subarray(from, to + 1) });
}
