// Delay before a retry: doubling, bounded, with jitter, so that a farm's pages don't all reconnect
// at once after the server was restarted.

export interface BackOffRule {
  firstMs: number;
  longestMs: number;
}

/** `attempt` counts failures in a row from 0; `uneven` is a number from 0 to 1. */
export function backOffMs(rule: BackOffRule, attempt: number, uneven: number): number {
  const full = Math.min(rule.longestMs, rule.firstMs * 2 ** Math.min(attempt, 20));
  return Math.round(full * (0.75 + 0.25 * uneven));
}
