// Can this browser play this video? Asked before loading, because a refused file costs time and traffic; what slips through
// is caught by the video element's error. What cannot be played is shown as single pictures made by the server.
import type { Video } from '../api/types.ts';

/** Codec names as the server tells them, and what to ask a browser about each. */
const QUESTIONS: Record<string, string> = {
  h264: 'video/mp4; codecs="avc1.42E01E"',
  hevc: 'video/mp4; codecs="hvc1.1.6.L93.B0"',
  vp8: 'video/webm; codecs="vp8"',
  vp9: 'video/webm; codecs="vp9"',
  av1: 'video/mp4; codecs="av01.0.05M.08"',
  theora: 'video/ogg; codecs="theora"',
};

/** Containers that no browser opens, whatever is inside. */
const REFUSED = /avi|msvideo|mp2t|mpegts|x-flv|x-ms-|x-dv|vnd\.rn|x-asf|mpeg$/i;

export function isPlayable(
  video: Pick<Video, 'codec' | 'media_type'>,
  canPlay: (mediaType: string) => string,
): boolean {
  if (REFUSED.test(video.media_type)) return false;
  if (video.codec === null) return true;
  const question = QUESTIONS[video.codec.toLowerCase()];
  return question !== undefined && canPlay(question) !== '';
}

/** What a reader knows the format by. */
export function formatName(video: Pick<Video, 'codec' | 'name'>): string {
  const known: Record<string, string> = {
    hevc: 'H.265',
    h264: 'H.264',
    mpeg4: 'MPEG-4',
    mjpeg: 'Motion JPEG',
  };
  const codec = video.codec?.toLowerCase();
  if (codec) return known[codec] ?? codec.toUpperCase();
  return video.name.split('.').pop()?.toUpperCase() ?? '';
}
