// What is on the pages: every state of a video in its own words, the next step where there is one, choices that last.

import { expect, test } from './mock/page.ts';
import { DONE, RUNNING } from './mock/world.ts';

test.describe('list of videos', () => {
  test('every video has its number, its state in words, its progress', async ({ farm, page }) => {
    await farm.open();
    const card = (name: string) => page.getByRole('article').filter({ hasText: name });
    await expect(card('Pen 4, morning')).toContainText('3.6');
    await expect(card('Pen 4, morning')).toContainText('up to 4 at once');
    await expect(card('Pen 4, morning')).toContainText('Counted');
    await expect(card('Pen 5, evening')).toContainText('Counting');
    await expect(card('Pen 5, evening')).toContainText('3 min left');
    await expect(card('Pen 5, evening')).toContainText('31.5 frames per second');
    await expect(card('Pen 5, evening').getByRole('progressbar')).toHaveAttribute('value', '0.5');
    await expect(card('Pen 6')).toContainText('Not analysed yet');
    await expect(card('Ramp')).toContainText('Waiting for its turn');
    await expect(card('Corridor')).toContainText('Reading the video');
    await expect(card('Torn file')).toContainText('No video');
    await expect(card('Torn file')).toContainText('The file ends in the middle: copy it again.');
    await expect(card('Night, empty pen')).toContainText('No pigs');
    const picture = card('Pen 4, morning').getByRole('img');
    await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(640);
    await card('Pen 4, morning').getByRole('link').click();
    await expect(page.getByRole('heading', { name: 'Pen 4, morning.mp4' })).toBeVisible();
  });

  test('a count says how far it may be off, and where the detector is beyond what it can do', async ({
    farm,
    page,
  }) => {
    const message = 'half of the animals are small';
    const run = {
      ...DONE,
      count: { mean: 24.3, max: 31, uncertainty: 4.4 },
      warnings: [{ code: 'small_animals' as const, message }],
    };
    farm.world.videos = [farm.world.video('crowd', 'Crowded pen.mp4', run)];
    await farm.open();
    const card = page.getByRole('article');
    await expect(card).toContainText('24.3');
    await expect(card).toContainText('± 4');
    await expect(card).toContainText('Many pigs are very small in this picture');
    await expect(card.getByTitle(message)).toBeVisible();
    await card.getByRole('link').click();
    await expect(page.getByTestId('count-now')).toContainText('± 4');
    await expect(page.getByText('Many pigs are very small in this picture')).toBeVisible();
  });

  test('the detector learns a pen, says how far it is, and is taken back', async ({ farm, page }) => {
    farm.world.videos = [{ ...farm.world.video('crowd', 'Crowded pen.mp4', DONE), animals: 31 }];
    await farm.open();
    await page.getByRole('article').getByRole('link').click();
    await page.getByRole('button', { name: 'Learn this pen' }).click();
    await expect(page.getByText('Waits until another pen is learned')).toBeVisible();
    farm.world.adaptation = { ...farm.world.adaptation, state: 'running', progress: 0.42 };
    await expect(page.getByText('Learning this pen: 42 %')).toBeVisible();
    await expect(page.getByRole('button', { name: 'Stop' })).toBeVisible();
    farm.world.adaptation = {
      ...farm.world.adaptation,
      state: 'done',
      progress: 1,
      count_error_before: 4.2,
      count_error_after: 1.3,
    };
    await expect(page.getByText('the count was off by 4.2 on average, now by 1.3')).toBeVisible();
    await page.getByRole('button', { name: 'Detector as before' }).click();
    await expect(page.getByRole('button', { name: 'Learn this pen' })).toBeVisible();
    expect(
      farm.world.requests.filter((request) => request.includes('/adaptation') && !request.startsWith('GET')),
    ).toHaveLength(2);
  });

  test('where pigs come and go, the detector learns from numbers at moments', async ({ farm, page }) => {
    farm.world.videos = [farm.world.video('crowd', 'Crowded pen.mp4', DONE)];
    await farm.open();
    await page.getByRole('article').getByRole('link').click();
    await page.getByText('Pigs come and go here').click();
    const number = page.getByTestId('moment-animals');
    const note = page.getByRole('button', { name: 'Note it' });
    await expect(note).toBeEnabled();
    await number.fill('many');
    await note.click();
    await expect(page.getByText('Enter a number from 0 to 300')).toBeVisible();
    for (const [place, animals] of ['4', '0', '7'].entries()) {
      if (place > 0) await page.keyboard.press('ArrowRight');
      await number.fill(animals);
      await note.click();
      await expect(page.getByRole('button', { name: /Forget/ })).toHaveCount(place + 1);
      await page.getByRole('heading', { level: 1 }).click();
      await number.evaluate((field: HTMLInputElement) => field.blur());
    }
    // They are still there when the page is loaded again.
    await page.reload();
    await page.getByText('Pigs come and go here').click();
    await page.getByRole('button', { name: 'Learn from these moments' }).click();
    await expect(page.getByText('Waits until another pen is learned')).toBeVisible();
    expect(farm.world.adaptation.moments.map(({ animals }) => animals)).toEqual([4, 0, 7]);
    expect(new Set(farm.world.adaptation.moments.map(({ t }) => t)).size).toBe(3);
  });

  test('how many animals there are is said once and shown beside the count', async ({ farm, page }) => {
    farm.world.videos = [farm.world.video('crowd', 'Crowded pen.mp4', DONE)];
    await farm.open();
    await page.getByRole('article').getByRole('link').click();
    await page.getByRole('button', { name: 'Say how many there are' }).click();
    const field = page.getByTestId('animals');
    await expect(field).toBeFocused();
    await field.fill('0');
    await page.getByRole('button', { name: 'Save' }).click();
    await expect(page.getByRole('alert')).toContainText('Type a number from 1 to 100,000');
    await field.fill('30');
    await page.getByRole('button', { name: 'Save' }).click();
    await expect(page.getByText('30 are there, you say')).toBeVisible();
    expect(farm.world.requests.filter((request) => request.startsWith('PUT api/sources/'))).toHaveLength(1);
    farm.forgive(/409/);
    farm.world.refuseCalibration = 'even of what it is hardly sure of, the detector finds 12 animals';
    await page.getByRole('button', { name: 'Fit the count to it' }).click();
    await expect(page.getByRole('alert')).toContainText('finds 12 animals');
    farm.world.refuseCalibration = null;
    await page.getByRole('button', { name: 'Fit the count to it' }).click();
    await expect(page.getByText('Before: 25.8 on average. Fitted: about 31.2')).toBeVisible();
    await page.getByRole('button', { name: 'Count as before' }).click();
    await expect(page.getByRole('button', { name: 'Count as before' })).toBeHidden();
    await page.getByRole('button', { name: 'Change' }).click();
    await expect(field).toHaveValue('30');
    await field.fill('');
    await page.getByRole('button', { name: 'Save' }).click();
    await expect(page.getByRole('button', { name: 'Say how many there are' })).toBeVisible();
  });

  test('the width of the detector input is told with its reason and can be set', async ({ farm, page }) => {
    farm.world.videos = [farm.world.video('crowd', 'Crowded pen.mp4', DONE)];
    await farm.open();
    await page.getByRole('article').getByRole('link').click();
    await page.getByText('Detector input: 768 px wide').click();
    await expect(
      page.getByText('Chosen from the size of the animals here (52 px in the usual input)'),
    ).toBeVisible();
    await page.getByTestId('input-width').selectOption('896');
    await expect(page.getByText('Detector input: 896 px wide')).toBeVisible();
    await expect(page.getByText('Set here by a person.')).toBeVisible();
    await page.getByTestId('input-width').selectOption('');
    await expect(page.getByText('Detector input: 768 px wide')).toBeVisible();
  });

  test('a file that the server refuses says why, and can be tried again or given up', async ({
    farm,
    page,
  }) => {
    farm.forgive(/415/);
    const detail = 'notes.txt is no name of a video';
    await page.route('**/api/uploads', (route) =>
      route.fulfill({
        status: 415,
        contentType: 'application/problem+json',
        body: JSON.stringify({ detail }),
      }),
    );
    await farm.open();
    const file = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no film') };
    await page.getByTestId('files').setInputFiles(file);
    const panel = page.getByRole('region', { name: 'Files on their way' });
    await expect(panel).toContainText(detail);
    await panel.getByRole('button', { name: 'Go on with the upload of notes.txt' }).click();
    await expect(panel).toContainText(detail);
    await panel.getByRole('button', { name: 'Give up the upload of notes.txt' }).click();
    await expect(panel).toBeHidden();
  });

  test('is asked for again while something is counted, and not when nothing is', async ({ farm, page }) => {
    await page.clock.install();
    farm.world.videos = [farm.world.video('pen-5', 'Pen 5.mp4', { ...RUNNING })];
    const asked = () => farm.world.requests.filter((request) => request === 'GET api/videos').length;
    await farm.open();
    await expect(page.getByText('50%')).toBeVisible();
    farm.world.videos = [farm.world.video('pen-5', 'Pen 5.mp4', DONE)];
    await page.clock.runFor(2000);
    await expect(page.getByText('Counted')).toBeVisible();
    const before = asked();
    await page.clock.runFor(60_000);
    expect(asked()).toBe(before);
  });

  test('empty: tells how to begin', async ({ farm, page }) => {
    farm.world.videos = [];
    await farm.open();
    await expect(page.getByText('pigweight serve --videos DIR')).toBeVisible();
  });

  test('no model: tells it in the words of the server', async ({ farm, page }) => {
    const message = 'ONNX Runtime was not found; run scripts/setup.sh.';
    Object.assign(farm.world.health, { status: 'no_model', message, model: null, device: null });
    await farm.open();
    await expect(page.getByText(message)).toBeVisible();
    await expect(page.getByText('Counting begins once the detector can be loaded.').first()).toBeVisible();
  });
});

