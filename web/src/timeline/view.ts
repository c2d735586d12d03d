// The visible interval of the timeline, and conversion of seconds to pixels and back. Coverage, curve, ticks and cursor all use
// this scale, so they align to the pixel.

export interface TimeView {
  fromSecs: number;
  toSecs: number;
}

const SHORTEST_SECS = 2;

export const wholeView = (durationSecs: number): TimeView => ({
  fromSecs: 0,
  toSecs: Math.max(durationSecs, 0.04),
});

export function toPixels(view: TimeView, width: number, secs: number): number {
  return ((secs - view.fromSecs) / (view.toSecs - view.fromSecs)) * width;
}

export function toSecs(view: TimeView, width: number, pixels: number): number {
  const share = width > 0 ? Math.max(0, Math.min(1, pixels / width)) : 0;
  return view.fromSecs + share * (view.toSecs - view.fromSecs);
}

/** `factor` < 1 comes nearer. The moment `aroundSecs` stays where it is on the screen, as far as the ends allow. */
export function zoom(view: TimeView, durationSecs: number, factor: number, aroundSecs: number): TimeView {
  const whole = wholeView(durationSecs);
  const length = view.toSecs - view.fromSecs;
  const wanted = Math.max(Math.min(SHORTEST_SECS, whole.toSecs), Math.min(whole.toSecs, length * factor));
  const share = (aroundSecs - view.fromSecs) / length;
  return hold({ fromSecs: aroundSecs - share * wanted, toSecs: aroundSecs + (1 - share) * wanted }, whole);
}

/** Moves it, as far as the ends allow. */
export function pan(view: TimeView, durationSecs: number, secs: number): TimeView {
  return hold({ fromSecs: view.fromSecs + secs, toSecs: view.toSecs + secs }, wholeView(durationSecs));
}

/** Two fingers hold two moments: `from` is where they were in `view`, `to` where they are now, px of `width`. */
export function pinch(
  view: TimeView,
  durationSecs: number,
  width: number,
  from: readonly [number, number],
  to: readonly [number, number],
): TimeView {
  const length = view.toSecs - view.fromSecs;
  const [distance, spread] = [from, to].map(([one, other]) => Math.max(1, Math.abs(one - other)));
  const zoomed = zoom(view, durationSecs, (distance ?? 1) / (spread ?? 1), view.fromSecs);
  const held = view.fromSecs + ((from[0] + from[1]) / 2 / Math.max(1, width)) * length;
  const at = (to[0] + to[1]) / 2 / Math.max(1, width);
  const fromSecs = held - at * (zoomed.toSecs - zoomed.fromSecs);
  return pan(zoomed, durationSecs, fromSecs - zoomed.fromSecs);
}

/** Turns the page when the cursor has left the view; the same view when it has not. */
export function follow(view: TimeView, durationSecs: number, secs: number): TimeView {
  if (secs >= view.fromSecs && secs <= view.toSecs) return view;
  const length = view.toSecs - view.fromSecs;
  const fromSecs = secs - length * 0.1;
  return hold({ fromSecs, toSecs: fromSecs + length }, wholeView(durationSecs));
}

export const isWhole = (view: TimeView, durationSecs: number) =>
  view.toSecs - view.fromSecs >= wholeView(durationSecs).toSecs - 1e-6;

/** Round moments for the labels under the time line, about `wanted` of them. */
export function ticks(view: TimeView, wanted: number): number[] {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200];
  const length = view.toSecs - view.fromSecs;
  const step = steps.find((candidate) => length / candidate <= Math.max(1, wanted)) ?? 86_400;
  const moments: number[] = [];
  for (let secs = Math.ceil(view.fromSecs / step) * step; secs <= view.toSecs; secs += step)
    moments.push(secs);
  return moments;
}

function hold(view: TimeView, whole: TimeView): TimeView {
  const length = view.toSecs - view.fromSecs;
  const fromSecs = Math.max(0, Math.min(view.fromSecs, whole.toSecs - length));
  return { fromSecs, toSecs: Math.min(whole.toSecs, fromSecs + length) };
}
