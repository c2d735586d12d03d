// Lines are drawn, moved, named, reversed and deleted; the page changes only when the server has confirmed.
import type { Page } from '@playwright/test';
import { FILM } from './mock/film.ts';
import { expect, type Farm, test } from './mock/page.ts';

/** A point of the frame in screen pixels. */
async function at(page: Page, x: number, y: number): Promise<[number, number]> {
  const box = await page.getByTestId('overlay').boundingBox();
  if (!box) throw new Error('no picture');
  const scale = Math.min(box.width / FILM.width, box.height / FILM.height);
  const left = box.x + (box.width - FILM.width * scale) / 2;
  const top = box.y + (box.height - FILM.height * scale) / 2;
  return [left + x * scale, top + y * scale];
}

async function open(farm: Farm, page: Page): Promise<void> {
  await farm.open('#/video/pen-4');
  await expect(page.getByTestId('count-now')).toHaveAttribute('data-state', 'counted');
}

const wishes = (farm: Farm) => farm.world.requests.filter((request) => /^(POST|PUT|DELETE)/.test(request));
const ends = (farm: Farm) => {
  const line = farm.world.lines[0];
  return line && [line.x1, line.y1, line.x2, line.y2].map(Math.round);
};

/** Pixels of the screen are not pixels of the frame. */
function expectNear(actual: number[] | undefined, wanted: number[]): void {
  expect(actual).toHaveLength(4);
  for (const [place, value] of wanted.entries())
    expect(Math.abs((actual?.[place] ?? 999) - value)).toBeLessThanOrEqual(2);
}

test('a line is drawn by two clicks, and by a drag', async ({ farm, page }) => {
  await open(farm, page);
  await page.getByRole('button', { name: 'Draw a line' }).click();
  await page.mouse.click(...(await at(page, 320, 320)));
  await expect(page.getByText('Now click the other end.')).toBeVisible();
  await page.mouse.click(...(await at(page, 320, 60)));
  await expect(page.getByTestId('line-row')).toContainText('Line 1');
  await expect(page.getByTestId('forward')).toHaveText('3');
  await expect(page.getByTestId('backward')).toHaveText('1');
  expectNear(ends(farm), [320, 320, 320, 60]);
  await expect(page.getByTestId('ticks-forward')).toHaveAttribute('d', /^(M[\d.]+ 15V21){3}$/);
  await page.keyboard.press('n');
  await page.mouse.move(...(await at(page, 100, 300)));
  await page.mouse.down();
  await page.mouse.move(...(await at(page, 500, 300)), { steps: 4 });
  await page.mouse.up();
  await expect(page.getByTestId('line-row')).toHaveCount(2);
  await page.keyboard.press('n');
  await page.keyboard.press('Escape');
  await expect(page.getByRole('button', { name: 'Draw a line' })).toBeVisible();
});

test('ends and body are dragged, and keys move them', async ({ farm, page }) => {
  farm.world.addLine({ video: 'pen-4', name: 'Ramp', x1: 320, y1: 320, x2: 320, y2: 60 });
  await open(farm, page);
  const drag = async (from: [number, number], to: [number, number]) => {
    await page.mouse.move(...(await at(page, ...from)));
    await page.mouse.down();
    await page.mouse.move(...(await at(page, ...to)), { steps: 5 });
    await page.mouse.up();
    await expect(page.getByTestId('line')).toHaveAttribute('data-wish', 'false');
  };
  await drag([320, 320], [200, 300]);
  expectNear(ends(farm), [200, 300, 320, 60]);
  await drag([260, 180], [300, 200]);
  expectNear(ends(farm), [240, 320, 360, 80]);
  await page.getByRole('button', { name: 'End of Ramp. Arrow keys move it.' }).focus();
  await page.keyboard.press('ArrowRight');
  await expect.poll(() => wishes(farm).length).toBe(3);
  expectNear(ends(farm), [240, 320, 366, 80]);
  // The keys moved the line, not the video.
  await expect(page.getByTestId('time')).toHaveText('0:00.0');
});

