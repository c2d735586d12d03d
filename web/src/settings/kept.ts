// The user's choices, stored only in this browser. Storage may be forbidden (private windows): then choices last as long
// as the page.

const PREFIX = 'pigweight.';

export function kept(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // Nothing to do: the choice holds until the page is closed.
  }
}
