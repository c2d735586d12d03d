// Boxes must lie over exactly the frame shown. The tests read the frame from pixels, in videos with missing frames and with a
// stream that does not start at zero.
import type { Page } from '@playwright/test';
import { expect, test } from './mock/page.ts';
import { prepareReading, type Reading, readFrames } from './mock/reading.ts';

const shownFrame = (page: Page) =>
  page
    .getByTestId('count-now')
    .locator('..')
    .getByText(/^frame \d+ of/);

/** Waits until picture, overlay and text of the page agree on one frame. */
async function expectFrame(page: Page, index: number): Promise<void> {
  await expect.poll(() => readFrames(page)).toEqual({ picture: index, overlay: index });
  await expect(shownFrame(page)).toHaveText(`frame ${index + 1} of 196`);
}

for (const film of ['plain', 'shifted', 'streamed'] as const) {
  test.describe(`${film} film`, () => {
    test.beforeEach(async ({ farm, page }) => {
      if (film === 'streamed') Object.assign(farm.world.find('pen-4') ?? {}, { media_type: 'video/mp2t' });
      else farm.world.film = film;
      await prepareReading(page);
      await farm.open('#/video/pen-4');
      await expectFrame(page, 0);
    });

    test('boxes lie over the frame shown while it plays', async ({ page }) => {
      const readings = await page.evaluate(async () => {
        const video = document.querySelector('video') as HTMLVideoElement;
        const found: Reading[] = [];
        const done = new Promise<void>((resolve) => {
          const look = () => {
            found.push(window.readFrames());
            if (found.length >= 40) resolve();
            else video.requestVideoFrameCallback(look);
          };
          video.requestVideoFrameCallback(look);
        });
        document.querySelector<HTMLButtonElement>('.play')?.click();
        await done;
        document.querySelector<HTMLButtonElement>('.play')?.click();
        return found;
      });
      expect(readings.filter((reading) => reading.picture !== reading.overlay)).toEqual([]);
      expect(new Set(readings.map((reading) => reading.picture)).size).toBeGreaterThan(20);
    });

    test('steps go frame by frame, over missing pictures too', async ({ page, farm }) => {
      for (let index = 1; index <= 8; index += 1) {
        await page.keyboard.press('.');
        await expectFrame(page, index);
      }
      await page.keyboard.press(',');
      await expectFrame(page, 7);
      await page.getByRole('button', { name: 'One frame forward' }).click();
      await expectFrame(page, 8);
      // To the frame before the twelve missing ones, then past them.
      const table = farm.world.table;
      const deltas = table.pts.map((pts, index) => (table.pts[index + 1] ?? pts) - pts);
      const before = deltas.indexOf(Math.max(...deltas));
      await page.evaluate(
        (hash) => {
          location.hash = hash;
        },
        `#/video/pen-4?t=${farm.world.secs(before)}`,
      );
      await page.reload();
      await expectFrame(page, before);
      await page.keyboard.press('.');
      await expectFrame(page, before + 1);
    });

    test('seeks find the frame', async ({ page, farm }) => {
      const box = await page.getByTestId('time-line').boundingBox();
      if (!box) throw new Error('no time line');
      const duration = farm.world.find('pen-4')?.duration_secs as number;
      for (const share of [0.9, 0.13, 0.5, 0.77, 0.02]) {
        await page.mouse.click(box.x + box.width * share, box.y + 60);
        await expectFrame(page, farm.world.floorIndex(share * duration));
      }
      await page.keyboard.press('Home');
      await expectFrame(page, 0);
      await page.keyboard.press('ArrowRight');
      await expectFrame(page, farm.world.floorIndex(5 + 0.02));
      await page.keyboard.press('End');
      await expectFrame(page, 195);
    });
  });
}