test('a refused change springs back, and says why', async ({ farm, page }) => {
  farm.world.addLine({ video: 'pen-4', name: 'Ramp', x1: 320, y1: 320, x2: 320, y2: 60 });
  await open(farm, page);
  farm.forgive(/status of 422/);
  farm.world.refuseLines = 'No pig can be seen on both sides of this line. Draw it further from the edge.';
  const stroke = page.getByTestId('line').locator('line.stroke');
  const before = await stroke.getAttribute('x1');
  await page.mouse.move(...(await at(page, 320, 320)));
  await page.mouse.down();
  await page.mouse.move(...(await at(page, 20, 320)), { steps: 5 });
  await page.mouse.up();
  await expect(page.getByRole('alert')).toContainText('No pig can be seen on both sides of this line.');
  await expect(stroke).toHaveAttribute('x1', before ?? '');
});

test('nothing changes before the server has confirmed', async ({ farm, page }) => {
  farm.world.addLine({ video: 'pen-4', name: 'Ramp', x1: 320, y1: 320, x2: 320, y2: 60 });
  await open(farm, page);
  let release = () => {};
  farm.world.gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.getByRole('button', { name: 'Rename: Ramp' }).click();
  await page.getByRole('textbox', { name: 'Name of the line' }).fill('Scale');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByTestId('line')).toHaveAttribute('data-wish', 'true');
  await expect(page.getByTestId('line').getByText('Ramp')).toBeVisible();
  release();
  await expect(page.getByTestId('line-row')).toContainText('Scale');
  await expect(page.getByTestId('line')).toHaveAttribute('data-wish', 'false');
});

test('turned, deleted, and its crossings lead to their frames', async ({ farm, page }) => {
  farm.world.addLine({ video: 'pen-4', name: 'Ramp', x1: 320, y1: 320, x2: 320, y2: 60 });
  await open(farm, page);
  await page.getByRole('button', { name: /pig 3/ }).click();
  await expect(page.getByText('frame 121 of 196')).toBeVisible();
  await page.getByRole('button', { name: 'Turn the direction round: Ramp' }).click();
  await expect.poll(() => ends(farm)).toEqual([320, 60, 320, 320]);
  await page.getByRole('button', { name: 'Delete: Ramp' }).click();
  expect(wishes(farm)).toHaveLength(1);
  await page.getByRole('button', { name: 'Yes, delete' }).click();
  await expect(page.getByTestId('line-row')).toHaveCount(0);
  await expect(page.getByTestId('line')).toHaveCount(0);
});

test('a line is drawn for all recordings of the source, or for this video alone', async ({ farm, page }) => {
  await open(farm, page);
  const place = async () => {
    await page.getByRole('button', { name: 'Put it in the middle' }).click();
  };
  await page.getByRole('button', { name: 'Draw a line' }).click();
  await expect(page.getByRole('radio', { name: 'all recordings of this source' })).toBeChecked();
  await place();
  await expect(page.getByTestId('line-row')).toContainText('all recordings of this source');
  await page.getByRole('button', { name: 'Draw a line' }).click();
  await page.getByRole('radio', { name: 'only this video' }).check();
  await place();
  await expect(page.getByTestId('line-row').nth(1)).toContainText('only this video');
  expect(farm.world.lines.map((line) => line.scope)).toEqual(['source', 'video']);
});

test('moving a line shows what has changed', async ({ farm, page }) => {
  farm.world.addLine({ video: 'pen-4', name: 'Ramp', x1: 320, y1: 320, x2: 320, y2: 60 });
  const [gone, other] = farm.world.crossings('pen-4');
  if (!gone || !other) throw new Error('no crossings');
  farm.world.difference = {
    before: { forward: 3, backward: 1 },
    after: { forward: 2, backward: 1 },
    only_before: [gone, other],
    only_after: [other],
  };
  await open(farm, page);
  await page.getByRole('button', { name: 'End of Ramp. Arrow keys move it.' }).focus();
  await page.keyboard.press('ArrowRight');
  const note = page.getByTestId('line-difference');
  await expect(note).toContainText('forward: 3 → 2');
  await expect(note).toContainText('2 crossings are gone. 1 is new.');
  await note.getByRole('button', { name: 'Close' }).click();
  await expect(note).toHaveCount(0);
});

test('a line of another picture is told and not drawn', async ({ farm, page }) => {
  farm.world.addLine({
    video: 'pen-4',
    name: 'Ramp',
    x1: 0,
    y1: 0,
    x2: 9,
    y2: 9,
    scope: 'source',
    applies: false,
  });
  await open(farm, page);
  await expect(page.getByTestId('line-row')).toContainText('drawn on a picture of another shape');
  await expect(page.getByTestId('line')).toHaveCount(0);
});
