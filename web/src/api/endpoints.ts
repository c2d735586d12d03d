// All addresses that the page uses, and nothing else about them.

import type { CountWindow, DetectionWindow, FrameIndex, JobWish, LineEnds } from './narrowed.ts';
import { address, ask, askJson, askPage, type ListPage, sendJson, socketAddress } from './request.ts';
import type {
  Adaptation,
  Camera,
  CameraChange,
  CameraDiscovery,
  CameraStateChange,
  ChangedLine,
  Clip,
  CountAtTime,
  CountedMoment,
  Crossing,
  Decimal,
  Health,
  Job,
  Jobs,
  Line,
  NewCamera,
  NewFoundCamera,
  Recordings,
  Scope,
  Source,
  Video,
  VideoCalibration,
} from './types.ts';

const videoPath = (id: string) => `api/videos/${encodeURIComponent(id)}`;

export const fetchHealth = () => askJson<Health>(address('api/health'));

/** The animal of a crossing, on the frame that proves it. */
export const crossingPicture = (id: string, crossing: string) =>
  address(`${videoPath(id)}/crossings/${encodeURIComponent(crossing)}/picture`);

/** Tables for spreadsheets, with the decimal sign that they expect. */
export const crossingsTable = (id: string, decimal: Decimal) =>
  address(`${videoPath(id)}/crossings.csv`, { decimal });
export const countsTable = (id: string, decimal: Decimal) =>
  address(`${videoPath(id)}/counts.csv`, { decimal });

const VIDEOS_AT_ONCE = 100;

/** The first `pages` pages of the videos, a hundred on each. */
export async function fetchVideos(pages: number): Promise<ListPage<Video>> {
  let list = await askPage<Video>(address('api/videos', { limit: VIDEOS_AT_ONCE }));
  for (let page = 1; page < pages && list.next !== null; page += 1) {
    const query = { limit: VIDEOS_AT_ONCE, cursor: list.next };
    const more = await askPage<Video>(address('api/videos', query));
    list = { ...more, items: [...list.items, ...more.items] };
  }
  return list;
}

export const fetchVideo = (id: string) => askJson<Video>(address(videoPath(id)));

export const fetchIndex = (id: string) => askJson<FrameIndex>(address(`${videoPath(id)}/index`));

/** The background leaves a video alone, or goes on with it. */
export const pauseWork = (id: string, paused: boolean) =>
  sendJson<Video>('PUT', address(`${videoPath(id)}/work`), { paused });

export const fetchSource = (id: string) => askJson<Source>(address(`api/sources/${encodeURIComponent(id)}`));

/** Holds for all videos of the source. What is left out stays as it is. */
export const changeSource = (
  id: string,
  settings: { animals?: number | null; input_width?: number | null },
) => sendJson<Source>('PUT', address(`api/sources/${encodeURIComponent(id)}`), settings);

/** Sets the video's threshold so that as many are counted on average as its source is said to hold. */
export const calibrateVideo = (id: string) =>
  sendJson<VideoCalibration>('POST', address(`${videoPath(id)}/calibration`), {});

/** The video is counted as its source says again. */
export const uncalibrateVideo = (id: string) =>
  sendJson<Video>('PUT', address(`${videoPath(id)}/settings`), { min_score: null });

const adaptationPath = (source: string) => `api/sources/${encodeURIComponent(source)}/adaptation`;

/** How far the detector is with learning the source's pen. */
export const fetchAdaptation = (source: string) => askJson<Adaptation>(address(adaptationPath(source)));

/** The detector learns the source's pen: from as many animals as it is said to hold, or from the numbers at moments. */
export const adaptSource = (source: string, moments: CountedMoment[] = []) =>
  sendJson<Adaptation>('POST', address(adaptationPath(source)), moments.length > 0 ? { moments } : {});

/** Stops learning, or goes back to the detector before. */
export async function removeAdaptation(source: string): Promise<void> {
  await ask(address(adaptationPath(source)), { method: 'DELETE' });
}

export const fetchCameras = () => askJson<Camera[]>(address('api/cameras'));

/** The server connects it first, unless `test` is false. */
export const addCamera = (camera: NewCamera) => sendJson<Camera>('POST', address('api/cameras'), camera);

const cameraPath = (id: string) => `api/cameras/${encodeURIComponent(id)}`;

export const fetchCamera = (id: string) => askJson<Camera>(address(cameraPath(id)));

/** Where a browser offers to receive the camera by WebRTC. */
export const whepAddress = (id: string) => address(`${cameraPath(id)}/whep`);

/** Where a browser receives the camera's frames as fragments of MP4. */
export const videoSocketAddress = (id: string) =>
  socketAddress(`ws/cameras/${encodeURIComponent(id)}/video`, {});

/** Disconnects it. What was counted stays. */
/** What is recorded of a stretch, seconds since the camera was added; with thousands of recordings, its beginning. */
export const fetchRecordings = (id: string, from: number, to: number) =>
  askJson<Recordings>(address(`${cameraPath(id)}/recordings`, { from, to }));

/** The exact picture of a moment; `video` is the camera's. */
export const pastPictureAddress = (video: string, t: number, inference: boolean) =>
  address('api/video_file/frame_optimized', { id: video, t, inference: String(inference) });