test.describe('a video being analysed', () => {
  test('follows the news, and draws what was counted meanwhile', async ({ farm, page }) => {
    let tell = (_news: object) => {};
    await page.routeWebSocket(/\/ws\/count\?id=pen-5$/, (socket) => {
      tell = (news) => socket.send(JSON.stringify({ type: 'count_update', id: 'pen-5', ...news }));
    });
    await farm.open('#/video/pen-5?t=6');
    const reading = page.getByTestId('count-now');
    await expect(reading).toHaveText('Not analysed yet');
    await expect(page.locator('rect.part[data-state="pending"]')).toHaveCount(1);
    tell({ count: 4, t: 5, state: 'running', progress: 0.72, frames_per_sec: 12, eta_secs: 30 });
    await expect(page.getByText('72%')).toBeVisible();
    await expect(page.getByText('30 sec left')).toBeVisible();
    Object.assign(farm.world.find('pen-5') ?? {}, { run: DONE });
    tell({ count: 4, t: 8.8, state: 'done', progress: 1, frames_per_sec: 12, eta_secs: 0 });
    await expect(reading).toHaveAttribute('data-state', 'counted');
    await expect(reading).toHaveText(/[34]\s*± 1\s*pigs/);
    await expect(page.locator('rect.part[data-state="pending"]')).toHaveCount(0);
  });

  test('comes back after the connection was lost', async ({ farm, page }) => {
    let connections = 0;
    await page.routeWebSocket(/\/ws\/count/, (socket) => {
      connections += 1;
      if (connections === 1) socket.close();
      else {
        const news = { type: 'count_update', id: 'pen-5', count: 4, t: 5, state: 'running', progress: 0.81 };
        socket.send(JSON.stringify({ ...news, frames_per_sec: null, eta_secs: null }));
      }
    });
    await farm.open('#/video/pen-5');
    await expect(page.getByText('81%')).toBeVisible();
    await expect(page.getByText('working out the time left')).toBeVisible();
    expect(connections).toBe(2);
  });

  test('is opened while its frames are still being read', async ({ farm, page }) => {
    await farm.open('#/video/new');
    await expect(page.getByText('Reading the video').first()).toBeVisible();
    Object.assign(farm.world.find('new') ?? {}, { ...farm.world.video('new', 'Corridor.mkv', DONE) });
    await expect(page.getByTestId('count-now')).toHaveAttribute('data-state', 'counted');
  });
});

