// WebKitGTK's MiniBrowser and one page of it, driven by WebDriver (https://w3c.github.io/webdriver/) on a display of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import type { Driven } from './driven.ts';

export class WebKit implements Driven {
  /** WebDriver cannot report them. */
  readonly complaints: string[] = [];
  readonly #processes: ChildProcess[];
  readonly #session: string;

  static async start(driver: string): Promise<WebKit> {
    // The X server writes its display number to the file descriptor.
    const display = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1400x1000x24', '-nolisten', 'tcp'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    const number = await new Promise<string>((resolve, reject) => {
      display.on('error', reject);
      display.on('exit', () => reject(new Error('Xvfb did not start')));
      display.stdio[3]?.once('data', (told) => resolve(String(told).trim()));
    });
    const port = await freePort();
    const env = { ...process.env, DISPLAY: `:${number}`, LIBGL_ALWAYS_SOFTWARE: '1', NO_AT_BRIDGE: '1' };
    const browser = spawn(driver, [`--port=${port}`], { stdio: 'ignore', env });
    const gone = new Promise<never>((_, reject) => {
      browser.on('error', reject);
      browser.on('exit', () => reject(new Error(`${driver} did not start`)));
    });
    gone.catch(() => undefined);
    const address = `http://127.0.0.1:${port}`;
    const capabilities = { alwaysMatch: { 'webkitgtk:browserOptions': { args: ['--automation'] } } };
    const begin = async (): Promise<{ sessionId: string }> => {
      for (;;) {
        try {
          return await send(`${address}/session`, 'POST', { capabilities });
        } catch (error) {
          // Not listening yet.
          if (!(error instanceof TypeError)) throw error;
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    };
    const { sessionId } = await Promise.race([begin(), gone]);
    const webkit = new WebKit(`${address}/session/${sessionId}`, [browser, display]);
    await webkit.#send('window/rect', { x: 0, y: 0, width: 1280, height: 900 });
    await webkit.#send('timeouts', { script: 60_000, pageLoad: 60_000 });
    return webkit;
  }

  private constructor(session: string, processes: ChildProcess[]) {
    this.#session = session;
    this.#processes = processes;
  }

  async open(address: string): Promise<void> {
    await this.#send('url', { url: address });
  }

  async ask<T>(expression: string): Promise<T> {
    const script = `const done = arguments[arguments.length - 1];
      (async () => JSON.stringify(await (${expression})))().then(done, (error) => done('!' + error));`;
    const told = await this.#send<string | null>('execute/async', { script, args: [] });
    if (told?.startsWith('!')) throw new Error(told.slice(1));
    return JSON.parse(told ?? 'null') as T;
  }

  async click(x: number, y: number): Promise<void> {
    const actions = [
      { type: 'pointerMove', duration: 0, x: Math.round(x), y: Math.round(y) },
      { type: 'pointerDown', button: 0 },
      { type: 'pointerUp', button: 0 },
    ];
    await this.#send('actions', { actions: [{ type: 'pointer', id: 'mouse', actions }] });
  }

  async press(key: string): Promise<void> {
    const actions = [
      { type: 'keyDown', value: key },
      { type: 'keyUp', value: key },
    ];
    await this.#send('actions', { actions: [{ type: 'key', id: 'keys', actions }] });
  }

  async close(): Promise<void> {
    await send(this.#session, 'DELETE').catch(() => undefined);
    for (const process of this.#processes) {
      const gone = new Promise((resolve) => process.on('exit', resolve));
      if (process.kill()) await gone;
    }
  }

  #send<T>(command: string, body: object): Promise<T> {
    return send(`${this.#session}/${command}`, 'POST', body);
  }
}

async function send<T>(address: string, method: string, body?: object): Promise<T> {
  const answer = await fetch(address, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
  const { value } = (await answer.json()) as { value: T & { error?: string; message?: string } };
  if (!answer.ok) throw new Error(`${address}: ${value?.error}: ${value?.message}`);
  return value;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
