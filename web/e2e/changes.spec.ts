// Pages that are left alone: what others change shows, and a server that is gone is told and found again.
import { expect, test } from './mock/page.ts';

test('an open list shows what others change without a touch', async ({ farm, page }) => {
  await farm.open('#/');
  await expect(page.getByRole('link', { name: /Pen 4, morning/ })).toBeVisible();
  const videos = farm.world.videos.length;
  const first = farm.world.videos[0];
  if (first) farm.world.videos.push({ ...structuredClone(first), id: 'pen-new', name: 'Pen 9, noon' });
  farm.world.tellChange('videos');
  await expect(page.getByRole('link', { name: /Pen 9, noon/ })).toBeVisible();
  expect(farm.world.videos.length).toBe(videos + 1);
});

test('changes of something else are not asked for', async ({ farm, page }) => {
  for (const video of farm.world.videos) Object.assign(video, { index: 'ready', job: null });
  await farm.open('#/settings');
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await page.waitForLoadState('networkidle');
  const asked = farm.world.requests.length;
  farm.world.tellChange('lines', 'videos', 'jobs', 'cameras');
  await page.waitForLoadState('networkidle');
  expect(farm.world.requests.length).toBe(asked);
});

for (const [place, hash] of [
  ['the list', '#/'],
  ['a video', '#/video/pen-4'],
  ['the queue', '#/queue'],
  ['the settings', '#/settings'],
  ['a camera', '#/camera/gate'],
] as const) {
  test(`a server that is gone is told within five seconds, and comes back by itself: ${place}`, async ({
    farm,
    page,
  }) => {
    farm.forgive(/ERR_CONNECTION_REFUSED|WebSocket|404/);
    await farm.open(hash);
    await expect(page.locator('main')).toBeVisible();
    await expect.poll(() => farm.world.watchers.size).toBe(1);
    farm.world.isGone = true;
    await expect(page.getByText('The server does not answer')).toHaveCount(1, { timeout: 5000 });
    farm.world.isGone = false;
    await expect(page.getByText('The server does not answer')).toBeHidden({ timeout: 5000 });
  });
}

test('a part of the time line is moved by its labels and by the wheel, and stays there', async ({
  farm,
  page,
}) => {
  await farm.open('#/video/pen-4');
  await expect(page.getByText(/^frame 1 of/)).toBeVisible();
  for (let time = 0; time < 2; time += 1)
    await page.getByRole('button', { name: 'Zoom in on the time line' }).click();
  const labels = page.getByTestId('time-line').locator('.labels span');
  const first = () => labels.first().innerText();
  const before = await first();
  const box = await page.getByTestId('time-line').locator('.labels').boundingBox();
  if (!box) throw new Error('no labels');
  await page.mouse.move(box.x + box.width * 0.8, box.y + 5);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.2, box.y + 5, { steps: 5 });
  await page.mouse.up();
  await expect.poll(first).not.toBe(before);
  const moved = await first();
  await expect(page.getByText(/^frame 1 of/)).toBeVisible();
  await page.mouse.wheel(-2000, 0);
  await expect.poll(first).not.toBe(moved);
  await expect.poll(first).toBe(before);
});