test('a drag scrubs, and the last place wins', async ({ farm, page }) => {
  await prepareReading(page);
  await farm.open('#/video/pen-4');
  await expectFrame(page, 0);
  const box = await page.getByTestId('time-line').boundingBox();
  if (!box) throw new Error('no time line');
  await page.mouse.move(box.x + 10, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 25 });
  await expect(page.getByTestId('hover')).toContainText('pigs');
  await page.mouse.up();
  const duration = farm.world.find('pen-4')?.duration_secs as number;
  await expectFrame(page, farm.world.floorIndex(0.6 * duration));
});

test('a picture is drawn in the event in which the finger moves, then the exact one comes', async ({
  farm,
  page,
}) => {
  await prepareReading(page);
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route('**/preview/frame?*', async (route) => {
    await gate;
    await route.fallback().catch(() => undefined);
  });
  await farm.open('#/video/pen-4');
  await expectFrame(page, 0);
  const strip = page.getByTestId('time-line');
  await strip.hover({ position: { x: 20, y: 60 } });
  await expect(page.getByTestId('thumbnail')).toBeVisible();
  await page.mouse.down();
  // Inside the page, so that nothing can happen between the event and the check.
  const seen = await strip.evaluate((element) => {
    const box = element.getBoundingClientRect();
    return [0.3, 0.9, 0.6].map((share) => {
      const place = { clientX: box.left + box.width * share, clientY: box.top + 60, bubbles: true };
      element.dispatchEvent(new PointerEvent('pointermove', place));
      return window.readFrames().picture;
    });
  });
  const duration = farm.world.find('pen-4')?.duration_secs as number;
  const indexes = [0.3, 0.9, 0.6].map((share) => farm.world.floorIndex(share * duration));
  expect(seen).toEqual(indexes.map((index) => index - (index % 25)));
  release();
  await expectFrame(page, indexes[2] as number);
  await page.mouse.up();
  await expectFrame(page, indexes[2] as number);
});

test('drags end on the frame under the finger, and what is shown on the way is told right', async ({
  farm,
  page,
}) => {
  await prepareReading(page);
  await farm.open('#/video/pen-4');
  await expectFrame(page, 0);
  const box = await page.getByTestId('time-line').boundingBox();
  if (!box) throw new Error('no time line');
  const duration = farm.world.find('pen-4')?.duration_secs as number;
  // Picture and overlay must match at every display refresh.
  await page.evaluate(() => {
    const wrong: Reading[] = [];
    const look = () => {
      const reading = window.readFrames();
      if (reading.overlay >= 0 && reading.overlay !== reading.picture) wrong.push(reading);
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
    Object.assign(window, { wrong });
  });
  let seed = 7;
  const random = () => {
    seed = (seed * 16807) % 2147483647;
    return seed / 2147483647;
  };
  for (let drag = 0; drag < 12; drag += 1) {
    await page.mouse.move(box.x + box.width * random(), box.y + 60);
    await page.mouse.down();
    for (let move = 0; move < 8; move += 1) {
      await page.mouse.move(box.x + box.width * random(), box.y + 60, { steps: 3 });
    }
    const x = Math.round(box.x + box.width * random());
    await page.mouse.move(x, box.y + 60, { steps: 2 });
    await page.mouse.up();
    const secs = ((x - box.x) / box.width) * duration;
    await expect.poll(async () => (await readFrames(page)).picture).toBe(farm.world.floorIndex(secs));
  }
  expect(await page.evaluate(() => (window as unknown as { wrong: Reading[] }).wrong)).toEqual([]);
});

test('detections that arrive late are drawn over the frame that waits for them', async ({ farm, page }) => {
  await prepareReading(page);
  let release = () => {};
  await page.route('**/detections?*', async (route) => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    await route.fallback();
  });
  await farm.open('#/video/pen-4?t=2');
  await expect(page.getByTestId('count-now')).toHaveAttribute('data-state', 'fetching');
  await expect.poll(async () => (await readFrames(page)).picture).toBe(farm.world.floorIndex(2));
  expect((await readFrames(page)).overlay).toBe(-1);
  release();
  await expectFrame(page, farm.world.floorIndex(2));
  await expect(page.getByTestId('count-now')).toHaveAttribute('data-state', 'counted');
});

