// Drags over the time line of a video by real pointer events in Chromium, and tells as one line of JSON how soon each picture
// was there: node bench/drag.mjs URL MOVES. The video is bar-coded and has a keyframe a second (bench/frames.py).
//
// Two ways of dragging. `pointed`: each move waits for its exact picture. `dragged`: moves come as a hand makes them, 60 a
// second, and pictures come as they can; each exact one is read and compared with the frame that it was asked as.
import { chromium } from '@playwright/test';

const [url, moves] = [process.argv[2], Number(process.argv[3])];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
  ],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });

await page.addInitScript(() => {
  const BLOCK_PX = 48;
  const BITS = 13;
  const log = { moves: [], sprites: [], exact: [], waiting: null };
  window.dragLog = log;
  // Frame numbers by the address that a small picture was asked at.
  const asked = new WeakMap();
  const fetched = window.fetch;
  window.fetch = async (...request) => {
    const response = await fetched(...request);
    const address = String(request[0] instanceof Request ? request[0].url : request[0]);
    const pts = /preview\/frame\?pts=(-?\d+)/.exec(address)?.[1];
    if (pts === undefined) return response;
    const blob = response.blob.bind(response);
    response.blob = async () => {
      const bytes = await blob();
      asked.set(bytes, Number(pts));
      return bytes;
    };
    return response;
  };
  const decoded = window.createImageBitmap;
  window.createImageBitmap = async (source, ...rest) => {
    const bitmap = await decoded(source, ...rest);
    if (asked.has(source)) asked.set(bitmap, asked.get(source));
    return bitmap;
  };
  const number = (context) => {
    const { width } = context.canvas;
    const block = (BLOCK_PX * width) / 1920;
    let found = 0;
    for (let bit = 0; bit < BITS; bit += 1) {
      const pixel = context.getImageData(Math.floor((bit + 0.5) * block), Math.floor(block / 2), 1, 1).data;
      if (pixel[0] > 128) found |= 1 << bit;
    }
    return found;
  };
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (source, ...rest) {
    draw.call(this, source, ...rest);
    if (this.canvas.dataset.testid !== 'still') return;
    const at = performance.now();
    if (rest.length === 8) log.sprites.push(at);
    else if (asked.has(source)) {
      log.exact.push({ at, pts: asked.get(source), number: number(this) });
      log.waiting?.();
    }
  };
  // After the page's own listeners: what is drawn in the event itself is drawn by now.
  window.addEventListener('pointermove', (event) => {
    const last = log.sprites.at(-1) ?? 0;
    log.moves.push({ at: event.timeStamp, drawn: last >= event.timeStamp ? last : null });
  });
});

await page.goto(url);
await page.getByRole('article').first().getByRole('link').click();
await page.getByText(/^frame \d+ of/).waitFor();
const strip = await page.getByTestId('time-line').boundingBox();
// Thumbnails are there when the page has them: a hover shows one.
const x = (share) => strip.x + 2 + share * (strip.width - 4);
const y = strip.y + 60;
await page.mouse.move(x(0.5), y);
await page.waitForFunction(() =>
  performance.getEntriesByType('resource').some((entry) => /preview\/0\.jpg/.test(entry.name)),
);

let seed = 1;
const random = () => {
  // Numerical Recipes' generator: the same drag in every run.
  seed = (seed * 1664525 + 1013904223) % 4294967296;
  return seed / 4294967296;
};
await page.mouse.down();
const pointed = [];
for (let move = 0; move < moves; move += 1) {
  const before = await page.evaluate(() => {
    const log = window.dragLog;
    log.next = new Promise((resolve) => {
      log.waiting = resolve;
    });
    return { moves: log.moves.length, sprites: log.sprites.length };
  });
  await page.mouse.move(x(random()), y);
  const seen = await page.evaluate(async (before) => {
    const log = window.dragLog;
    const none = new Promise((resolve) => setTimeout(resolve, 2000));
    await Promise.race([log.next, none]);
    log.waiting = null;
    return { move: log.moves[before.moves] ?? null, exact: log.exact.at(-1) ?? null };
  }, before);
  if (seen.move && seen.exact && seen.exact.at >= seen.move.at) {
    pointed.push({
      ...seen.exact,
      eventMs: seen.move.drawn === null ? null : seen.move.drawn - seen.move.at,
      exactMs: seen.exact.at - seen.move.at,
    });
  } else pointed.push(null);
}
const from = await page.evaluate(() => {
  const log = window.dragLog;
  return { moves: log.moves.length, exact: log.exact.length };
});
let place = 0.1;
let step = 0.004;
for (let move = 0; move < moves; move += 1) {
  if (place + step > 0.98 || place + step < 0.02 || random() < 0.05) step = (random() - 0.5) * 0.02;
  place = Math.min(0.98, Math.max(0.02, place + step));
  await page.mouse.move(x(place), y);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
}
const dragged = await page.evaluate((from) => {
  const log = window.dragLog;
  return { moves: log.moves.slice(from.moves), exact: log.exact.slice(from.exact) };
}, from);
await page.mouse.up();
console.log(JSON.stringify({ pointed, dragged }));
await browser.close();
