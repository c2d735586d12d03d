// Cameras above the videos: each state in its own words, adding and removing.

import { expect, test } from './mock/page.ts';
import { CAMERA } from './mock/world.ts';

test('a camera shows its picture and its number, and says why it is away', async ({ farm, page }) => {
  const reason = { code: 'wrong_password', text: 'the camera refuses the name or password' };
  const nothing = { state: 'no_video', count: null, t: null };
  farm.world.cameras = [
    CAMERA,
    { ...CAMERA, id: 'off', name: 'Ramp', state: 'away', reason, stream: null, count: nothing },
    { ...CAMERA, id: 'new', name: 'Pen 3', count: { state: 'pending', count: null, t: null } },
    { ...CAMERA, id: 'none', name: 'Pen 4', count: { state: 'counted', count: 0, t: 3 } },
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
  farm.world.cameras = [{ ...CAMERA, count: { state: 'counted', count: 13, t: 63 } }];
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
  await page.getByLabel('Address').fill('rtsp://192.168.1.20/stream1');
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