test('no pigs, not analysed yet and no video are three different answers', async ({ farm, page }) => {
  const reading = page.getByTestId('count-now');
  await farm.open('#/video/night');
  await expect(reading).toHaveText(/0\s*No pigs/);
  await farm.open('#/video/pen-6');
  await expect(reading).toHaveText('Not analysed yet');
  await farm.open('#/video/torn');
  await expect(reading).toHaveText('No video');
  await expect(page.getByText('The file ends in the middle: copy it again.')).toBeVisible();
});

test('a gap of the recorder is shown as no video', async ({ farm, page }) => {
  await page.route('**/api/videos/pen-4/index', async (route) => {
    await route.fulfill({
      json: {
        is_whole: true,
        is_mirrored: false,
        duration_secs: 17.08,
        time_base: [1, 100],
        first_pts: 0,
        runs: [
          [4, 100],
          [900, 1],
          [4, 100],
        ],
        frames: 202,
      },
    });
  });
  await farm.open('#/video/pen-4');
  await expect(page.locator('rect.part[data-state="no_video"]')).toHaveCount(1);
  const box = await page.getByTestId('time-line').boundingBox();
  if (!box) throw new Error('no time line');
  await page.mouse.move(box.x + box.width / 2, box.y + 60);
  await expect(page.getByTestId('hover')).toContainText('No video');
});

