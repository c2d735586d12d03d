// API types that are narrower than the document can express: tuples, and parts of requests.

import type { Counts, Detections, FrameBoxes, FrameTimes, Line } from './types';

/** px of the upright frame; the last number says whether the detector measured the box (1) or it is interpolated (0). */
export type Box = [
  x: number,
  y: number,
  width: number,
  height: number,
  score: number,
  track: number,
  measured: 0 | 1,
];

export type DetectionFrame = Omit<FrameBoxes, 'boxes'> & { boxes: Box[] };

export type DetectionWindow = Omit<Detections, 'frames'> & { frames: DetectionFrame[] };

export type CountPoint = [secs: number, mean: number, min: number, max: number];

export type CountWindow = Omit<Counts, 'points'> & { points: CountPoint[] };

/** The pts of all frames in display order, run-length coded: see `time/pts_table.ts`. */
export type FrameIndex = Omit<FrameTimes, 'runs' | 'time_base'> & {
  time_base: [number, number];
  runs: [deltaPts: number, count: number][];
};

export type LineEnds = Pick<Line, 'x1' | 'y1' | 'x2' | 'y2'>;

export type JobWish = 'pause' | 'resume' | 'cancel' | 'retry';
