import { describe, expect, it } from 'vitest';
import { backOffMs } from './back_off.ts';
import type { Update } from './count_socket.ts';
import { LiveSocket, parseMessage, type Socket } from './live_socket.ts';

/** Time that passes when told to, and sockets that do as they are told. */
class FakeWorld {
  nowMs = 0;
  sockets: (Socket & { isClosed: boolean })[] = [];
  timers: { atMs: number; action: () => void }[] = [];

  readonly surroundings = {
    open: () => {
      const socket = {
        onopen: null,
        onclose: null,
        onmessage: null,
        isClosed: false,
        close() {
          this.isClosed = true;
        },
      } as Socket & { isClosed: boolean };
      this.sockets.push(socket);
      return socket;
    },
    later: (action: () => void, ms: number) => {
      const timer = { atMs: this.nowMs + ms, action };
      this.timers.push(timer);
      return () => {
        this.timers = this.timers.filter((other) => other !== timer);
      };
    },
    uneven: () => 1,
  };

  pass(ms: number): void {
    this.nowMs += ms;
    const due = this.timers.filter((timer) => timer.atMs <= this.nowMs);
    this.timers = this.timers.filter((timer) => timer.atMs > this.nowMs);
    for (const timer of due) timer.action();
  }

  get newest() {
    return this.sockets.at(-1) as Socket;
  }
}

const update = JSON.stringify({
  type: 'count_update',
  id: 'a',
  count: 3,
  t: 1,
  state: 'running',
  progress: 0.1,
});

const parseUpdate = (data: unknown) => parseMessage<Update>(data, ['count_update', 'boxes']);

function openIn(world: FakeWorld, heard: (news: Update) => void = () => undefined, more = {}) {
  const rule = { firstMs: 1000, longestMs: 30_000 };
  return new LiveSocket<Update>(
    { url: 'ws://farm', parse: parseUpdate, heard, rule, ...more },
    world.surroundings,
  );
}

describe('LiveSocket', () => {
  it('comes back with growing waits, and starts over after good news', () => {
    const world = new FakeWorld();
    const heard: Update[] = [];
    openIn(world, (news) => heard.push(news));
    const waits: number[] = [];
    for (let outage = 0; outage < 8; outage += 1) {
      world.newest.onclose?.();
      waits.push((world.timers[0]?.atMs ?? 0) - world.nowMs);
      world.pass(waits.at(-1) as number);
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    expect(world.sockets).toHaveLength(9);
    world.newest.onmessage?.({ data: update });
    expect(heard.map((news) => news.count)).toEqual([3]);
    world.newest.onclose?.();
    expect((world.timers[0]?.atMs ?? 0) - world.nowMs).toBe(1000);
  });

  it('lives through a thousand outages with one socket and one timer', () => {
    const world = new FakeWorld();
    const socket = openIn(world);
    for (let outage = 0; outage < 1000; outage += 1) {
      world.newest.onopen?.();
      world.newest.onclose?.();
      expect(world.timers).toHaveLength(1);
      world.pass(30_000);
    }
    expect(world.sockets.filter((other) => !other.isClosed)).toHaveLength(1);
    socket.close();
    expect(world.sockets.every((other) => other.isClosed)).toBe(true);
    expect(world.timers).toHaveLength(0);
  });

  it('takes a silent server for gone, however open the connection looks', () => {
    const world = new FakeWorld();
    let lost = 0;
    const socket = openIn(world, undefined, { silentAfterMs: 4500, lost: () => (lost += 1) });
    world.newest.onopen?.();
    world.pass(4000);
    world.newest.onmessage?.({ data: update });
    world.pass(4000);
    expect(lost).toBe(0);
    world.pass(500);
    expect(lost).toBe(1);
    world.pass(1000);
    expect(world.sockets.map((other) => other.isClosed)).toEqual([true, false]);
    world.pass(4500);
    expect(lost).toBe(2);
    socket.close();
    expect(world.timers).toHaveLength(0);
  });

  it('does not come back once closed', () => {
    const world = new FakeWorld();
    const socket = openIn(world);
    world.newest.onclose?.();
    socket.close();
    world.pass(60_000);
    expect(world.sockets).toHaveLength(1);
  });
});

it('waits unevenly, between three quarters and all of the time', () => {
  const rule = { firstMs: 1000, longestMs: 5000 };
  expect(backOffMs(rule, 0, 0)).toBe(750);
  expect(backOffMs(rule, 0, 1)).toBe(1000);
  expect(backOffMs(rule, 50, 1)).toBe(5000);
});

it('hears messages of the types that it knows and nothing else', () => {
  expect(parseUpdate(update)?.count).toBe(3);
  expect(parseUpdate('{"type":"hello"}')).toBeNull();
  expect(parseUpdate('not json')).toBeNull();
  expect(parseUpdate(new ArrayBuffer(2))).toBeNull();
});
