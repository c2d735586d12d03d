// State of the mock server: videos, lines, and answers computed from the frame table of the film.
import type {
  Box,
  CountWindow,
  DetectionWindow,
  FrameIndex,
  JobWish,
  LineEnds,
} from '../../src/api/narrowed.ts';
import type {
  Adaptation,
  BoxesUpdate,
  Camera,
  CameraDiscovery,
  CameraStateChange,
  CountAtTime,
  Crossing,
  FoundCamera,
  FoundProfile,
  Health,
  Job,
  JobState,
  Jobs,
  Line,
  LineDifference,
  Recordings,
  Run,
  Topic,
  Video,
} from '../../src/api/types.ts';
import { FILM, type FilmTable, filmTable, pigBoxes } from './film.ts';

export const NOT_ADAPTED: Adaptation = {
  state: 'none',
  animals: null,
  moments: [],
  progress: 0,
  count_error_before: null,
  count_error_after: null,
  reason: null,
};

export const CAMERA: Camera = {
  id: 'gate',
  video: 'gate-video',
  name: 'Gate',
  url: 'rtsp://192.168.1.20/stream1',
  user: 'cam',
  has_password: true,
  certificate: null,
  state: 'live',
  since: '2026-11-23T08:00:00Z',
  retry_at: null,
  reason: null,
  stream: { codec: 'h264', width: 640, height: 360, frames_per_sec: 15 },
  count: { state: 'counted', count: 12, uncertainty: 2.2, t: 61.2 },
  delivered: {
    frames: 915,
    connections: 1,
    lost_packets: 0,
    clock_jumps: 0,
    has_reordered_frames: false,
    drift_secs: 0,
  },
  measured: {
    codec: 'h264',
    width: 640,
    height: 360,
    frames_per_sec: 14.98,
    bits_per_sec: 1_250_000,
    keyframe_interval_secs: 8,
    keyframe_interval_frames: 120,
    has_reordered_frames: false,
    loss_share: 0,
    clock_offset_secs: -3600.4,
  },
  advice: [
    { code: 'long_keyframe_interval', text: 'a keyframe comes every 8 s; set one every 1 to 2 s' },
    { code: 'wrong_time_zone', text: 'its clock is 1 h 0 min behind the server’s' },
  ],
  counting_stream: null,
  recording_mode: null,
  recording: { mode: 'all', reason: null },
  created_at: '2026-11-23T08:00:00Z',
};

export const HEALTH: Health = {
  status: 'ok',
  version: '0.1.0',
  message: null,
  reason_code: null,
  uptime_secs: 7500,
  model: {
    name: 'Pigs from above, small',
    path: 'models/pigs-small.onnx',
    layout: 'yolo, 4 + classes',
    input: [640, 384],
    classes: ['pig'],
    min_score: 0.35,
    hash: '3f9c1d2ab47e90aa55d0',
  },
  device: {
    name: 'cpu',
    inference_ms: 41.6,
    threads: 1,
    sessions: 4,
    batch: 1,
    tried: ['cuda: the ONNX Runtime was built without it'],
  },
  endpoints: [],
  mqtt: null,
  webhooks: [],
};

export const DONE: Run = {
  id: 'run-1',
  state: 'done',
  progress: 1,
  frames_done: 195,
  frames_total: 195,
  frames_inferred: 98,
  frames_per_sec: 31.5,
  eta_secs: null,
  model: 'Pigs from above, small',
  device: 'CPU',
  count: { mean: 3.6, max: 4, uncertainty: 1.3 },
  warnings: [],
  counted_to_secs: 8.76,
  error: null,
  reason_code: null,
};

export const RUNNING: Run = {
  ...DONE,
  id: 'run-2',
  state: 'running',
  progress: 0.5,
  frames_done: 98,
  eta_secs: 190,
  counted_to_secs: 4,
};

const PROFILE: FoundProfile = {
  id: '0-0',
  name: 'mainStream',
  video_source: 'VideoSource_1',
  codec: 'H264',
  width: 2560,
  height: 1440,
  frames_per_sec: 20,
  gop_frames: 40,
  bitrate_kbps: 4096,
  codec_profile: 'Main',
  url: 'rtsp://192.168.1.20:554/Streaming/Channels/101?transportmode=unicast&profile=Profile_1',
  problem: null,
  suggested_for: 'viewing',
  camera: null,
};

