// Cameras above the videos: each state in its own words, adding and removing.

import { expect, test } from './mock/page.ts';
import { CAMERA } from './mock/world.ts';

// The made-up world has no WebRTC: each try of it is refused, and the page shows pictures.
test.beforeEach(({ farm }) => farm.forgive(/503/));

test('a camera shows its picture and its number, and says why it is away', async ({ farm, page }) => {
  const reason = { code: 'wrong_password', text: 'the camera refuses the name or password' };
  const nothing = { state: 'no_video', count: null, uncertainty: null, t: null };
  farm.world.cameras = [
    CAMERA,
    { ...CAMERA, id: 'off', name: 'Ramp', state: 'away', reason, stream: null, count: nothing },
    {
      ...CAMERA,
      id: 'new',
      name: 'Pen 3',
      count: { state: 'pending', count: null, uncertainty: null, t: null },
    },
    { ...CAMERA, id: 'none', name: 'Pen 4', count: { state: 'counted', count: 0, uncertainty: 0.4, t: 3 } },
  ];
  await farm.open();
  const cameras = page.getByRole('region', { name: 'Cameras' });
  const card = (name: string) => cameras.getByRole('article').filter({ hasText: name });
  await expect(card('Gate')).toContainText('12');
  await expect(card('Gate')).toContainText('pigs now');
  await expect(card('Gate')).toContainText('Live');
  const picture = card('Gate').getByRole('img');
  await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(640);
  await expect(card('Ramp')).toContainText('No connection');
  await expect(card('Ramp')).toContainText('The camera refuses the name or password');
  await expect(card('Ramp').getByTestId('camera-count')).toHaveText('No video');
  await expect(card('Pen 3').getByTestId('camera-count')).toHaveText('Not analysed yet');
  await expect(card('Pen 4').getByTestId('camera-count')).toContainText('No pigs');
  // It changes without a touch.
  farm.world.cameras = [{ ...CAMERA, count: { state: 'counted', count: 13, uncertainty: 2.2, t: 63 } }];
  await expect(card('Gate')).toContainText('13');
  await expect(cameras.getByRole('article')).toHaveCount(1);
});

