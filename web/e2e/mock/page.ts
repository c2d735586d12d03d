// Fixtures of all page tests: a mock server, and checks of the console, page errors and requests to other hosts.
import { test as base, expect, type Page } from '@playwright/test';
import { HOST, serve } from './routes.ts';
import { World } from './world.ts';

export { expect };

export interface Farm {
  world: World;
  /** Opens the page at a hash route. */
  open(hash?: string): Promise<void>;
  /** Browsers log failed requests to the console; a test that provokes one allows it here. */
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

/** Console errors and warnings, page errors, and requests to other hosts. */
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
