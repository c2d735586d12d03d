// The queue: what goes on and what comes next, in words; and wishes that the server confirms or refuses.
import { expect, test } from './mock/page.ts';

test('tells what goes on, what comes next, and what stopped and why', async ({ farm, page }) => {
  await farm.open();
  await page.getByRole('link', { name: 'Queue' }).click();
  const header = page.locator('.page header');
  await expect(header).toContainText('1 video is being counted');
  await expect(header).toContainText('2 wait');
  await expect(header).toContainText('about 1 hr 30 min for all of them');
  const part = (name: string) => page.getByRole('region', { name });
  await expect(part('Being counted')).toContainText('Pen 5, evening.mp4');
  await expect(part('Being counted')).toContainText('3 min left');
  await expect(part('Being counted')).toContainText('31.5 frames per second');
  await expect(part('Being counted').getByRole('progressbar')).toHaveAttribute('value', '0.5');
  await expect(part('Next').getByRole('listitem').first()).toContainText('Place 1');
  await expect(part('Next')).toContainText('length not known yet');
  await expect(part('Paused').getByRole('button', { name: 'Go on: Pen 6.mp4' })).toBeVisible();
  await expect(part('Stopped')).toContainText('The file ends in the middle: copy it again.');
  await expect(part('Stopped')).toContainText('tried 3 times');
  await expect(part('Counted lately').getByRole('button')).toHaveCount(0);
  await page.getByRole('link', { name: 'Pen 5, evening.mp4' }).click();
  await expect(page.getByRole('heading', { name: 'Pen 5, evening.mp4' })).toBeVisible();
});

test('a job is paused, goes on, is given up and counted again', async ({ farm, page }) => {
  await farm.open('#/queue');
  const part = (name: string) => page.getByRole('region', { name });
  await page.getByRole('button', { name: 'Pause: Pen 5, evening.mp4' }).click();
  await expect(part('Paused')).toContainText('Pen 5, evening.mp4');
  expect(farm.world.requests).toContain('POST api/jobs/job-1/pause');
  await page.getByRole('button', { name: 'Go on: Pen 5, evening.mp4' }).click();
  await expect(part('Next')).toContainText('Pen 5, evening.mp4');
  await page.getByRole('button', { name: 'Give up: Pen 5, evening.mp4' }).click();
  await expect(part('Stopped')).toContainText('Given up');
  await page.getByRole('button', { name: 'Count again: Torn file.mp4' }).click();
  await expect(part('Next')).toContainText('Torn file.mp4');
});

test('what is wanted first stands first, by the keyboard too', async ({ farm, page }) => {
  await farm.open('#/queue');
  const next = page.getByRole('region', { name: 'Next' });
  await expect(next.getByRole('listitem').first()).toContainText('Ramp');
  await page.getByRole('combobox', { name: 'When Corridor.mkv is counted' }).selectOption('First');
  await expect(next.getByRole('listitem').first()).toContainText('Corridor.mkv');
  await expect(page.getByRole('combobox', { name: 'When Corridor.mkv is counted' })).toHaveValue(
    'order_first',
  );
  // What a program has set is told, and not changed by looking.
  Object.assign(farm.world.jobs[1] ?? {}, { priority: 37 });
  await farm.open('#/');
  await farm.open('#/queue');
  await expect(page.getByRole('combobox', { name: /When Ramp/ }).locator('option:checked')).toHaveText(
    'Priority 37',
  );
});

test('a refusal is told in the words of the server, and the truth is shown', async ({ farm, page }) => {
  farm.forgive(/409/);
  farm.world.refuseJobs =
    'the job job-1 is done and cannot be paused; only waiting, running and paused ones can';
  await farm.open('#/queue');
  await page.getByRole('button', { name: 'Pause: Pen 5, evening.mp4' }).click();
  await expect(page.getByRole('alert')).toContainText('is done and cannot be paused');
  await expect(page.getByRole('button', { name: 'Pause: Pen 5, evening.mp4' })).toBeEnabled();
});

test('is asked for again while something moves, and not when nothing does', async ({ farm, page }) => {
  await page.clock.install();
  const asked = () => farm.world.requests.filter((request) => request.startsWith('GET api/jobs')).length;
  await farm.open('#/queue');
  await expect(page.getByText('Pen 5, evening.mp4')).toBeVisible();
  farm.world.jobs = farm.world.jobs.filter((job) => job.state === 'done');
  await page.clock.runFor(2000);
  await expect(page.getByText('Everything that could be counted is counted.')).toBeVisible();
  const before = asked();
  await page.clock.runFor(60_000);
  expect(asked()).toBe(before);
});

test('empty: tells how videos come here', async ({ farm, page }) => {
  farm.world.jobs = [];
  await farm.open('#/queue');
  await expect(page.getByText('Videos that you add are counted by themselves')).toBeVisible();
});

test('a card tells of a video that was given up', async ({ farm, page }) => {
  Object.assign(farm.world.find('pen-6') ?? {}, {
    job: { id: 'job-4', state: 'cancelled', error: null, reason_code: null },
  });
  await farm.open();
  const card = page.getByRole('article').filter({ hasText: 'Pen 6' });
  await expect(card).toContainText('Given up');
  await expect(card).toContainText('In the queue it can be counted again.');
});

test('what stopped says why in the language of its reader, and offers nothing in vain', async ({
  farm,
  page,
}) => {
  const torn = farm.world.jobs.find((job) => job.video_name === 'Torn file.mp4');
  Object.assign(torn ?? {}, { error: 'torn.mp4 is empty (0 bytes)', reason_code: 'file_empty' });
  const replaced = farm.world.job('job-9', 'gone', 'Replaced.mp4', 'cancelled');
  farm.world.jobs.push({
    ...replaced,
    error: 'the file was replaced',
    reason_code: 'replaced',
    is_replaced: true,
  });
  await farm.open('#/queue');
  await page.getByRole('button', { name: 'Русский' }).first().click();
  const stopped = page.getByRole('region', { name: 'Остановлено', exact: true });
  await expect(stopped).toContainText('Файл пуст');
  await expect(stopped.getByTitle('torn.mp4 is empty (0 bytes)')).toBeVisible();
  await expect(stopped).toContainText('Файл заменён другим');
  await expect(stopped.getByRole('button', { name: 'Replaced.mp4' })).toHaveCount(0);
  await expect(stopped.getByRole('link', { name: 'Replaced.mp4' })).toHaveCount(0);
});