/** How many animals a moment shows; null: not counted. */
export const fetchCountAt = (video: string, t: number) =>
  askJson<CountAtTime>(address('api/video_file/count_at_time', { id: video, t }));

/** A stretch of a camera's recordings as HLS. */
export const cameraPastAddress = (id: string, from: number, to: number) =>
  address(`${cameraPath(id)}/hls`, { from, to });

/** Makes a video of a stretch of a camera. */
export const addClip = (id: string, from: number, to: number, name: string) =>
  sendJson<Clip>('POST', address(`${cameraPath(id)}/clips`), { from, to, name });

/** Changes what is named; the rest stays. */
export const changeCamera = (id: string, change: CameraChange) =>
  sendJson<Camera>('PUT', address(cameraPath(id)), change);

/** What the camera was doing, the latest first. */
export const fetchCameraStates = (id: string, limit: number) =>
  askJson<CameraStateChange[]>(address(`${cameraPath(id)}/states`, { limit }));

export async function removeCamera(id: string): Promise<void> {
  await ask(address(cameraPath(id)), { method: 'DELETE' });
}

const discoveryPath = (id: string) => `api/cameras/discoveries/${encodeURIComponent(id)}`;

/** Searches the server's networks for cameras. */
export const beginDiscovery = () => sendJson<CameraDiscovery>('POST', address('api/cameras/discoveries'), {});

/** What was found so far. */
export const fetchDiscovery = (id: string) => askJson<CameraDiscovery>(address(discoveryPath(id)));

/** For all found cameras; those that have not told everything are asked again. */
export const enterDiscoveryCredentials = (id: string, user: string, password: string) =>
  sendJson<CameraDiscovery>('PUT', address(`${discoveryPath(id)}/credentials`), { user, password });

/** Forgets what was found, and the password. */
export async function removeDiscovery(id: string): Promise<void> {
  await ask(address(discoveryPath(id)), { method: 'DELETE' });
}

/** What a found stream shows. */
export async function fetchFoundPicture(id: string, profile: string, signal: AbortSignal): Promise<Blob> {
  const path = `${discoveryPath(id)}/profiles/${encodeURIComponent(profile)}/picture.jpg`;
  return (await ask(address(path), { signal })).blob();
}

/** Adds a found stream as a camera, with the password that was entered for the search. */
export const addFoundCamera = (id: string, camera: NewFoundCamera) =>
  sendJson<Camera>('POST', address(`${discoveryPath(id)}/cameras`), camera);

/** What the camera shows now; `n` differs from request to request. */
export const cameraPictureAddress = (id: string, n: number) => address(`${cameraPath(id)}/frame.jpg`, { n });

export const fetchJobs = (limit: number) => askJson<Jobs>(address('api/jobs', { limit }));

export const changeJob = (id: string, wish: JobWish) =>
  sendJson<Job>('POST', address(`api/jobs/${encodeURIComponent(id)}/${wish}`), {});

export const prioritiseJob = (id: string, priority: number) =>
  sendJson<Job>('PUT', address(`api/jobs/${encodeURIComponent(id)}/priority`), { priority });

/** The video's own packets in pieces that browsers take. */
export const playlistAddress = (id: string) => address(`api/video_file/stream_hls/${encodeURIComponent(id)}`);

export const fileAddress = (id: string) => address(`${videoPath(id)}/file`);

export function fetchDetections(id: string, from: number, to: number, signal: AbortSignal) {
  return askJson<DetectionWindow>(address(`${videoPath(id)}/detections`, { from, to }), signal);
}

export function fetchCounts(id: string, from: number, to: number, points: number) {
  return askJson<CountWindow>(address(`${videoPath(id)}/counts`, { from, to, points }));
}

export const fetchCrossings = (id: string) => askJson<Crossing[]>(address(`${videoPath(id)}/crossings`));

export const fetchLines = (video: string) => askJson<Line[]>(address('api/lines', { video }));

export function createLine(video: string, scope: Scope, name: string, ends: LineEnds) {
  return sendJson<Line>('POST', address('api/lines'), { video, scope, name, ...ends });
}

/** `ends` are places on this video's picture. */
export function changeLine(id: string, video: string, name: string, ends: LineEnds) {
  const path = `api/lines/${encodeURIComponent(id)}`;
  return sendJson<ChangedLine>('PUT', address(path), { video, name, ...ends });
}

export async function deleteLine(id: string): Promise<void> {
  await ask(address(`api/lines/${encodeURIComponent(id)}`), { method: 'DELETE' });
}

/** The exact frame, small: for quick looks. */
export const previewAddress = (id: string, pts: number) => address(`${videoPath(id)}/preview/frame`, { pts });

export async function fetchSpriteMap(id: string): Promise<string> {
  return (await ask(spriteAddress(id, 'sprites.vtt'))).text();
}

/** The map of the thumbnails, or a sheet that it names. */
export const spriteAddress = (id: string, name: string) =>
  address(`${videoPath(id)}/preview/${encodeURIComponent(name)}`);

/** The picture of the frame shown at `t`, without boxes: the page draws its own over it. */
export function pictureAddress(id: string, t: number, quality = 80): string {
  return address('api/video_file/frame_optimized', { id, t: t.toFixed(6), quality, inference: false });
}
