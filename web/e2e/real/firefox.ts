// A system's own Firefox and one page of it, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/): Playwright drives
// its own builds only. Node 20 has WebSocket behind --experimental-websocket.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Driven } from './driven.ts';

interface Answer {
  id?: number;
  type: string;
  result?: Record<string, unknown>;
  message?: string;
  method?: string;
  params?: { level?: string; text?: string };
}

export class Firefox implements Driven {
  /** Errors and warnings of the page. */
  readonly complaints: string[] = [];
  readonly #socket: WebSocket;
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #nextId = 1;
  #page = '';

  static async start(program: string): Promise<Firefox> {
    const profile = mkdtempSync(join(tmpdir(), 'firefox-'));
    // Sound without a click, and no first-run pages that ask other hosts.
    const settings = {
      'media.autoplay.default': 0,
      'browser.shell.checkDefaultBrowser': false,
      'datareporting.policy.dataSubmissionEnabled': false,
    };
    const lines = Object.entries(settings).map(
      ([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`,
    );
    writeFileSync(join(profile, 'user.js'), lines.join('\n'));
    const args = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'];
    const browser = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const address = await new Promise<string>((resolve, reject) => {
      let told = '';
      browser.stderr.on('data', (data) => {
        told += data;
        const found = /WebDriver BiDi listening on (ws:\S+)/.exec(told);
        if (found) resolve(found[1] as string);
      });
      browser.on('error', reject);
      browser.on('exit', () => reject(new Error(`${program} did not start:\n${told}`)));
    });
    const socket = new WebSocket(`${address}/session`);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error(`no answer from ${address}`));
    });
    const firefox = new Firefox(socket, browser, profile);
    await firefox.#send('session.new', { capabilities: {} });
    await firefox.#send('session.subscribe', { events: ['log.entryAdded'] });
    const tree = await firefox.#send('browsingContext.getTree', {});
    firefox.#page = (tree.contexts as { context: string }[])[0]?.context ?? '';
    await firefox.#send('browsingContext.setViewport', {
      context: firefox.#page,
      viewport: { width: 1280, height: 800 },
    });
    return firefox;
  }

  private constructor(socket: WebSocket, browser: ChildProcess, profile: string) {
    this.#socket = socket;
    this.#process = browser;
    this.#profile = profile;
    socket.onmessage = (event) => {
      const answer: Answer = JSON.parse(String(event.data));
      if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer);
      else if (answer.method === 'log.entryAdded') {
        if (answer.params?.level === 'error' || answer.params?.level === 'warn') {
          this.complaints.push(`${answer.params.level}: ${answer.params.text}`);
        }
      }
    };
  }

  async open(address: string): Promise<void> {
    await this.#send('browsingContext.navigate', { context: this.#page, url: address, wait: 'complete' });
  }

  /** The value of an expression in the page; promises are waited for. */
  async ask<T>(expression: string): Promise<T> {
    const answer = await this.#send('script.evaluate', {
      expression: `(async () => JSON.stringify(await (${expression})))()`,
      target: { context: this.#page },
      awaitPromise: true,
    });
    if (answer.type === 'exception') throw new Error(JSON.stringify(answer.exceptionDetails));
    return JSON.parse((answer.result as { value: string }).value ?? 'null') as T;
  }

  async click(x: number, y: number): Promise<void> {
    const actions = [
      { type: 'pointerMove', x: Math.round(x), y: Math.round(y) },
      { type: 'pointerDown', button: 0 },
      { type: 'pointerUp', button: 0 },
    ];
    await this.#send('input.performActions', {
      context: this.#page,
      actions: [{ type: 'pointer', id: 'mouse', actions }],
    });
  }

  async press(key: string): Promise<void> {
    const actions = [
      { type: 'keyDown', value: key },
      { type: 'keyUp', value: key },
    ];
    await this.#send('input.performActions', {
      context: this.#page,
      actions: [{ type: 'key', id: 'keys', actions }],
    });
  }

  async close(): Promise<void> {
    const gone = new Promise((resolve) => this.#process.on('exit', resolve));
    this.#process.kill();
    await gone;
    rmSync(this.#profile, { recursive: true, force: true });
  }

  async #send(method: string, params: object): Promise<Record<string, unknown>> {
    const id = this.#nextId;
    this.#nextId += 1;
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
    this.#waiting.delete(id);
    if (answer.type === 'error') throw new Error(`${method}: ${answer.message}`);
    return answer.result ?? {};
  }
}
