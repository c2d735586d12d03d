// Compares what the page says and shows of the frame with the exact picture of the server. Runs inside the page of any browser,
// so it imports nothing.

export interface Look {
  /** The frame that the page names, from 0; −1 where it names none. */
  frame: number;
  frames: number;
  /** Mean difference of the pictures, 0 to 255. */
  difference: number;
}

export async function look(): Promise<Look> {
  const words = [...document.querySelectorAll('*')].find(
    (element) => element.children.length === 0 && /^frame \d+ of/.test(element.textContent ?? ''),
  );
  const video = document.querySelector('video');
  // Single pictures, where the browser can't play the video.
  const canvases = '[data-testid="pictures"], [data-testid="still"]:not([hidden])';
  const still = document.querySelector<HTMLCanvasElement>(canvases);
  const screen = still ?? video;
  if (!words || !screen) return { frame: -1, frames: 0, difference: 255 };
  const frame = Number(/\d+/.exec(words.textContent ?? '')?.[0]) - 1;
  const id = location.hash.replace(/^#\/video\/([^?]*).*$/, '$1');
  const index = await (await fetch(`api/videos/${id}/index`)).json();
  let pts = index.first_pts;
  let left = frame;
  for (const [delta, count] of index.runs as [number, number][]) {
    pts += delta * Math.min(left, count);
    left -= Math.min(left, count);
  }
  const small = (source: CanvasImageSource) => {
    const canvas = new OffscreenCanvas(320, 180);
    const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
    context.drawImage(source, 0, 0, 320, 180);
    return context.getImageData(0, 0, 320, 180).data;
  };
  const answer = await fetch(`api/videos/${id}/preview/frame?pts=${pts}`);
  const exact = small(await createImageBitmap(await answer.blob()));
  const shown = small(screen);
  let sum = 0;
  for (let place = 0; place < shown.length; place += 1) {
    sum += Math.abs((shown[place] as number) - (exact[place] as number));
  }
  return { frame, frames: index.frames, difference: (4 / 3) * (sum / shown.length) };
}

/** Two decoders and a JPEG differ by less. */
export const LIKENESS = 4;