const FOUND: FoundCamera = {
  id: '0',
  address: '192.168.1.20',
  name: 'Gate',
  manufacturer: 'HIKVISION',
  model: 'DS-2CD2143G2-I',
  firmware: null,
  serial: null,
  state: 'needs_password',
  reason: { code: 'needs_password', text: 'it wants a user and a password' },
  clock_offset_secs: 0.4,
  named_host: null,
  profiles: [],
};

/** Two cameras that want a password, and what they tell when they got it. */
export const DISCOVERY: CameraDiscovery = {
  id: 'search',
  state: 'done',
  problem: null,
  networks: 1,
  has_more: false,
  has_password: false,
  cameras: [
    FOUND,
    {
      ...FOUND,
      id: '1',
      address: '192.168.1.21',
      name: null,
      manufacturer: null,
      model: 'IPC',
      clock_offset_secs: -849_219_801,
    },
  ],
};

export const TOLD: CameraDiscovery = {
  ...DISCOVERY,
  has_password: true,
  cameras: [
    {
      ...FOUND,
      state: 'told',
      reason: null,
      profiles: [
        PROFILE,
        {
          ...PROFILE,
          ...{ id: '0-1', name: 'subStream', width: 640, height: 360, frames_per_sec: 15, gop_frames: 30 },
          ...{ url: 'rtsp://192.168.1.20:554/Streaming/Channels/102', suggested_for: 'counting' },
        },
      ],
    },
    {
      ...FOUND,
      ...{ id: '1', address: '192.168.1.21', name: null, manufacturer: null, model: 'IPC' },
      ...{ state: 'told', reason: null, clock_offset_secs: -849_219_801, named_host: '192.168.0.10' },
      profiles: [
        {
          ...PROFILE,
          id: '1-0',
          name: 'main',
          width: 1280,
          height: 720,
          gop_frames: null,
          url: 'rtsp://192.168.1.21/user=admin&password=***&channel=1',
        },
      ],
    },
  ],
};

export class World {
  health: Health = structuredClone(HEALTH);
  videos: Video[] = [];
  /** The server's words when the threshold cannot be fitted. */
  refuseCalibration: string | null = null;
  adaptation: Adaptation = { ...NOT_ADAPTED };
  /** As a person has set it; null: chosen from the size of the animals. */
  inputWidth: number | null = null;
  cameras: Camera[] = [];
  /** Nothing answers any more. */
  isGone = false;
  /** Tell open pages of a change. */
  readonly watchers = new Set<(topics: Topic[]) => void>();
  /** What the socket of a camera tells as soon as it is open. */
  updates: BoxesUpdate[] = [];
  #cameraFrom: number | null = null;

  tellChange(...topics: Topic[]): void {
    for (const tell of this.watchers) tell(topics);
  }

  /** The hour of a camera: three animals in every second, and a hundred seconds without video. */
  cameraCounts(from: number): CountWindow {
    this.#cameraFrom ??= Math.floor(from);
    const first = this.#cameraFrom;
    const points: CountWindow['points'] = [];
    for (let secs = first; secs < first + 3595; secs += 1) {
      if (secs >= from && (secs < first + 3300 || secs >= first + 3400)) points.push([secs, 3, 2, 4]);
    }
    return { level_secs: 1, counted_to_secs: first + 3595, points };
  }

  /** Of a camera, at any moment of its past. */
  countAtTime(): CountAtTime {
    return { count: 7, cached: true, state: 'counted', t: 1, uncertainty: null };
  }

  /** The first half of what is asked for is recorded. */
  cameraRecordings(from: number, to: number): Recordings {
    const half = from + (to - from) / 2;
    const one = { id: 'r1', from, to: half, started_at: CAMERA.created_at, size_bytes: 9e6, frames: 900 };
    return { recordings: [{ ...one, is_marked: false }], next_from: null, size_bytes: 9e6 };
  }

