// Key bindings. By letter first, then by position on the keyboard: J, K and L have the same positions on a Russian
// keyboard, where they type other letters.

export type KeyAction =
  | 'toggle'
  | 'back_short'
  | 'forward_short'
  | 'back_long'
  | 'forward_long'
  | 'frame_back'
  | 'frame_forward'
  | 'slower'
  | 'faster'
  | 'beginning'
  | 'end'
  | 'draw'
  | 'full_screen'
  | 'mute'
  | 'help'
  | 'escape';

export interface KeyPress {
  key: string;
  code: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

const BY_KEY: Record<string, KeyAction> = {
  ' ': 'toggle',
  ArrowLeft: 'back_short',
  ArrowRight: 'forward_short',
  Home: 'beginning',
  End: 'end',
  Escape: 'escape',
  '?': 'help',
  '<': 'slower',
  '>': 'faster',
  ',': 'frame_back',
  '.': 'frame_forward',
};

const BY_CODE: Record<string, KeyAction> = {
  KeyJ: 'back_long',
  KeyK: 'toggle',
  KeyL: 'forward_long',
  KeyF: 'full_screen',
  KeyM: 'mute',
  KeyN: 'draw',
  Comma: 'frame_back',
  Period: 'frame_forward',
};

const BY_SHIFTED_CODE: Record<string, KeyAction> = { Comma: 'slower', Period: 'faster', Slash: 'help' };

export function keyAction(press: KeyPress): KeyAction | null {
  if (press.ctrlKey || press.altKey || press.metaKey) return null;
  if (press.shiftKey) return BY_SHIFTED_CODE[press.code] ?? BY_KEY[press.key] ?? null;
  return BY_KEY[press.key] ?? BY_CODE[press.code] ?? null;
}

/** Keys belong to a field while it is written in, and space to a button that is held. */
export function isTakenBy(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof Element)) return false;
  if (target.closest('input, textarea, select, dialog[open], [contenteditable]')) return key !== 'Escape';
  return (key === ' ' || key === 'Enter') && target.closest('button, a, summary, [role="button"]') !== null;
}
