// Accessibility and layout: every page in both languages, themes and all sizes has no serious axe finding, nothing wider than
// the screen, and controls large enough for a finger.
import AxeBuilder from '@axe-core/playwright';
import { expect, test } from './mock/page.ts';

const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const locale of ['en-GB', 'ru-RU']) {
      test.describe(`${size}, ${colorScheme}, ${locale}`, () => {
        test.use({ viewport, colorScheme, locale, hasTouch: size === 'phone' });

        test('all pages', async ({ farm, page }) => {
          await page.routeWebSocket(/\/ws\/count/, () => undefined);
          farm.world.addLine({ video: 'pen-5', name: 'Ramp', x1: 320, y1: 320, x2: 320, y2: 60 });
          // Not answered, so the upload stays in progress.
          await page.route('**/api/uploads', () => undefined);
          for (const hash of ['#/', '#/video/pen-5?t=2', '#/queue', '#/settings']) {
            await farm.open(hash);
            if (hash === '#/') {
              await expect(page.getByRole('article')).toHaveCount(7);
              const file = { name: 'Pen 7.mp4', mimeType: 'video/mp4', buffer: Buffer.from('film') };
              await page.getByTestId('files').setInputFiles(file);
              await expect(page.getByRole('progressbar').first()).toBeVisible();
              if (process.env.SCREENSHOTS) {
                await page.screenshot({
                  path: `${process.env.SCREENSHOTS}/list-${size}-${colorScheme}-${locale}.png`,
                });
              }
            } else if (hash === '#/queue') {
              await expect(page.getByRole('listitem')).toHaveCount(6);
              if (process.env.SCREENSHOTS) {
                await page.screenshot({
                  path: `${process.env.SCREENSHOTS}/queue-${size}-${colorScheme}-${locale}.png`,
                  fullPage: true,
                });
              }
            } else if (hash === '#/settings') await expect(page.getByText('640 × 384')).toBeVisible();
            else await expect(page.getByTestId('count-now')).toHaveAttribute('data-state', 'counted');
            const { violations } = await new AxeBuilder({ page }).analyze();
            const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
            expect(
              serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`),
            ).toEqual([]);
            const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            expect(overflow).toBeLessThanOrEqual(0);
          }
        });

        if (size === 'phone' && colorScheme === 'light') {
          test('numbers come first, and fingers hit', async ({ farm, page }) => {
            await farm.open('#/video/pen-4');
            await expect(page.getByTestId('count-now')).toHaveAttribute('data-state', 'counted');
            const count = await page.getByTestId('count-now').boundingBox();
            const video = await page.locator('video').boundingBox();
            expect(count?.y ?? 0).toBeLessThan(video?.y ?? 0);
            const small = await page.evaluate(() =>
              [...document.querySelectorAll('main button, main select, nav a, .back')]
                .filter((element) => element.getClientRects().length > 0 && !element.closest('dialog'))
                .map((element) => ({
                  box: element.getBoundingClientRect(),
                  html: element.outerHTML.slice(0, 80),
                }))
                .filter(({ box }) => box.height < 43.9 || box.width < 43.9)
                .map(({ html }) => html),
            );
            expect(small).toEqual([]);
          });

          test('fingers hit in the queue', async ({ farm, page }) => {
            await page.setViewportSize({ width: 360, height: 780 });
            await farm.open('#/queue');
            await expect(page.getByRole('listitem')).toHaveCount(6);
            for (const control of await page.locator('main button, main select, nav a').all()) {
              const box = await control.boundingBox();
              expect(box?.height ?? 0).toBeGreaterThanOrEqual(43.9);
            }
            const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            expect(overflow).toBeLessThanOrEqual(0);
          });
        }
      });
    }
  }
}

test('a window that is made narrow shows everything still', async ({ farm, page }) => {
  await farm.open('#/video/pen-4');
  await expect(page.getByTestId('count-now')).toHaveAttribute('data-state', 'counted');
  for (const width of [360, 900, 320, 2560, 700]) {
    await page.setViewportSize({ width, height: 800 });
    const strip = page.getByTestId('time-line');
    const drawing = strip.locator('svg');
    await expect
      .poll(async () => {
        const outer = await strip.boundingBox();
        const inner = await drawing.boundingBox();
        return Math.round((outer?.width ?? 0) - (inner?.width ?? 0)) === 0 && (outer?.width ?? width) < width;
      })
      .toBe(true);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(
      0,
    );
  }
});
