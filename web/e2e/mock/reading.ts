// Reads the shown frame from pixels: the bar code of the picture, and the position of the first pig's box on the overlay. Runs
// inside the page.
import type { Page } from '@playwright/test';
import { FILM } from './film.ts';

export interface Reading {
  /** The number in the bar code of the picture. */
  picture: number;
  /** The frame that the first box was drawn for; −1 without a box. */
  overlay: number;
}

declare global {
  interface Window {
    readFrames(): Reading;
  }
}

/** Call before the page is opened. */
export async function prepareReading(page: Page): Promise<void> {
  await page.addInitScript((film) => {
    const small = new OffscreenCanvas(film.width, film.height);
    const context = small.getContext('2d', { willReadFrequently: true }) as OffscreenCanvasRenderingContext2D;

    const copy = new OffscreenCanvas(1, 1);
    const copyContext = copy.getContext('2d', {
      willReadFrequently: true,
    }) as OffscreenCanvasRenderingContext2D;

    function readPicture(): number {
      const source =
        document.querySelector<HTMLCanvasElement>(
          '[data-testid="still"]:not([hidden]), [data-testid="pictures"]',
        ) ?? document.querySelector('video');
      if (!source) return -1;
      context.drawImage(source, 0, 0, film.width, film.height);
      let index = 0;
      for (let bit = 0; bit < film.bits; bit += 1) {
        const pixel = context.getImageData((bit + 0.5) * film.cell, film.barTop + 14, 1, 1).data;
        if ((pixel[1] as number) > 128) index |= 1 << bit;
      }
      return index;
    }

    function readOverlay(): number {
      const canvas = document.querySelector<HTMLCanvasElement>('[data-testid="overlay"]');
      if (!canvas || canvas.width === 0) return -1;
      const scale = Math.min(canvas.width / film.width, canvas.height / film.height);
      const left = (canvas.width - film.width * scale) / 2;
      const top = (canvas.height - film.height * scale) / 2;
      // Rows through the first pig's box below its number; several, because an estimated box is dashed.
      const from = Math.round(top + 80 * scale);
      const rows = Math.round(25 * scale);
      copy.width = canvas.width;
      copy.height = rows;
      copyContext.drawImage(canvas, 0, -from);
      const { data } = copyContext.getImageData(0, 0, copy.width, rows);
      for (let x = 0; x < copy.width; x += 1) {
        for (let y = 0; y < rows; y += 1) {
          // The casing reaches two pixels beyond the box.
          if ((data[(y * copy.width + x) * 4 + 3] as number) > 60) {
            return Math.max(0, Math.round(((x + 2 - left) / scale - 20) / 2));
          }
        }
      }
      return -1;
    }

    window.readFrames = () => ({ picture: readPicture(), overlay: readOverlay() });
  }, FILM);
}

export const readFrames = (page: Page) => page.evaluate(() => window.readFrames());
