// Runs against the server at PIGWEIGHT_URL: opens the first video, waits for its count, seeks, and draws a line. SCREENSHOTS is
// a folder for screenshots, UPLOAD_FILE a video that the server doesn't have yet, CAMERA_URL a camera that sends H.264.
import { join } from 'node:path';
import { expect, type Page, test } from '@playwright/test';
import { watch } from './mock/page.ts';
import { LIKENESS, look } from './real/look.ts';

const folder = process.env.SCREENSHOTS;
const uploadFile = process.env.UPLOAD_FILE;
const cameraUrl = process.env.CAMERA_URL;

async function screenshot(page: Page, name: string): Promise<void> {
  if (!folder) return;
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: width === 1280 ? 800 : 844 });
    await page.screenshot({ path: join(folder, `${name}-${width}.png`), fullPage: width === 390 });
  }
  await page.setViewportSize({ width: 1280, height: 800 });
}

const isPainted = (page: Page) =>
  page.getByTestId('overlay').evaluate((canvas: HTMLCanvasElement) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    const context = copy.getContext('2d') as OffscreenCanvasRenderingContext2D;
    context.drawImage(canvas, 0, 0);
    return context.getImageData(0, 0, copy.width, copy.height).data.some((value) => value > 0);
  });

test('a video is counted, sought and crossed by a line', async ({ page, baseURL }) => {
  const complaints = watch(page, new URL(baseURL ?? '').origin);
  await page.goto('./');
  const first = page.getByRole('article').first();
  await expect(first).toBeVisible();
  await screenshot(page, 'list');
  await first.getByRole('link').click();

  const reading = page.getByTestId('count-now');
  await expect(page.getByText('Counted', { exact: true })).toBeVisible({ timeout: 500_000 });
  await expect(reading).toHaveAttribute('data-state', 'counted');

  // The highest point of the curve has pigs.
  await expect(page.getByTestId('curve')).toBeVisible();
  const highest = await page.getByTestId('curve').evaluate((path: SVGPathElement) => {
    const points = [...(path.getAttribute('d') ?? '').matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)];
    const top = points.reduce((best, point) => (Number(point[2]) < Number(best[2]) ? point : best));
    return Number(top[1]);
  });
  const strip = page.getByTestId('time-line');
  await strip.click({ position: { x: Math.max(1, highest), y: 60 } });
  await expect(reading).toHaveAttribute('data-state', 'counted');
  await expect(reading).toHaveText(/^\s*[1-9]/);
  await expect.poll(() => isPainted(page)).toBe(true);
  await screenshot(page, 'video');

  const before = await page.getByTestId('line-row').count();
  await page.getByRole('button', { name: 'Draw a line' }).click();
  const picture = await page.getByTestId('overlay').boundingBox();
  if (!picture) throw new Error('no picture');
  const middle = picture.x + picture.width / 2;
  await page.mouse.move(middle, picture.y + picture.height * 0.9);
  await page.mouse.down();
  await page.mouse.move(middle, picture.y + picture.height * 0.1, { steps: 8 });
  await page.mouse.up();
  await expect(page.getByTestId('line-row')).toHaveCount(before + 1);
  await page.reload();
  await expect(page.getByTestId('line-row')).toHaveCount(before + 1);
  await expect(page.getByTestId('line')).toHaveCount(before + 1);
  await expect(reading).toHaveAttribute('data-state', 'counted');
  await screenshot(page, 'line');

  await page.goto('./#/settings');
  await expect(page.getByRole('heading', { name: 'Settings' })).toBeVisible();
  await screenshot(page, 'settings');
  expect(complaints).toEqual([]);
});

test('a transport stream, which no browser opens, is played from its packets', async ({ page, baseURL }) => {
  const complaints = watch(page, new URL(baseURL ?? '').origin);
  await page.goto('./');
  await page.getByRole('link', { name: /stream\.ts/ }).click();
  await expect(page.locator('video')).toBeVisible();
  const strip = page.getByTestId('time-line');
  const place = page.getByText(/^frame \d+ of/);
  await expect(place).toHaveText(/^frame 1 of/);
  for (const share of [0.7, 0.2, 0.95]) {
    const box = await strip.boundingBox();
    if (!box) throw new Error('no time line');
    await strip.click({ position: { x: box.width * share, y: 60 } });
    await expect
      .poll(async () => (await page.evaluate(look)).difference, { timeout: 20_000 })
      .toBeLessThan(LIKENESS);
  }
  const video = page.locator('video');
  const playedTo = () => video.evaluate((element: HTMLVideoElement) => element.currentTime);
  await page.keyboard.press('Home');
  await page.keyboard.press(' ');
  await expect.poll(playedTo, { timeout: 20_000 }).toBeGreaterThan(2);
  await page.keyboard.press(' ');
  await expect(page.getByRole('button', { name: 'Play', exact: true })).toBeVisible();
  expect(complaints).toEqual([]);
});

