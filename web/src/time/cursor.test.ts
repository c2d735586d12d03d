import { beforeEach, describe, expect, it } from 'vitest';
import { Cursor, type Screen } from './cursor.svelte.ts';
import { PtsTable } from './pts_table.ts';

class SlowScreen implements Screen {
  sought: number[] = [];
  calls: string[] = [];
  seek = (secs: number) => void this.sought.push(secs);
  play = () => void this.calls.push('play');
  pause = () => void this.calls.push('pause');
  setRate = (rate: number) => void this.calls.push(`rate ${rate}`);
  setMuted = () => undefined;
  close = () => undefined;
}

const table = new PtsTable({
  is_whole: true,
  is_mirrored: false,
  duration_secs: 1,
  time_base: [1, 1000],
  first_pts: 80,
  runs: [[40, 24]],
  frames: 25,
});

describe('Cursor', () => {
  let cursor: Cursor;
  let screen: SlowScreen;
  beforeEach(() => {
    cursor = new Cursor();
    screen = new SlowScreen();
    cursor.useTable(table);
    cursor.attach(screen);
    cursor.showAt(0);
    screen.sought = [];
  });

  it('moves only when the screen has shown the frame', () => {
    cursor.seek(0.5);
    expect(cursor.shown?.index).toBe(0);
    cursor.showAt(0.5);
    expect(cursor.shown).toEqual({ secs: 0.48, index: 12, pts: 560 });
  });

  it('seeks to the middle of the frame', () => {
    cursor.seek(0.5);
    expect(screen.sought).toEqual([0.5]);
    cursor.seekToPts(80);
    expect(screen.sought[1]).toBeCloseTo(0.02, 9);
  });

  it('loses no step when they come faster than pictures', () => {
    for (let step = 0; step < 5; step += 1) cursor.step(1);
    expect(table.indexAt(screen.sought.at(-1) as number)).toBe(5);
    cursor.step(-1);
    expect(table.indexAt(screen.sought.at(-1) as number)).toBe(4);
  });

  it('stays inside the video', () => {
    cursor.skip(-10);
    expect(table.indexAt(screen.sought.at(-1) as number)).toBe(0);
    cursor.skip(100);
    expect(table.indexAt(screen.sought.at(-1) as number)).toBe(24);
  });

  it('begins again when played at the end, and goes on after a scrub', () => {
    cursor.showAt(0.96);
    cursor.play();
    expect(table.indexAt(screen.sought.at(-1) as number)).toBe(0);
    cursor.playing = true;
    screen.calls = [];
    cursor.beginScrub();
    cursor.endScrub();
    expect(screen.calls).toEqual(['pause', 'play']);
  });

  it('gives a new screen the moment of the old one', () => {
    cursor.showAt(0.4);
    cursor.detach(screen);
    const next = new SlowScreen();
    cursor.attach(next);
    expect(table.indexAt(next.sought[0] as number)).toBe(10);
  });

  it('tells a frame that the browser missed, until something else is wanted', () => {
    cursor.seek(0.5);
    cursor.showAt(0.4);
    cursor.settled();
    expect(cursor.missedIndex).toBe(12);
    cursor.seek(0.1);
    expect(cursor.missedIndex).toBeNull();
    cursor.showAt(0.1);
    cursor.settled();
    expect(cursor.missedIndex).toBeNull();
    cursor.seek(0.5);
    cursor.showAt(0.4);
    cursor.settled();
    cursor.play();
    expect(cursor.missedIndex).toBeNull();
  });

  it('keeps a moment asked for before the index was read', () => {
    const early = new Cursor();
    early.seek(0.5);
    early.useTable(table);
    early.attach(screen);
    expect(screen.sought).toEqual([0.5]);
  });
});
