// Makes the test videos once: pigs (pink ovals) walk over a pen, and each frame carries its number as a bar code, so that a test
// can read from the pixels which frame the browser shows. As from a real recorder, frames are missing and the stream has
// B-frames: code that derives frames from a frame rate fails.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const FILM = { width: 640, height: 360, bits: 10, cell: 32, barTop: 332 } as const;
const PICTURES = 220;
const FOLDER = fileURLToPath(new URL('../../node_modules/.cache/pigweight-e2e/', import.meta.url));

/** A recorder that drops every 17th frame, and once twelve in a row. */
const isKept = (picture: number) => picture % 17 !== 5 && !(picture >= 90 && picture < 102);

/** Boxes of the pigs in frame `index`: left, top, width, height. The left edge of the first encodes the frame. */
export function pigBoxes(index: number): [number, number, number, number][] {
  const wave = (phase: number) => Math.sin(index / 25 + phase);
  return [
    [20 + 2 * index, 60, 90, 50],
    [250 + 60 * wave(1), 140, 84, 46],
    [420 - index, 230 + 20 * wave(2), 88, 48],
    [120 + 40 * wave(3), 250, 80, 44],
  ];
}

export const filmPath = (name: 'plain' | 'shifted') => join(FOLDER, `${name}.mp4`);

/** The film as HLS: the playlist film.m3u8, or one of its segments. */
export const streamPath = (name: string) => join(FOLDER, 'stream', name);

export interface FilmTable {
  timeBase: [number, number];
  pts: number[];
}

export const filmTable = (name: 'plain' | 'shifted') =>
  JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8')) as FilmTable;

function paintFrame(index: number): Buffer {
  const { width, height, bits, cell, barTop } = FILM;
  const luma = Buffer.alloc(width * height, 92);
  const blue = Buffer.alloc((width * height) / 4, 120);
  const red = Buffer.alloc((width * height) / 4, 134);
  for (const [x, y, boxWidth, boxHeight] of pigBoxes(index)) {
    for (let row = Math.floor(y); row < y + boxHeight; row += 1) {
      for (let column = Math.floor(x); column < x + boxWidth; column += 1) {
        const u = (column - x - boxWidth / 2) / (boxWidth / 2);
        const v = (row - y - boxHeight / 2) / (boxHeight / 2);
        if (u * u + v * v > 1) continue;
        luma[row * width + column] = 178;
        red[(row >> 1) * (width / 2) + (column >> 1)] = 148;
      }
    }
  }
  for (let bit = 0; bit < bits; bit += 1) {
    const isSet = (index >> bit) & 1;
    for (let row = barTop; row < height; row += 1) {
      luma.fill(isSet ? 235 : 16, row * width + bit * cell, row * width + (bit + 1) * cell);
    }
  }
  return Buffer.concat([luma, blue, red]);
}

function probe(path: string): FilmTable {
  const run = (entries: string) =>
    execFileSync('ffprobe', [
      '-v',
      'error',
      '-select_streams',
      'v',
      '-show_entries',
      entries,
      '-of',
      'json',
      path,
    ]);
  const [numerator, denominator] = JSON.parse(run('stream=time_base').toString()).streams[0].time_base.split(
    '/',
  );
  const frames = JSON.parse(run('frame=pts').toString()).frames as { pts: number }[];
  return { timeBase: [Number(numerator), Number(denominator)], pts: frames.map((frame) => frame.pts) };
}

export default function makeFilms(): void {
  if (existsSync(join(FOLDER, 'shifted.json')) && existsSync(streamPath('film.m3u8'))) return;
  mkdirSync(streamPath(''), { recursive: true });
  const frames: Buffer[] = [];
  let index = 0;
  for (let picture = 0; picture < PICTURES; picture += 1) {
    frames.push(paintFrame(index));
    if (isKept(picture)) index += 1;
  }
  // A dropped frame carries the number of the next kept one; the filter below drops it.
  const keep = 'not(eq(mod(n,17),5)+between(n,90,101))';
  const raw = [
    '-f',
    'rawvideo',
    '-pix_fmt',
    'yuv420p',
    '-s',
    `${FILM.width}x${FILM.height}`,
    '-r',
    '25',
    '-i',
    '-',
  ];
  const code = [
    '-c:v',
    'libx264',
    '-preset',
    'veryfast',
    '-bf',
    '2',
    '-g',
    '50',
    '-crf',
    '24',
    '-pix_fmt',
    'yuv420p',
  ];
  const made = spawnSync(
    'ffmpeg',
    [
      '-v',
      'error',
      '-y',
      ...raw,
      '-vf',
      `select='${keep}'`,
      '-fps_mode',
      'vfr',
      ...code,
      '-movflags',
      '+faststart',
      filmPath('plain'),
    ],
    { input: Buffer.concat(frames) },
  );
  if (made.status !== 0) throw new Error(`ffmpeg: ${made.stderr}`);
  // Without an edit list the stream keeps its own start, which is not zero.
  execFileSync('ffmpeg', [
    ...['-v', 'error', '-y', '-i', filmPath('plain'), '-c', 'copy', '-use_editlist', '0'],
    ...['-movflags', '+frag_keyframe+empty_moov+default_base_moof', filmPath('shifted')],
  ]);
  execFileSync('ffmpeg', [
    ...['-v', 'error', '-y', '-i', filmPath('plain'), '-c', 'copy', '-f', 'hls', '-hls_segment_type', 'fmp4'],
    ...['-hls_playlist_type', 'vod', '-hls_time', '2', '-hls_segment_filename', streamPath('%d.m4s')],
    ...['-hls_fmp4_init_filename', 'init.mp4', streamPath('film.m3u8')],
  ]);
  for (const name of ['plain', 'shifted'] as const) {
    writeFileSync(join(FOLDER, `${name}.json`), JSON.stringify(probe(filmPath(name))));
  }
}
