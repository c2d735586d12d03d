"""Composes crowds from images and writes them as a source: python -m pigtrain.crowds --outlined DIR=PREFIX --out DIR

Of pictures that training leaves out they are scenes to choose a threshold on.
"""

import argparse
import pathlib

import cv2
import numpy

from . import compose, sources


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outlined", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1000)
    options = parser.parse_args()
    folder, _, prefix = options.outlined.partition("=")
    pictures = sources.read(folder, prefix=prefix)
    random, cutouts = numpy.random.default_rng(options.seed), compose.Cutouts(pictures)
    grounds = [ground for picture in pictures if (ground := compose.emptied(picture, random)) is not None]
    for part in ("images", "labels"):
        (options.out / part).mkdir(parents=True, exist_ok=True)
    for number in range(options.count):
        pixels, boxes, _ = compose.scene(random, cutouts, grounds)
        height, width = pixels.shape[:2]
        cv2.imwrite(str(options.out / "images" / f"crowd_{number:04}.png"), pixels)
        rows = numpy.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1) / (width, height, width, height)
        text = "".join("0 " + " ".join(f"{value:.6f}" for value in row) + "\n" for row in rows)
        (options.out / "labels" / f"crowd_{number:04}.txt").write_text(text)


if __name__ == "__main__":
    main()