test('a camera is added after it was connected, or all the same, and removed', async ({ farm, page }) => {
  farm.forgive(/422/);
  farm.world.refuseCamera = '192.168.1.20 does not answer';
  await farm.open();
  const cameras = page.getByRole('region', { name: 'Cameras' });
  await cameras.getByRole('button', { name: 'Add a camera' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Scale');
  await page.getByLabel('Address', { exact: true }).fill('rtsp://192.168.1.20/stream1');
  await page.getByLabel('User').fill('cam');
  await page.getByLabel('Password').fill('p@ss:w/rd');
  await page.getByRole('button', { name: 'Connect and add' }).click();
  await expect(page.getByRole('alert')).toHaveText('192.168.1.20 does not answer');
  await page.getByRole('button', { name: 'Add it all the same' }).click();
  const card = cameras.getByRole('article').filter({ hasText: 'Scale' });
  await expect(card).toBeVisible();
  await card.getByRole('button', { name: 'Remove the camera' }).click();
  await card.getByRole('button', { name: 'Cancel' }).click();
  await expect(card).toBeVisible();
  await card.getByRole('button', { name: 'Remove the camera' }).click();
  await card.getByRole('button', { name: 'Remove the camera' }).click();
  await expect(card).toHaveCount(0);
});

test('what was found in a camera that is added is told, with what would be better', async ({
  farm,
  page,
}) => {
  await farm.open();
  const cameras = page.getByRole('region', { name: 'Cameras' });
  await cameras.getByRole('button', { name: 'Add a camera' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Scale');
  await page.getByLabel('Address', { exact: true }).fill('rtsp://192.168.1.20/stream1');
  await page.getByRole('button', { name: 'Connect and add' }).click();
  const added = page.getByRole('region', { name: 'Scale is added.' });
  const facts = added.getByTestId('stream-facts');
  await expect(facts).toContainText('H.264');
  await expect(facts).toContainText('640 × 360 px');
  await expect(facts).toContainText('15.0 frames a second');
  await expect(facts).toContainText('keyframe every 8 sec');
  await expect(facts).toContainText('its clock is 1 hr behind');
  await expect(added.getByTestId('advice').getByRole('listitem')).toHaveCount(2);
  await expect(added.getByTestId('advice')).toContainText('Set a keyframe every 1 to 2 seconds');
  await added.getByRole('button', { name: 'Close' }).click();
  await expect(added).toHaveCount(0);
  await expect(cameras.getByRole('article').filter({ hasText: 'Scale' })).toBeVisible();
});

test('a camera tells what happened to it, and which stream is counted', async ({ farm, page }) => {
  farm.world.cameras = [CAMERA];
  await farm.open('#/camera/gate');
  await page.getByText('Settings and history').click();
  const history = page.getByTestId('camera-history').getByRole('listitem');
  await expect(history).toHaveCount(2);
  await expect(history.first()).toContainText('Live');
  await expect(history.last()).toContainText('The camera stopped sending');
  await page.getByLabel('Address of the stream for counting').fill('rtsp://192.168.1.20/stream2');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'The stream that is counted' })).toBeVisible();
  expect(farm.world.cameras[0]?.counting_stream?.url).toBe('rtsp://192.168.1.20/stream2');
});

test('on a phone pictures come when they are asked for', async ({ farm, page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  farm.world.cameras = [CAMERA];
  await farm.open();
  const card = page.getByRole('region', { name: 'Cameras' }).getByRole('article');
  await expect(card).toContainText('12');
  await expect(card.getByRole('img')).toHaveCount(0);
  await card.getByRole('button', { name: 'Show the picture' }).click();
  await expect(card.getByRole('img')).toBeVisible();
  expect(farm.world.requests.filter((request) => request.includes('frame.jpg'))).not.toHaveLength(0);
});

test('one camera, large: its count with boxes, and a line drawn on its picture', async ({ farm, page }) => {
  farm.world.cameras = [CAMERA];
  // The picture's own frame has boxes: fifteen animals, of which twelve are settled.
  const pts = farm.world.table.pts[farm.world.floorIndex(1)] ?? 0;
  const box = [100, 50, 80, 40, 0.9];
  farm.world.updates = [
    { type: 'boxes', id: CAMERA.video, pts, rtp: pts, t: 1, count: 15, boxes: [box, box] },
  ];
  await farm.open();
  await page.getByRole('link', { name: 'Gate', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'Gate' })).toBeVisible();
  const count = page.getByTestId('camera-count');
  await expect(count).toContainText('15');
  await expect(count).toContainText('± 2');
  await expect(page.getByText('A few seconds ago, settled: 12')).toBeVisible();
  await expect(page.getByTestId('overlay')).toHaveAttribute('data-boxes', '2');
  await expect(page.getByTestId('means')).toHaveText('Single pictures, about one a second');
  await expect(page.getByText('Draw a line where pigs pass')).toBeVisible();
  // A hundred seconds without video in the last hour: never a count of 0.
  await expect(page.getByTestId('hour').locator('[data-counted="false"]')).toHaveCount(1);
  await expect(page.getByText('No video:')).toBeVisible();

  await page.getByRole('button', { name: 'Draw a line' }).click();
  await expect(page.getByText('all recordings')).toHaveCount(0);
  const picture = await page.getByTestId('lines').boundingBox();
  if (!picture) throw new Error('no picture');
  const middle = picture.x + picture.width / 2;
  await page.mouse.move(middle, picture.y + picture.height * 0.8);
  await page.mouse.down();
  await page.mouse.move(middle, picture.y + picture.height * 0.2);
  await page.mouse.up();
  await expect(page.getByTestId('line-row')).toHaveCount(1);
  expect(farm.world.lines[0]).toMatchObject({ video: CAMERA.video, scope: 'source' });

  farm.world.cameras = [
    {
      ...CAMERA,
      state: 'away',
      stream: null,
      count: { state: 'no_video', count: null, uncertainty: null, t: null },
    },
  ];
  await expect(count).toHaveText('No video');
  await expect(page.getByText('No connection')).toBeVisible();
});

test('a camera that sends what browsers do not show live says so', async ({ farm, page }) => {
  const stream = { codec: 'h265', width: 640, height: 360, frames_per_sec: 15 };
  farm.world.cameras = [
    { ...CAMERA, stream },
    { ...CAMERA, id: 'b', delivered: { ...CAMERA.delivered, has_reordered_frames: true } },
  ];
  await farm.open('#/camera/gate');
  await expect(page.getByText('The camera sends H.265')).toBeVisible();
  await farm.open('#/camera/b');
  await expect(page.getByText('The camera sends H.264 with B-frames')).toBeVisible();
  // Live video is asked for all the same: the server transcodes it.
  await expect.poll(() => farm.world.requests.some((request) => request.includes('whep'))).toBe(true);
});

test('the way of the picture is told, and chosen by hand for good', async ({ farm, page }) => {
  farm.world.cameras = [CAMERA];
  await farm.open('#/camera/gate');
  const asked = () => farm.world.requests.filter((request) => request.includes('whep')).length;
  await expect.poll(asked).toBeGreaterThan(0);
  await expect(page.getByTestId('means')).toHaveAttribute('data-way', 'pictures');
  await page.getByLabel('Way').selectOption({ label: 'pictures' });
  await page.reload();
  await expect(page.getByLabel('Way')).toHaveValue('pictures');
  await expect(page.locator('.stage img')).toBeVisible();
  const before = asked();
  await expect(page.locator('.stage video')).toHaveCount(0);
  await page.getByLabel('Way').selectOption({ label: 'the best that works' });
  await expect.poll(asked).toBeGreaterThan(before);
});

test('a camera that was removed is not looked for without end', async ({ farm, page }) => {
  farm.forgive(/404/);
  await farm.open('#/camera/none');
  await expect(page.getByText('There is no such camera')).toBeVisible();
});

test('back in time: a moment is chosen on the hour, played, kept as a video, and left for now', async ({
  farm,
  page,
}) => {
  farm.forgive(/404/);
  farm.world.cameras = [CAMERA];
  await farm.open();
  await page.getByRole('link', { name: 'Gate', exact: true }).click();
  const hour = page.getByRole('slider', { name: 'The moment that is shown' });
  await expect(hour.locator('[data-recorded]')).toHaveCount(1);
  await expect(hour).toHaveAttribute('aria-valuetext', 'now');
  const place = await hour.boundingBox();
  if (!place) throw new Error('no hour');
  await page.mouse.click(place.x + place.width * 0.25, place.y + place.height / 2);
  await expect(page.getByTestId('past-picture')).toBeVisible();
  await expect(page.getByTestId('camera-count')).toContainText('7');
  const time = page.getByTestId('past-time');
  const chosen = Number(await hour.getAttribute('aria-valuenow'));
  const before = await time.textContent();
  // Keys move it by a second; beyond what is recorded they stop.
  await hour.press('ArrowRight');
  await expect(hour).toHaveAttribute('aria-valuenow', String(chosen + 1));
  await expect(time).not.toHaveText(before ?? '');
  await page.mouse.click(place.x + place.width * 0.9, place.y + place.height / 2);
  const last = Number(await hour.getAttribute('aria-valuenow'));
  expect(last).toBeGreaterThan(chosen + 600);
  expect(last).toBeLessThan(chosen + 1200);
  const asked = () => farm.world.requests.filter((request) => request.includes('frame_optimized')).length;
  const askedBefore = asked();
  await page.getByRole('button', { name: 'Play' }).click();
  await expect.poll(asked).toBeGreaterThan(askedBefore);
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByLabel('Keep as a video').selectOption({ label: '15 minutes around it' });
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('link', { name: 'Gate 2026-11-23.mp4' })).toBeVisible();
  await page.getByRole('button', { name: 'Back to now' }).click();
  await expect(page.getByTestId('past-picture')).toHaveCount(0);
  await expect(page.getByTestId('means')).toBeVisible();
  // Earlier hours.
  await page.getByRole('button', { name: 'Hour earlier' }).click();
  await expect(page.getByRole('button', { name: 'Hour later' })).toBeEnabled();
});
