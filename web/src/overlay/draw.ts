// Boxes, numbers and trails of one frame on a canvas. A measured box is solid, an interpolated one is
// dashed: the line style is the sign; colour only helps to follow an animal. Every stroke has a dark casing, because no single
// colour is visible on pigs, straw and night pictures alike.
import type { DetectionFrame } from '../api/narrowed.ts';
import type { PictureMap } from './geometry.ts';

export interface OverlayChoice {
  boxes: boolean;
  numbers: boolean;
  trails: boolean;
}

const COLOURS = ['#5ee6d0', '#ffd166', '#8ec5ff', '#ff9eb5', '#b6f09c', '#ffb570', '#d7b8ff', '#f3f37a'];
const CASING = 'rgb(0 0 0 / 0.65)';

export const colourOfTrack = (track: number) => COLOURS[Math.abs(track) % COLOURS.length] as string;

export function drawOverlay(
  context: CanvasRenderingContext2D,
  map: PictureMap,
  frame: DetectionFrame | null,
  past: DetectionFrame[],
  choice: OverlayChoice,
): void {
  if (map.isEmpty || !frame) return;
  const unit = Math.max(1, Math.min(3, map.rect.width / 900));
  if (choice.trails) drawTrails(context, map, frame, past, unit);
  if (choice.boxes) drawBoxes(context, map, frame, unit);
  if (choice.numbers) drawNumbers(context, map, frame, unit);
}

function drawBoxes(
  context: CanvasRenderingContext2D,
  map: PictureMap,
  frame: DetectionFrame,
  unit: number,
): void {
  for (const [x, y, width, height, , track, measured] of frame.boxes) {
    const box = map.boxToScreen(x, y, width, height);
    context.setLineDash(measured ? [] : [7 * unit, 5 * unit]);
    context.lineWidth = 4 * unit;
    context.strokeStyle = CASING;
    context.strokeRect(box.x, box.y, box.width, box.height);
    context.lineWidth = 2 * unit;
    context.strokeStyle = colourOfTrack(track);
    context.strokeRect(box.x, box.y, box.width, box.height);
  }
  context.setLineDash([]);
}

function drawNumbers(
  context: CanvasRenderingContext2D,
  map: PictureMap,
  frame: DetectionFrame,
  unit: number,
): void {
  const height = Math.round(15 * unit);
  context.font = `600 ${Math.round(12 * unit)}px system-ui, sans-serif`;
  context.textBaseline = 'middle';
  for (const [x, y, width, , , track] of frame.boxes) {
    const text = String(track);
    const [left, top] = map.toScreen(x, y);
    const textWidth = context.measureText(text).width + 8 * unit;
    const right = map.toScreen(x + width, y)[0];
    if (textWidth > (right - left) * 1.6) continue;
    context.fillStyle = 'rgb(0 0 0 / 0.78)';
    context.fillRect(left, top, textWidth, height);
    context.fillStyle = colourOfTrack(track);
    context.fillText(text, left + 4 * unit, top + height / 2 + unit);
  }
}

function drawTrails(
  context: CanvasRenderingContext2D,
  map: PictureMap,
  frame: DetectionFrame,
  past: DetectionFrame[],
  unit: number,
): void {
  const wanted = new Map(frame.boxes.map((box) => [box[5], new Path2D()]));
  const begun = new Set<number>();
  for (const { boxes } of past) {
    for (const [x, y, width, height, , track] of boxes) {
      const path = wanted.get(track);
      if (!path) continue;
      const [centreX, centreY] = map.toScreen(x + width / 2, y + height / 2);
      if (begun.has(track)) path.lineTo(centreX, centreY);
      else path.moveTo(centreX, centreY);
      begun.add(track);
    }
  }
  context.lineJoin = 'round';
  for (const [track, path] of wanted) {
    context.lineWidth = 4 * unit;
    context.strokeStyle = CASING;
    context.stroke(path);
    context.lineWidth = 2 * unit;
    context.strokeStyle = colourOfTrack(track);
    context.stroke(path);
  }
}