  /** What the cameras were doing, the latest first. */
  cameraStates: CameraStateChange[] = [
    { state: 'live', since: '2026-11-23T08:10:00Z', reason: null },
    {
      state: 'away',
      since: '2026-11-23T08:05:00Z',
      reason: { code: 'stalled', text: 'the camera has stopped sending' },
    },
  ];
  /** What a search finds; with a password, what the cameras tell. */
  discovery: CameraDiscovery = DISCOVERY;
  discoveryTold: CameraDiscovery = TOLD;
  /** Bodies that were sent to searches. */
  sentToDiscovery: unknown[] = [];
  /** Why a camera cannot be connected; null: it can. */
  refuseCamera: string | null = null;
  lines: Line[] = [];
  jobs: Job[] = [
    {
      ...this.job('job-1', 'pen-5', 'Pen 5, evening.mp4', 'running'),
      ...{ frames_per_sec: 31.5, eta_secs: 190 },
    },
    this.job('job-2', 'ramp', 'Ramp, lorry 1.mp4', 'waiting'),
    {
      ...this.job('job-3', 'new', 'Corridor.mkv', 'waiting'),
      frames_total: null,
      frames_done: 0,
      progress: 0,
    },
    this.job('job-4', 'pen-6', 'Pen 6.mp4', 'paused'),
    {
      ...this.job('job-5', 'torn', 'Torn file.mp4', 'failed'),
      tries: 3,
      error: 'The file ends in the middle: copy it again.',
      reason_code: null,
      finished_at: '2026-11-23T14:05:00Z',
    },
    { ...this.job('job-6', 'pen-4', 'Pen 4, morning.mp4', 'done'), finished_at: '2026-11-23T13:00:00Z' },
  ];
  /** The next request to change a job is refused with this message. */
  refuseJobs: string | null = null;
  film: 'plain' | 'shifted' = 'plain';
  /** The next change of a line is refused with this message. */
  refuseLines: string | null = null;
  /** A gate that holds an answer back until the test opens it. */
  gate: Promise<void> = Promise.resolve();
  /** Number of indexed frames of a file that is still being read. */
  knownFrames: number | undefined;
  /** The difference that the next move of a line returns. */
  difference: LineDifference = {
    before: { forward: 3, backward: 1 },
    after: { forward: 3, backward: 1 },
    only_before: [],
    only_after: [],
  };
  requests: string[] = [];
  #nextLine = 1;

  constructor() {
    this.videos = [
      this.video('pen-4', 'Pen 4, morning.mp4', DONE),
      this.video('pen-5', 'Pen 5, evening.mp4', RUNNING),
      this.video('pen-6', 'Pen 6.mp4', null),
      this.video('ramp', 'Ramp, lorry 1.mp4', {
        ...DONE,
        state: 'queued',
        progress: 0,
        frames_done: 0,
        count: null,
      }),
      { ...this.video('new', 'Corridor.mkv', null), index: 'pending', duration_secs: null, frames: null },
      {
        ...this.video('torn', 'Torn file.mp4', null),
        index: 'failed',
        error: 'The file ends in the middle: copy it again.',
        reason_code: null,
        duration_secs: null,
      },
      this.video('night', 'Night, empty pen.mp4', { ...DONE, count: { mean: 0, max: 0, uncertainty: 0.2 } }),
    ];
  }

  get table(): FilmTable {
    return filmTable(this.film);
  }

  video(id: string, name: string, run: Run | null): Video {
    const secs = this.secs(this.table.pts.length - 1) + 0.04;
    return {
      id,
      name,
      duration_secs: secs,
      frames: this.table.pts.length,
      width: FILM.width,
      height: FILM.height,
      codec: 'h264',
      media_type: 'video/mp4',
      recorded_at: null,
      animals: null,
      min_score: null,
      paused: false,
      index: 'ready',
      index_progress: null,
      error: null,
      reason_code: null,
      has_audio: true,
      preview: { frames: this.table.pts.length, sprites: true },
      source: 'yard',
      run,
      recount: null,
      job: null,
    };
  }

  job(id: string, video: string, name: string, state: JobState): Job {
    return {
      id,
      kind: 'analysis',
      video,
      video_name: name,
      run: null,
      created_at: '2026-05-04T06:00:00Z',
      started_at: null,
      state,
      priority: 0,
      is_replaced: false,
      place: null,
      tries: 1,
      progress: 0.5,
      frames_done: 98,
      frames_total: 195,
      frames_per_sec: null,
      eta_secs: null,
      finished_at: null,
      error: null,
      reason_code: null,
    };
  }

