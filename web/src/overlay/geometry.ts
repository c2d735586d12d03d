// The picture's position on the screen and the mapping of its pixels. The picture keeps its aspect inside the stage
// (letterboxing), and a video's pixels need not be square, so the two axes scale separately.

export interface Size {
  width: number;
  height: number;
}

export interface Rect extends Size {
  x: number;
  y: number;
}

/** The place of a picture of shape `picture` inside `stage`, as CSS `object-fit: contain` puts it. */
export function containRect(stage: Size, picture: Size): Rect {
  if (stage.width <= 0 || stage.height <= 0 || picture.width <= 0 || picture.height <= 0) {
    return { x: 0, y: 0, width: 0, height: 0 };
  }
  const scale = Math.min(stage.width / picture.width, stage.height / picture.height);
  const width = picture.width * scale;
  const height = picture.height * scale;
  return { x: (stage.width - width) / 2, y: (stage.height - height) / 2, width, height };
}

/** Frame pixels ↔ screen pixels. `source` is the size that the server measures boxes and lines in. */
export class PictureMap {
  readonly rect: Rect;
  readonly source: Size;

  constructor(stage: Size, shape: Size, source: Size) {
    this.rect = containRect(stage, shape);
    this.source = source;
  }

  get isEmpty(): boolean {
    return this.rect.width <= 0 || this.source.width <= 0 || this.source.height <= 0;
  }

  toScreen(x: number, y: number): [number, number] {
    return [
      this.rect.x + (x / this.source.width) * this.rect.width,
      this.rect.y + (y / this.source.height) * this.rect.height,
    ];
  }

  /** Held inside the picture: nothing can be drawn beside it. */
  toSource(screenX: number, screenY: number): [number, number] {
    const x = ((screenX - this.rect.x) / this.rect.width) * this.source.width;
    const y = ((screenY - this.rect.y) / this.rect.height) * this.source.height;
    return [Math.max(0, Math.min(this.source.width, x)), Math.max(0, Math.min(this.source.height, y))];
  }

  boxToScreen(x: number, y: number, width: number, height: number): Rect {
    const [left, top] = this.toScreen(x, y);
    return {
      x: left,
      y: top,
      width: (width / this.source.width) * this.rect.width,
      height: (height / this.source.height) * this.rect.height,
    };
  }
}
