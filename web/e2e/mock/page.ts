// What every test of the page stands on: a made-up server, and a watch over the console, page errors and foreign hosts.
import { test as base, expect, type Page } from '@playwright/test';
import { HOST, serve } from './routes.ts';
import { World } from './world.ts';

export { expect };

export interface Farm {
  world: World;
  /** Opens the page at a hash route. */
  open(hash?: string): Promise<void>;
  /** Browsers themselves write refused requests to the console; a test that provokes one says so. */
  forgive(complaint: RegExp): void;
}

export const test = base.extend<{ farm: Farm; base: string }>({
  base: ['/', { option: true }],
  farm: async ({ page, base: path }, use) => {
    const complaints = watch(page);
    const world = new World();
    const forgiven: RegExp[] = [];
    await serve(page, world, path);
    await use({
      world,
      open: async (hash = '#/') => {
        await page.goto(`${HOST}${path}${hash}`);
      },
      forgive: (complaint) => {
        forgiven.push(complaint);
      },
    });
    expect(complaints.filter((text) => !forgiven.some((pattern) => pattern.test(text)))).toEqual([]);
  },
});

/** Everything a reader must never find in the console, and every request that leaves the house. */
export function watch(page: Page, origin = HOST): string[] {
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('request', (request) => {
    const url = request.url();
    const isOwn = url.startsWith(origin) || url.startsWith('data:') || url.startsWith('blob:');
    if (!isOwn) complaints.push(`request to ${url}`);
  });
  return complaints;
}
