// Finding cameras on the network: the list grows, the password is asked for once, each stream is shown and added.

import AxeBuilder from '@axe-core/playwright';
import { expect, test } from './mock/page.ts';
import { DISCOVERY } from './mock/world.ts';

// The made-up world has no WebRTC, and one camera that shows nothing.
test.beforeEach(({ farm }) => farm.forgive(/503|422/));

const WIDTHS = [
  ['desk', { width: 1280, height: 800 }],
  ['phone', { width: 390, height: 844 }],
  ['phone on its side', { width: 844, height: 390 }],
] as const;

for (const [where, size] of WIDTHS) {
  test(`cameras are found, asked with one password, and added: ${where}`, async ({ farm, page }) => {
    await page.setViewportSize(size);
    const [gate] = DISCOVERY.cameras;
    if (!gate) throw new Error('a camera');
    farm.world.discovery = { ...DISCOVERY, state: 'searching', networks: null, cameras: [] };
    await farm.open();
    const cameras = page.getByRole('region', { name: 'Cameras', exact: true });
    await cameras.getByRole('button', { name: 'Find cameras' }).click();
    const found = page.getByRole('region', { name: 'Cameras on the network' });
    await expect(found.getByRole('status')).toHaveText('Searching the network…');
    farm.world.discovery = { ...farm.world.discovery, cameras: [{ ...gate, state: 'asking', reason: null }] };
    await expect(found.getByRole('status')).toHaveText('1 camera so far…');
    await expect(found.getByRole('article')).toContainText('is being asked');
    farm.world.discovery = DISCOVERY;
    await expect(found.getByRole('status')).toHaveText('2 cameras');

    // One form for both.
    await expect(found.getByText('2 cameras want a user and a password')).toBeVisible();
    await page.screenshot({ path: test.info().outputPath('form.png'), fullPage: true });
    await found.getByLabel('User').fill('cam');
    await found.getByLabel('Password').fill('p@ss:w/rd');
    await found.getByRole('button', { name: 'Ask the cameras' }).click();
    expect(farm.world.sentToDiscovery).toContainEqual({ user: 'cam', password: 'p@ss:w/rd' });
    await expect(found.getByLabel('Password')).toHaveCount(0);

    const first = found.getByRole('article').filter({ hasText: '192.168.1.20' });
    await expect(first).toContainText('HIKVISION DS-2CD2143G2-I');
    await expect(first).toContainText('H264 · 2560×1440 · 20 frames/s · keyframe every 2 sec');
    await expect(first.getByRole('listitem').first()).toContainText('best picture');
    await expect(first.getByRole('listitem').nth(1)).toContainText('enough for counting');
    const picture = first.getByRole('img', { name: 'Picture of mainStream' });
    await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(640);
    const second = found.getByRole('article').filter({ hasText: '192.168.1.21' });
    await expect(second).toContainText('Its clock is 9,829 days slow');
    await expect(second).toContainText('It names 192.168.0.10 as its address');
    await expect(second).toContainText('the camera stopped sending for 12 s');
    await expect(second).toContainText('password=***');

    const isTooWide = () => page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    expect(await isTooWide()).toBe(false);
    const { violations } = await new AxeBuilder({ page }).analyze();
    const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    expect(serious.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
    await page.screenshot({ path: test.info().outputPath('found.png'), fullPage: true });

    await expect(first.getByLabel('Count subStream')).toBeChecked();
    await first.getByLabel('Name').fill('Gate camera');
    await first.getByRole('button', { name: 'Add mainStream' }).click();
    await expect(first.getByRole('link', { name: 'Added' })).toHaveCount(1);
    const counted = { name: 'Gate camera', profile: '0-0', counting_profile: '0-1', test: true };
    expect(farm.world.sentToDiscovery).toContainEqual(counted);
    await expect(cameras.getByRole('article').filter({ hasText: 'Gate camera' })).toHaveCount(1);

    // What can't be connected says why, and is added all the same.
    farm.world.refuseCamera = '192.168.1.21 does not answer';
    await second.getByRole('button', { name: 'Add main' }).click();
    await expect(second.getByRole('alert')).toHaveText('192.168.1.21 does not answer');
    await second.getByRole('button', { name: 'Add it all the same' }).click();
    await expect(second.getByRole('link', { name: 'Added' })).toHaveCount(1);

    await found.getByRole('button', { name: 'Close' }).click();
    await expect(found).toHaveCount(0);
    // Closed, it is forgotten, with the password.
    await expect.poll(() => farm.world.requests).toContain('DELETE api/cameras/discoveries/search');
  });
}

test('where nothing answers, or nothing can be searched, it says what to do', async ({ farm, page }) => {
  farm.world.discovery = { ...DISCOVERY, cameras: [] };
  await farm.open();
  await page.getByRole('button', { name: 'Find cameras' }).click();
  const found = page.getByRole('region', { name: 'Cameras on the network' });
  await expect(found.getByRole('status')).toHaveText('No camera answered');
  await expect(found).toContainText('Switch ONVIF on');
  const problem = 'this machine is in no IPv4 network; connect it to the network of the cameras';
  farm.world.discovery = { ...DISCOVERY, state: 'failed', problem, cameras: [] };
  await found.getByRole('button', { name: 'Search again' }).click();
  await expect(found.getByRole('alert')).toHaveText(problem);
});

test('a password that is refused may be entered again', async ({ farm, page }) => {
  const reason = { code: 'wrong_password', text: 'it refuses the user or the password' };
  const refused = DISCOVERY.cameras.map((camera) => ({ ...camera, state: 'failed' as const, reason }));
  farm.world.discoveryTold = { ...DISCOVERY, has_password: true, cameras: refused };
  await farm.open();
  await page.getByRole('button', { name: 'Find cameras' }).click();
  const found = page.getByRole('region', { name: 'Cameras on the network' });
  for (const password of ['wrong', 'wrong too']) {
    await found.getByLabel('User').fill('cam');
    await found.getByLabel('Password').fill(password);
    await found.getByRole('button', { name: 'Ask the cameras' }).click();
    await expect(found.getByText('A camera refuses them')).toBeVisible();
  }
  expect(farm.world.sentToDiscovery).toContainEqual({ user: 'cam', password: 'wrong too' });
});
