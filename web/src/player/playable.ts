// How this browser can play this video. Checked before loading, because a refused file costs time and traffic. Other
// failures are caught by the video element's error, and the next method is tried.
import type { Video } from '../api/types.ts';

/** The file as it lies there, its packets in pieces that browsers take (HLS), or single pictures made by the server. */
export type Way = 'file' | 'stream' | 'pictures';

/** What a browser is asked about a media type. */
export interface Asked {
  /** Of a file. */
  file(mediaType: string): boolean;
  /** Of pieces of mp4. */
  stream(mediaType: string): boolean;
}

/** Codec names as the server tells them, and what to ask a browser about each in a file. */
const IN_FILE: Record<string, string> = {
  h264: 'video/mp4; codecs="avc1.42E01E"',
  hevc: 'video/mp4; codecs="hvc1.1.6.L93.B0"',
  vp8: 'video/webm; codecs="vp8"',
  vp9: 'video/webm; codecs="vp9"',
  av1: 'video/mp4; codecs="av01.0.05M.08"',
  theora: 'video/ogg; codecs="theora"',
};

/** The same for those that the server streams. */
const IN_STREAM: Record<string, string> = {
  h264: 'video/mp4; codecs="avc1.42E01E"',
  hevc: 'video/mp4; codecs="hvc1.1.6.L93.B0"',
  vp9: 'video/mp4; codecs="vp09.00.41.08"',
  av1: 'video/mp4; codecs="av01.0.05M.08"',
};

/** Containers that no browser opens, whatever is inside. */
const REFUSED = /avi|msvideo|mp2t|mpegts|x-flv|x-ms-|x-dv|vnd\.rn|x-asf|mpeg$/i;
/** Some open it, and of those some cannot seek in it. */
const RATHER_STREAMED = /matroska/i;

/** The ways that may work, the best first. */
export function waysToPlay(video: Pick<Video, 'codec' | 'media_type'>, asked: Asked): Way[] {
  const codec = video.codec?.toLowerCase() ?? null;
  const is = (question: string | undefined, ask: (mediaType: string) => boolean) =>
    question !== undefined && ask(question);
  const ways: Way[] = [];
  if (!REFUSED.test(video.media_type) && (codec === null || is(IN_FILE[codec], asked.file)))
    ways.push('file');
  if (codec !== null && is(IN_STREAM[codec], asked.stream)) ways.push('stream');
  if (RATHER_STREAMED.test(video.media_type)) ways.reverse();
  return [...ways, 'pictures'];
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