test('keys are shown, and speed and overlay follow their controls', async ({ farm, page }) => {
  await farm.open('#/video/pen-4');
  await expect(page.getByTestId('count-now')).toHaveAttribute('data-state', 'counted');
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog')).toContainText('One frame back or forward');
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
  await page.keyboard.press('>');
  await expect(page.getByRole('combobox', { name: 'Speed' })).toHaveValue('1.5');
  const rate = () => page.evaluate(() => document.querySelector('video')?.playbackRate);
  expect(await rate()).toBe(1.5);
  const paint = () =>
    page.getByTestId('overlay').evaluate((canvas: HTMLCanvasElement) => {
      const copy = new OffscreenCanvas(canvas.width, canvas.height);
      const context = copy.getContext('2d');
      context?.drawImage(canvas, 0, 0);
      return context?.getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0);
    });
  expect(await paint()).toBe(true);
  await page.getByRole('button', { name: 'Boxes' }).click();
  await page.getByRole('button', { name: 'Numbers' }).click();
  expect(await paint()).toBe(false);
  await page.getByRole('button', { name: 'Trails' }).click();
  await page.keyboard.press('ArrowRight');
  await expect.poll(paint).toBe(true);
  await page.reload();
  await expect(page.getByRole('button', { name: 'Boxes' })).toHaveAttribute('aria-pressed', 'false');
  await expect(page.getByRole('button', { name: 'Trails' })).toHaveAttribute('aria-pressed', 'true');
});

test('settings tell what was measured, and choices last', async ({ farm, page }) => {
  await farm.open('#/settings');
  await expect(page.getByText('41.6 ms')).toBeVisible();
  await expect(page.getByText('cuda: the ONNX Runtime was built without it')).toBeVisible();
  await expect(page.getByText('Pigs from above, small')).toBeVisible();
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.getByRole('button', { name: 'Dark' }).click();
  expect(await ground()).not.toBe(light);
  await page.getByRole('button', { name: 'Русский' }).first().click();
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Настройки' })).toBeVisible();
  expect(await ground()).not.toBe(light);
  await expect(page.locator('html')).toHaveAttribute('lang', 'ru');
});

test('an address without a page and a video that is gone lead back', async ({ farm, page }) => {
  await farm.open('#/nowhere');
  await expect(page.getByRole('link', { name: 'To the list of videos' })).toBeVisible();
  farm.forgive(/status of 404/);
  await farm.open('#/video/gone');
  await expect(page.getByText('There is no such video. It may have been moved.')).toBeVisible();
});