test('a file from this device becomes a video, also over a connection that breaks', async ({
  page,
  baseURL,
}) => {
  test.skip(!uploadFile, 'UPLOAD_FILE names no video');
  const complaints = watch(page, new URL(baseURL ?? '').origin);
  let pieces = 0;
  await page.route('**/api/uploads/*', async (route) => {
    if (route.request().method() === 'PATCH') pieces += 1;
    if (route.request().method() === 'PATCH' && pieces === 1) await route.abort('connectionreset');
    else await route.continue();
  });
  await page.goto('./');
  await page.getByTestId('files').setInputFiles(uploadFile as string);
  const card = page.getByRole('article').filter({ hasText: 'upload.mp4' });
  await expect(card).toBeVisible({ timeout: 20_000 });
  expect(pieces).toBeGreaterThan(1);
  await expect(page.getByRole('region', { name: 'Files on their way' })).toBeHidden();
  await card.getByRole('link').click();
  await expect(page.getByText(/^frame 1 of/)).toBeVisible({ timeout: 20_000 });
  expect(complaints.filter((text) => !text.includes('ERR_CONNECTION_RESET'))).toEqual([]);
});

test('a camera is added, shown live with boxes on their own frames, and removed', async ({
  page,
  baseURL,
}) => {
  test.skip(!cameraUrl, 'CAMERA_URL names no camera');
  const complaints = watch(page, new URL(baseURL ?? '').origin);
  await page.goto('./');
  await page.getByRole('button', { name: 'Add a camera' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Corridor');
  await page.getByLabel('Address', { exact: true }).fill(cameraUrl ?? '');
  await page.getByRole('button', { name: 'Connect and add' }).click();
  const cameras = page.getByRole('region', { name: 'Cameras' });
  const card = cameras.getByRole('article').filter({ hasText: 'Corridor' });
  await expect(card).toContainText('Live', { timeout: 20_000 });
  // The card plays video, not pictures.
  const plays = (within: ReturnType<Page['locator']>) =>
    within.locator('video').evaluate((video: HTMLVideoElement) => !video.paused && video.videoWidth > 0);
  await expect.poll(() => plays(card), { timeout: 20_000 }).toBe(true);

  await page.getByRole('link', { name: 'Corridor', exact: true }).click();
  await expect(page.getByTestId('means')).toHaveAttribute('data-means', 'video', { timeout: 20_000 });
  const overlay = page.getByTestId('overlay');
  await expect.poll(() => overlay.getAttribute('data-boxes'), { timeout: 30_000 }).toMatch(/^[1-9]/);
  await expect.poll(() => overlay.getAttribute('data-exact')).toBe('true');
  await expect.poll(() => isPainted(page)).toBe(true);
  await screenshot(page, 'camera');

  // Back in time: the recorded picture of a moment, and the recording played from there.
  const hour = page.getByRole('slider', { name: 'The moment that is shown' });
  await expect(hour.locator('[data-recorded]')).not.toHaveCount(0, { timeout: 30_000 });
  await hour.press('PageDown');
  const past = page.getByTestId('past-picture');
  await expect.poll(() => past.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(640);
  await page.getByRole('button', { name: 'Play' }).click();
  const video = page.getByTestId('past-video');
  await expect
    .poll(() =>
      video.evaluate((element: HTMLVideoElement) => element.currentTime > 0.5 && element.videoWidth),
    )
    .toBe(640);
  // With the boxes of the frame that plays.
  await expect.poll(() => overlay.getAttribute('data-pts')).toMatch(/^\d+$/);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Back to now' }).click();
  await expect(past).toHaveCount(0);

  await page.getByRole('link', { name: 'All videos' }).click();
  await card.getByRole('button', { name: 'Remove the camera' }).click();
  await card.getByRole('button', { name: 'Remove the camera' }).click();
  await expect(card).toHaveCount(0);
  expect(complaints).toEqual([]);
});
