// Live updates of one video during analysis, or of a camera.
import { socketAddress } from '../api/request.ts';
import type { BoxesUpdate, CountUpdate } from '../api/types.ts';
import { LiveSocket, parseMessage } from './live_socket.ts';

const RULE = { firstMs: 1000, longestMs: 30_000 };

export type Update = CountUpdate | BoxesUpdate;

export const isCount = (update: Update): update is CountUpdate => update.type === 'count_update';

export function openCountSocket(id: string, heard: (update: Update) => void): LiveSocket<Update> {
  const parse = (data: unknown) => parseMessage<Update>(data, ['count_update', 'boxes']);
  return new LiveSocket({ url: socketAddress('ws/count', { id }), parse, heard, rule: RULE });
}
