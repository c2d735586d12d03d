import { describe, expect, it } from 'vitest';
import { containRect, PictureMap } from './geometry.ts';

describe('containRect', () => {
  it('leaves bars at the sides of a wide stage and above a tall one', () => {
    expect(containRect({ width: 1000, height: 360 }, { width: 640, height: 360 })).toEqual({
      x: 180,
      y: 0,
      width: 640,
      height: 360,
    });
    expect(containRect({ width: 320, height: 640 }, { width: 1920, height: 1080 })).toEqual({
      x: 0,
      y: 230,
      width: 320,
      height: 180,
    });
  });

  it('is empty for what has no size yet', () => {
    expect(containRect({ width: 0, height: 0 }, { width: 1, height: 1 }).width).toBe(0);
    expect(
      new PictureMap({ width: 9, height: 9 }, { width: 0, height: 0 }, { width: 9, height: 9 }).isEmpty,
    ).toBe(true);
  });
});

describe('PictureMap', () => {
  const map = new PictureMap(
    { width: 1000, height: 360 },
    { width: 640, height: 360 },
    { width: 1920, height: 1080 },
  );

  it('maps frame pixels to the screen and back', () => {
    expect(map.toScreen(0, 0)).toEqual([180, 0]);
    expect(map.toScreen(1920, 1080)).toEqual([820, 360]);
    const [x, y] = map.toSource(...map.toScreen(777, 333));
    expect(x).toBeCloseTo(777, 9);
    expect(y).toBeCloseTo(333, 9);
    expect(map.boxToScreen(960, 540, 96, 54)).toEqual({ x: 500, y: 180, width: 32, height: 18 });
  });

  it('holds points beside the picture at its edge', () => {
    expect(map.toSource(0, -50)).toEqual([0, 0]);
    expect(map.toSource(999, 999)).toEqual([1920, 1080]);
  });

  it('stretches pixels that are not square', () => {
    // 720 × 576 stored, shown as 16:9.
    const wide = new PictureMap(
      { width: 1024, height: 576 },
      { width: 1024, height: 576 },
      { width: 720, height: 576 },
    );
    expect(wide.toScreen(360, 288)).toEqual([512, 288]);
    expect(wide.boxToScreen(0, 0, 72, 72)).toEqual({ x: 0, y: 0, width: 102.4, height: 72 });
  });
});