  /** In the order of the server. */
  jobList(): Jobs {
    const order: JobState[] = ['running', 'waiting', 'paused', 'failed', 'cancelled', 'done'];
    const jobs = [...this.jobs].sort(
      (one, other) => order.indexOf(one.state) - order.indexOf(other.state) || other.priority - one.priority,
    );
    let place = 0;
    for (const job of jobs) {
      if (job.state === 'waiting') place += 1;
      job.place = job.state === 'waiting' ? place : null;
    }
    const counts = Object.fromEntries(
      order.map((state) => [state, jobs.filter((job) => job.state === state).length]),
    ) as Jobs['counts'];
    return {
      jobs,
      counts,
      eta_secs: counts.running > 0 ? 5400 : null,
      error: null,
      reason_code: null,
      without_job: 0,
    };
  }

  /** The state of a job after an action. */
  change(job: Job, wish: JobWish): Job {
    const becomes = { pause: 'paused', resume: 'waiting', cancel: 'cancelled', retry: 'waiting' } as const;
    return Object.assign(job, { state: becomes[wish], error: null, frames_per_sec: null, eta_secs: null });
  }

  find(id: string): Video | undefined {
    return this.videos.find((video) => video.id === id);
  }

  secs(index: number): number {
    const { pts, timeBase } = this.table;
    return (((pts[index] as number) - (pts[0] as number)) * timeBase[0]) / timeBase[1];
  }

  floorIndex(secs: number): number {
    const { pts } = this.table;
    let index = 0;
    while (index + 1 < pts.length && this.secs(index + 1) <= secs + 1e-4) index += 1;
    return index;
  }

  /** The index of the first `known` frames if the file is still being read. */
  index(known?: number): FrameIndex {
    const { timeBase } = this.table;
    const pts = this.table.pts.slice(0, known);
    const runs: [number, number][] = [];
    for (let place = 1; place < pts.length; place += 1) {
      const delta = (pts[place] as number) - (pts[place - 1] as number);
      const last = runs.at(-1);
      if (last?.[0] === delta) last[1] += 1;
      else runs.push([delta, 1]);
    }
    return {
      is_whole: known === undefined,
      is_mirrored: false,
      duration_secs: this.secs(this.table.pts.length - 1) + 0.04,
      time_base: timeBase,
      first_pts: pts[0] as number,
      runs,
      frames: pts.length,
    };
  }

  boxes(index: number): Box[] {
    return pigBoxes(index)
      .slice(0, index % 50 < 30 ? 4 : 3)
      .map(([x, y, width, height], pig) => [x, y, width, height, 0.9, pig + 1, index % 2 === 0 ? 1 : 0]);
  }

  detections(video: Video, from: number, to: number): DetectionWindow {
    const countedTo = video.run?.counted_to_secs ?? 0;
    const frames = this.table.pts.flatMap((pts, index) => {
      const secs = this.secs(index);
      if (secs < from || secs > to || secs > countedTo) return [];
      const boxes = video.run?.count?.max === 0 ? [] : this.boxes(index);
      return [{ pts, inferred: index % 2 === 0, boxes }];
    });
    return { from_secs: from, to_secs: to, counted_to_secs: countedTo, frames };
  }

  counts(video: Video, from: number, to: number): CountWindow {
    const { frames } = this.detections(video, from, to);
    const first = this.table.pts[0] as number;
    const [numerator, denominator] = this.table.timeBase;
    const points = frames.map(({ pts, boxes }) => {
      const count = boxes.length;
      return [
        ((pts - first) * numerator) / denominator,
        count,
        count,
        count,
      ] as CountWindow['points'][number];
    });
    return { level_secs: 0, counted_to_secs: video.run?.counted_to_secs ?? 0, points };
  }

  crossings(video: string): Crossing[] {
    return this.lines
      .filter((line) => line.video === video)
      .flatMap((line) =>
        [30, 75, 120, 160].map((index, place) => ({
          id: `${line.id} ${place}`,
          line: line.id,
          line_version: line.version,
          direction: place === 2 ? ('backward' as const) : ('forward' as const),
          secs: this.secs(index),
          pts: this.table.pts[index] as number,
          track: place + 1,
        })),
      );
  }

  addLine(wish: Pick<Line, 'video' | 'name'> & LineEnds & Partial<Line>): Line {
    const fixed = {
      version: 1,
      applies: true,
      is_up_to_date: true,
      forward: 3,
      backward: 1,
      counted_to_secs: null,
      picture_width: 640,
      picture_height: 360,
      source: 'source-1',
    };
    const line: Line = { scope: 'video', ...fixed, ...wish, id: `line-${this.#nextLine}` };
    this.#nextLine += 1;
    this.lines.push(line);
    return line;
  }
}