test('what the browser cannot play is shown picture by picture', async ({ farm, page }) => {
  await prepareReading(page);
  Object.assign(farm.world.find('pen-4') ?? {}, { codec: 'mpeg4', media_type: 'video/x-msvideo' });
  await farm.open('#/video/pen-4');
  await expect(page.getByText('This browser cannot play MPEG-4 videos')).toBeVisible();
  await expectFrame(page, 0);
  expect(farm.world.requests.some((request) => request.includes('/file'))).toBe(false);
  await page.keyboard.press('.');
  await expectFrame(page, 1);
  const box = await page.getByTestId('time-line').boundingBox();
  if (!box) throw new Error('no time line');
  await page.mouse.move(box.x + 10, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 25 });
  await page.mouse.up();
  const half = farm.world.floorIndex(0.5 * (farm.world.find('pen-4')?.duration_secs as number));
  await expectFrame(page, half);
  await page.keyboard.press(' ');
  await expect(page.getByRole('button', { name: 'Pause' })).toBeVisible();
  await expect.poll(async () => (await readFrames(page)).picture).toBeGreaterThan(half + 10);
  await page.keyboard.press(' ');
  await expect(page.getByRole('button', { name: 'Play', exact: true })).toBeVisible();
});

test('a file that turns out not to be playable is streamed, then shown picture by picture', async ({
  farm,
  page,
}) => {
  await prepareReading(page);
  await page.route('**/api/videos/pen-4/file', (route) =>
    route.fulfill({ contentType: 'video/mp4', body: 'this is no film' }),
  );
  await farm.open('#/video/pen-4?t=1');
  await expectFrame(page, farm.world.floorIndex(1));
  await expect(page.locator('video')).toBeVisible();
  expect(farm.world.requests).toContain('GET api/video_file/stream_hls/pen-4');

  farm.forgive(/422/);
  await page.route('**/api/video_file/stream_hls/pen-4', (route) =>
    route.fulfill({ status: 422, contentType: 'application/problem+json', body: '{}' }),
  );
  await page.reload();
  await expect(page.getByText('This browser cannot play H.264 videos')).toBeVisible();
  await expectFrame(page, farm.world.floorIndex(1));
});

test('a file that is still being read shows what is known of it, and then plays', async ({ farm, page }) => {
  const video = farm.world.find('pen-6');
  const isBeingRead = { index: 'growing', index_progress: 0.4, media_type: 'video/mp2t' } as const;
  Object.assign(video ?? {}, isBeingRead, { preview: { frames: 0, sprites: false } });
  farm.world.knownFrames = 60;
  await prepareReading(page);
  await farm.open('#/video/pen-6');
  await expect(page.getByText('Until the whole file has been read')).toBeVisible();
  await expect(page.getByRole('progressbar', { name: 'Progress of Pen 6.mp4' })).toHaveJSProperty(
    'value',
    0.4,
  );
  await expect(shownFrame(page)).toHaveText('frame 1 of 60');
  await page.keyboard.press('.');
  await expect(shownFrame(page)).toHaveText('frame 2 of 60');
  // The timeline is as long as the file says, but seeking ends at the indexed part.
  await expect(page.getByTestId('time-line')).toHaveAttribute('aria-valuemax', String(video?.duration_secs));
  await page.keyboard.press('End');
  await expect(shownFrame(page)).toHaveText('frame 60 of 60');

  farm.world.knownFrames = 100;
  await expect(shownFrame(page)).toHaveText('frame 60 of 100');
  await page.keyboard.press('End');
  await expect(shownFrame(page)).toHaveText('frame 100 of 100');

  farm.world.knownFrames = undefined;
  Object.assign(video ?? {}, { index: 'ready', index_progress: null });
  await expect(page.locator('video')).toBeVisible();
  await expect(page.getByText('Until the whole file has been read')).toBeHidden();
  await expect(shownFrame(page)).toHaveText('frame 100 of 196');
});
