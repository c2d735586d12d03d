// JPEGs of the film's frames, all made at once by ffmpeg and kept: the made-up server's `frame_optimized`.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { filmPath } from './film.ts';

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