test.describe('under a sub-path', () => {
  test.use({ base: '/farm/house-2/' });
  test('everything works, and nothing is asked for outside of it', async ({ farm, page }) => {
    const outside: string[] = [];
    page.on('request', (request) => {
      if (!new URL(request.url()).pathname.startsWith('/farm/house-2/')) outside.push(request.url());
    });
    const sockets: string[] = [];
    await page.routeWebSocket(/./, (socket) => {
      sockets.push(socket.url());
    });
    await farm.open();
    await page.getByRole('link', { name: /Pen 5, evening/ }).click();
    await expect(page.getByTestId('count-now')).toHaveAttribute('data-state', 'counted');
    await expect
      .poll(() => new Set(sockets))
      .toEqual(
        new Set([
          'ws://pigweight.test/farm/house-2/ws/changes',
          'ws://pigweight.test/farm/house-2/ws/count?id=pen-5',
        ]),
      );
    expect(outside).toEqual([]);
  });
});

test('the recording time is shown in the time zone of the viewer', async ({ farm, page }) => {
  Object.assign(farm.world.find('pen-4') ?? {}, { recorded_at: '2026-11-23T14:05:00Z' });
  await farm.open('#/');
  const told = await page.evaluate(() => new Date('2026-11-23T14:05:00Z').getHours());
  const card = page.getByRole('link', { name: /Pen 4, morning/ });
  await expect(card.getByText(/Nov 23, 2026/)).toContainText(`${((told + 11) % 12) + 1}:05`);
  await farm.open('#/video/pen-4');
  await expect(page.getByText(/Nov 23, 2026.*:05:00/)).toBeVisible();
  await page.keyboard.press('End');
  await expect(page.getByText(/Nov 23, 2026.*:05:08/)).toBeVisible();
});

test('the work on a video can be paused and goes on when it is wanted', async ({ farm, page }) => {
  // The server has no news.
  await page.routeWebSocket('**/ws/count*', () => undefined);
  await farm.open('#/video/pen-5');
  await page.getByRole('button', { name: 'Pause the work' }).click();
  await expect(page.getByText('waits until you let it go on')).toBeVisible();
  await expect(page.locator('.page header').getByText('Paused')).toBeVisible();
  expect(farm.world.requests).toContain('PUT api/videos/pen-5/work');
  await page.getByRole('button', { name: 'Go on' }).click();
  await expect(page.getByRole('button', { name: 'Pause the work' })).toBeVisible();
  await farm.open('#/video/pen-4');
  await expect(page.getByText(/^frame 1 of/)).toBeVisible();
  await expect(page.getByRole('button', { name: 'Pause the work' })).toBeHidden();
});

test('licences of what is bundled lie beside the page', async ({ farm, page }) => {
  await farm.open('#/settings');
  await page.getByRole('link', { name: 'Licences' }).click();
  await expect(page.getByText('hls.js')).toBeVisible();
  await expect(page.getByText('Apache License').first()).toBeVisible();
});

test('a recount is shown beside the published count', async ({ farm, page }) => {
  const video = farm.world.find('pen-4');
  if (!video) throw new Error('no video');
  const recount = { run_id: 'run-9', frames_done: 78, frames_total: 195, frames_per_sec: 30, eta_secs: 4 };
  video.recount = { ...recount, state: 'running', progress: 0.4, error: null, reason_code: null };
  await farm.open('#/');
  await expect(page.getByTestId('recount')).toHaveText(/Recounting with new settings: 40%/);
  await expect(page.getByRole('article').filter({ hasText: 'Pen 4' })).toContainText('3.6');
  await farm.open('#/video/pen-4');
  await expect(page.getByTestId('recount')).toHaveText(/Recounting with new settings: 40%/);
  await expect(page.getByTestId('count-now')).toHaveAttribute('data-state', 'counted');
});

test('many videos are listed a hundred at a time', async ({ farm, page }) => {
  for (let number = 0; number < 150; number += 1)
    farm.world.videos.push(farm.world.video(`more-${number}`, `More ${number}.mp4`, null));
  await farm.open('#/');
  await expect(page.getByRole('article')).toHaveCount(100);
  await expect(page.getByText('157 videos')).toBeVisible();
  await page.getByRole('button', { name: 'Show 57 more' }).click();
  await expect(page.getByRole('article')).toHaveCount(157);
});
