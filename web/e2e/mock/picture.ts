// JPEGs of the frames of the film, made once by ffmpeg: `frame_optimized` of the mock server.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { filmPath } from './film.ts';

/** Size of a thumbnail in px and the number of frames between two. */
export const SPRITE = { width: 160, height: 90, every: 25 };

export function spriteSheet(film: 'plain' | 'shifted'): Buffer {
  const path = `${filmPath(film)}.sprites.jpg`;
  if (!existsSync(path)) {
    const { width, height, every } = SPRITE;
    const filter = `select=not(mod(n\\,${every})),scale=${width}:${height},tile=8x1`;
    execFileSync('ffmpeg', [
      '-v',
      'error',
      '-i',
      filmPath(film),
      '-vf',
      filter,
      '-frames:v',
      '1',
      '-q:v',
      '4',
      path,
    ]);
  }
  return readFileSync(path);
}

export function framePicture(film: 'plain' | 'shifted', index: number): Buffer {
  const folder = `${filmPath(film)}.pictures`;
  if (!existsSync(folder)) {
    mkdirSync(folder);
    const pattern = join(folder, '%04d.jpg');
    execFileSync('ffmpeg', [
      '-v',
      'error',
      '-i',
      filmPath(film),
      '-fps_mode',
      'passthrough',
      '-q:v',
      '4',
      pattern,
    ]);
  }
  return readFileSync(join(folder, `${String(index + 1).padStart(4, '0')}.jpg`));
}
