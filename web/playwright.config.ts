// Two projects. `mock`: the built page with an API made up in the test, no server and no port; `real`, `firefox` and
// `webkit`: a running server, named by PIGWEIGHT_URL. One worker: both play video, and a starved decoder is not a fault of the page.
import { defineConfig } from '@playwright/test';

const realUrl = process.env.PIGWEIGHT_URL;

const launchOptions = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
  ],
};

export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  workers: 1,
  fullyParallel: false,
  reporter: 'list',
  timeout: 30_000,
  expect: { timeout: 8000 },
  ...(realUrl ? {} : { globalSetup: './e2e/mock/film.ts' }),
  use: { launchOptions, viewport: { width: 1280, height: 800 }, locale: 'en-GB', colorScheme: 'light' },
  projects: realUrl
    ? [
        {
          name: 'real',
          testMatch: ['real.spec.ts', 'live.spec.ts'],
          timeout: 600_000,
          use: { baseURL: realUrl.replace(/\/?$/, '/') },
        },
        { name: 'firefox', testMatch: 'browsers.spec.ts', timeout: 300_000 },
        { name: 'webkit', testMatch: 'browsers.spec.ts', timeout: 300_000 },
      ]
    : [{ name: 'mock', testIgnore: ['real.spec.ts', 'live.spec.ts', 'browsers.spec.ts'] }],
});
