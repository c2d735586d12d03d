// Live video against the server at PIGWEIGHT_URL, each way that it may come, and from one to the next. CAMERA_URL is a camera that sends H.264.
import { expect, type Page, test } from '@playwright/test';
import { watch } from './mock/page.ts';

const cameraUrl = process.env.CAMERA_URL;
let id = '';

test.beforeAll(async ({ playwright, baseURL }) => {
  if (!cameraUrl) return;
  const api = await playwright.request.newContext({ baseURL: baseURL ?? '' });
  const added = await api.post('api/cameras', { data: { name: 'Corridor', url: cameraUrl } });
  expect(added.status()).toBe(201);
  id = (await added.json()).id;
  await api.dispose();
});
test.afterAll(async ({ playwright, baseURL }) => {
  if (id === '') return;
  const api = await playwright.request.newContext({ baseURL: baseURL ?? '' });
  await api.delete(`api/cameras/${id}`);
  await api.dispose();
});
test.beforeEach(() => test.skip(!cameraUrl, 'CAMERA_URL names no camera'));

const means = (page: Page) => page.getByTestId('means');

/** Opens the camera's page; milliseconds until the first picture comes this way. */
async function open(page: Page, way: string): Promise<number> {
  // A way's connection begins when the camera's page is shown.
  await page.goto('./');
  const begun = Date.now();
  await page.goto(`./#/camera/${id}`);
  await page.waitForFunction(
    (wanted) => document.querySelector('[data-testid="means"]')?.getAttribute('data-way') === wanted,
    way,
    { timeout: 30_000, polling: 10 },
  );
  return Date.now() - begun;
}

/** Seconds, once they have settled. */
async function late(page: Page): Promise<number> {
  const told = async () => Number((await means(page).getAttribute('data-late')) || Number.NaN);
  await expect.poll(told, { timeout: 15_000 }).toBeLessThan(1.5);
  return told();
}

/** Boxes lie on the frame that they were found on. */
async function expectBoxes(page: Page): Promise<void> {
  const overlay = page.getByTestId('overlay');
  await expect.poll(() => overlay.getAttribute('data-boxes'), { timeout: 30_000 }).toMatch(/^[1-9]/);
  await expect.poll(() => overlay.getAttribute('data-exact'), { timeout: 30_000 }).toBe('true');
}

/** WebRTC without UDP: the answer names only addresses for TCP. */
const blockUdp = (page: Page) =>
  page.route('**/whep', async (route) => {
    const answer = await route.fetch();
    const sdp = (await answer.text()).replace(/a=candidate:\S+ \d+ udp .*\r\n/gi, '');
    await route.fulfill({ response: answer, body: sdp });
  });

function note(way: string, firstMs: number, lateSecs: number): void {
  test.info().annotations.push({ type: way, description: `first picture ${firstMs} ms, ${lateSecs} s late` });
  console.log(`${way}: first picture after ${firstMs} ms, ${lateSecs} s late`);
}

test('by WebRTC, with boxes on their own frames', async ({ page, baseURL }) => {
  const complaints = watch(page, new URL(baseURL ?? '').origin);
  const firstMs = await open(page, 'webrtc');
  await expectBoxes(page);
  note('WebRTC', firstMs, await late(page));
  await expect(means(page)).toContainText('Live by WebRTC, ');
  expect(complaints).toEqual([]);
});

test('by WebRTC over TCP where UDP does not get through', async ({ page }) => {
  await blockUdp(page);
  const firstMs = await open(page, 'webrtc');
  await expect(means(page)).toHaveAttribute('data-tcp', 'true', { timeout: 15_000 });
  await expectBoxes(page);
  note('WebRTC over TCP', firstMs, await late(page));
  await expect(means(page)).toContainText('Live by WebRTC over TCP');
});

test('by MP4 where WebRTC is refused, with boxes on their own frames, and by WebRTC again by itself', async ({
  page,
}) => {
  await page.route('**/whep', (route) => route.fulfill({ status: 503, body: '' }));
  const firstMs = await open(page, 'fragments');
  await expectBoxes(page);
  note('MP4', firstMs, await late(page));
  await expect(means(page)).toContainText('Live by MP4');
  const video = page.locator('.stage video:not(.hidden)');
  expect(await video.evaluate((element: HTMLVideoElement) => element.videoWidth)).toBe(640);
  await page.unroute('**/whep');
  await expect(means(page)).toHaveAttribute('data-way', 'webrtc', { timeout: 60_000 });
  // The other connection is over.
  await expect(page.locator('.stage video')).toHaveCount(1);
});

test('by pictures where neither gets through, and by MP4 again', async ({ page }) => {
  await page.route('**/whep', (route) => route.fulfill({ status: 503, body: '' }));
  let isCut = true;
  await page.routeWebSocket(/\/ws\/cameras\//, (socket) => {
    if (isCut) socket.close();
    else socket.connectToServer();
  });
  await page.goto(`./#/camera/${id}`);
  await expect(page.locator('.stage img')).toBeVisible({ timeout: 20_000 });
  await expect(means(page)).toHaveAttribute('data-way', 'pictures');
  // Boxes of a frame before it: its own come after it was drawn.
  await expect
    .poll(() => page.getByTestId('overlay').getAttribute('data-boxes'), { timeout: 30_000 })
    .toMatch(/^[1-9]/);
  isCut = false;
  await expect(means(page)).toHaveAttribute('data-way', 'fragments', { timeout: 60_000 });
});

test('the way that is chosen by hand, also after the page was opened anew', async ({ page }) => {
  await open(page, 'webrtc');
  await page.getByTestId('way').selectOption('pictures');
  await expect(page.locator('.stage img')).toBeVisible();
  await expect(page.locator('.stage video')).toHaveCount(0);
  await page.getByTestId('way').selectOption('fragments');
  await expect(means(page)).toHaveAttribute('data-way', 'fragments', { timeout: 20_000 });
  await page.reload();
  await expect(means(page)).toHaveAttribute('data-way', 'fragments', { timeout: 20_000 });
  await page.getByTestId('way').selectOption('auto');
  await expect(means(page)).toHaveAttribute('data-way', 'webrtc', { timeout: 20_000 });
});
