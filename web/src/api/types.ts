// The server's words, exactly as they travel. All `secs` and `t` count from the first frame of the video.

export interface RunCount {
  mean: number;
  max: number;
}

export type RunState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

export interface Run {
  id: string;
  state: RunState;
  progress: number;
  frames_done: number;
  frames_total: number;
  frames_per_sec: number | null;
  eta_secs: number | null;
  model: string;
  device: string;
  count: RunCount | null;
  counted_to_secs: number;
  error: string | null;
  /** The server's name for `error`; see `reason` of `i18n/language.svelte.ts`. */
  reason_code: string | null;
}

/** A count with other settings that is made while the published one is shown. */
export interface Recount {
  /** `null` before its first step. */
  run_id: string | null;
  state: JobState;
  progress: number;
  frames_done: number;
  frames_total: number;
  frames_per_sec: number | null;
  eta_secs: number | null;
  error: string | null;
  /** The server's name for `error`; see `reason` of `i18n/language.svelte.ts`. */
  reason_code: string | null;
}

export interface Video {
  id: string;
  /** The source it is a recording of. */
  source: string;
  name: string;
  duration_secs: number | null;
  frames: number | null;
  width: number | null;
  height: number | null;
  codec: string | null;
  media_type: string;
  /** When recording began as the file says, RFC 3339; `null` where it says nothing. */
  recorded_at: string | null;
  /** `growing`: it is read for its index, and the frames that are known can be looked at. */
  index: 'pending' | 'growing' | 'ready' | 'failed';
  /** While the index grows: the share of the file that has been read. */
  index_progress: number | null;
  error: string | null;
  /** The server's name for `error`; see `reason` of `i18n/language.svelte.ts`. */
  reason_code: string | null;
  has_audio: boolean;
  /** How many frames are kept small, and whether there are thumbnails. */
  preview: { frames: number; sprites: boolean };
  /** The background leaves it alone until somebody says otherwise. */
  paused: boolean;
  /** The published run: a complete one, or the one in progress before any is complete. */
  run: Run | null;
  /** `null` while nothing is counted beside `run`. */
  recount: Recount | null;
  /** What the background has to do with it; `null` where nothing can be counted. */
  job: VideoJob | null;
}

export type JobState = 'running' | 'waiting' | 'paused' | 'failed' | 'cancelled' | 'done';

export interface VideoJob {
  id: string;
  state: JobState;
  error: string | null;
  /** The server's name for `error`; see `reason` of `i18n/language.svelte.ts`. */
  reason_code: string | null;
}

export interface Job {
  id: string;
  video: string;
  video_name: string;
  state: JobState;
  /** −100 to 100; higher ones go first. */
  priority: number;
  /** Of one that waits: 1 is the next. */
  place: number | null;
  /** Its file is another one now; it cannot be counted again. */
  is_replaced: boolean;
  tries: number;
  progress: number;
  frames_done: number;
  frames_total: number | null;
  frames_per_sec: number | null;
  eta_secs: number | null;
  finished_at: string | null;
  error: string | null;
  /** The server's name for `error`; see `reason` of `i18n/language.svelte.ts`. */
  reason_code: string | null;
}

/** In the order in which they are done; behind them those that ended, the latest first. */
export interface Jobs {
  jobs: Job[];
  counts: Record<JobState, number>;
  /** Until everything that waits is done; `null` while nothing goes on. */
  eta_secs: number | null;
  /** Why nothing is counted now. */
  error: string | null;
  /** The server's name for `error`; see `reason` of `i18n/language.svelte.ts`. */
  reason_code: string | null;
  /** Videos whose job is made when the model is known. */
  without_job: number;
}

export type JobWish = 'pause' | 'resume' | 'cancel' | 'retry';

/** The pts of all frames in display order, run-length coded: see `time/pts_table.ts`. */
export interface FrameIndex {
  /** Whether all frames are there. */
  is_whole: boolean;
  /** To the end of the last frame; of a file that is still being read, what it says of itself. */
  duration_secs: number;
  time_base: [number, number];
  first_pts: number;
  runs: [deltaPts: number, count: number][];
  frames: number;
}

/** Pixels of the upright frame; the last number says whether a detector saw it (1) or it was put between two looks (0). */
export type Box = [
  x: number,
  y: number,
  width: number,
  height: number,
  score: number,
  track: number,
  measured: 0 | 1,
];

export interface DetectionFrame {
  pts: number;
  looked: boolean;
  boxes: Box[];
}

export interface DetectionWindow {
  from_secs: number;
  to_secs: number;
  counted_to_secs: number;
  frames: DetectionFrame[];
}

export type CountPoint = [secs: number, mean: number, min: number, max: number];

export interface CountWindow {
  level_secs: number;
  counted_to_secs: number;
  points: CountPoint[];
}

export type Direction = 'forward' | 'backward';

export interface Crossing {
  /** It never changes. */
  id: string;
  line: string;
  line_version: number;
  direction: Direction;
  secs: number;
  pts: number;
  track: number;
}

export interface LineEnds {
  x1: number;
  y1: number;
  x2: number;
  y2: number;
}

export type LineScope = 'source' | 'video';

/** As it lies on the video that was asked for. */
export interface Line extends LineEnds {
  id: string;
  video: string;
  name: string;
  /** It holds for all recordings of the video's source, or for the video alone. */
  scope: LineScope;
  version: number;
  /** `false`: it was drawn on a picture of another shape. */
  applies: boolean;
  /** Everything that is counted of the video is counted over the line. */
  is_up_to_date: boolean;
  forward: number;
  backward: number;
}

/** What moving a line has changed. */
export interface LineDifference {
  before: { forward: number; backward: number };
  after: { forward: number; backward: number };
  only_before: Crossing[];
  only_after: Crossing[];
}

export interface ChangedLine extends Line {
  /** `null`: it was not moved. */
  difference: LineDifference | null;
}

export interface CountUpdate {
  type: 'count_update';
  id: string;
  count: number | null;
  t: number;
  state: string;
  progress: number;
  frames_per_sec: number | null;
  eta_secs: number | null;
  crossings: { line: string; name: string; forward: number; backward: number }[];
  device: string | null;
  /** How far what is counted lies behind what there is. */
  lag: { video_secs: number; backlog_frames: number; age_secs: number | null };
}

export interface Model {
  name: string;
  path: string;
  layout: string;
  input: [number, number];
  classes: string[];
  min_score: number;
  hash: string;
}

/** An inference server. */
export interface Endpoint {
  url: string;
  /** Why it is not asked; `null` while it is. */
  trouble: string | null;
}

export interface Device {
  /** cpu, cuda, tensorrt, openvino, remote */
  name: string;
  inference_ms: number;
  threads: number;
  sessions: number;
  /** Pictures at once at the most. */
  batch: number;
  /** What was tried first, and why it is not used. */
  tried: string[];
}

export interface Health {
  status: 'ok' | 'no_model' | 'degraded';
  version: string;
  message: string | null;
  reason_code: string | null;
  uptime_secs: number;
  model: Model | null;
  device: Device | null;
  /** Inference servers, whether they are there or not. */
  endpoints: Endpoint[];
}
