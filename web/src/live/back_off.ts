// How long to wait before trying again: doubling, bounded, and a little uneven, so that the pages of a farm do not all come
// back in the same moment after the server was restarted.

export interface BackOffRule {
  firstMs: number;
  longestMs: number;
}

/** `attempt` counts failures in a row from 0; `uneven` is a number from 0 to 1. */
export function backOffMs(rule: BackOffRule, attempt: number, uneven: number): number {
  const full = Math.min(rule.longestMs, rule.firstMs * 2 ** Math.min(attempt, 20));
  return Math.round(full * (0.75 + 0.25 * uneven));
}
