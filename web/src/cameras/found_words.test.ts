import { afterEach, expect, it } from 'vitest';
import type { FoundProfile } from '../api/types.ts';
import { language } from '../i18n/language.svelte.ts';
import { clockError, makerAndModel, streamSettings, suggestedName } from './found_words.ts';

afterEach(() => language.choose('en'));

const PROFILE: FoundProfile = {
  id: '0-0',
  name: 'main',
  video_source: '0',
  codec: 'H264',
  width: 2560,
  height: 1440,
  frames_per_sec: 20,
  gop_frames: 40,
  bitrate_kbps: 4096,
  codec_profile: 'Main',
  url: 'rtsp://192.168.1.20/main',
  problem: null,
  suggested_for: 'viewing',
  camera: null,
};

it('says what a camera says of its stream, and no more', () => {
  expect(streamSettings(PROFILE)).toBe('H264 · 2560×1440 · 20 frames/s · keyframe every 2 sec');
  expect(streamSettings({ ...PROFILE, gop_frames: null, height: null })).toBe('H264 · 20 frames/s');
  const silent = { ...PROFILE, codec: null, width: null, frames_per_sec: null };
  expect(streamSettings(silent)).toBe('');
});

it.each([
  [null, null],
  [0.4, null],
  [-1.9, null],
  [30, 'Its clock is 30 sec fast'],
  [-3600, 'Its clock is 60 min slow'],
  [10_800, 'Its clock is 3 hr fast'],
  [-849_219_801, 'Its clock is 9,829 days slow'],
])('a clock that is off by %s s', (offset, expected) => {
  expect(clockError(offset)).toBe(expected);
});

it('names cameras so that two of one model differ', () => {
  const camera = { name: null, model: 'IPC', manufacturer: 'IPC', address: '192.168.1.20' };
  expect(suggestedName(camera)).toBe('IPC 192.168.1.20');
  expect(suggestedName({ ...camera, name: 'Gate' })).toBe('Gate 192.168.1.20');
  expect(suggestedName({ ...camera, model: null })).toBe('192.168.1.20');
  expect(makerAndModel(camera)).toBe('IPC');
  expect(makerAndModel({ manufacturer: 'Dahua', model: 'IPC-HFW' })).toBe('Dahua IPC-HFW');
  expect(makerAndModel({ manufacturer: null, model: null })).toBe('');
});
