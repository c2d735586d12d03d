"""Measures an ONNX detector on scenes: python -m pigtrain.evaluate MODEL --videos FILE... --sources DIR...

A video has NAME.boxes.csv beside it. Prints a table of each scene; --pictures DIR also draws some with their boxes.
"""

import argparse
import pathlib

import cv2
import numpy
import onnxruntime

from . import augment, measure, sources

LEAST_SCORE = 0.01


class Model:
    """A detector in the layout of YOLOv8, run as the product runs it."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        self.side = self.input.shape[3]

    def detect(self, pixels):
        """Boxes (left, top, right, bottom, px) and scores, surest first."""
        square, scale, (left, top) = augment.letterbox(pixels, self.side)
        tensor = square[..., ::-1].transpose(2, 0, 1)[None].astype("f4") / 255
        found = self.session.run(None, {self.input.name: tensor})[0][0].T
        found = found[found[:, 4] >= LEAST_SCORE]
        boxes = numpy.concatenate([found[:, :2] - found[:, 2:4] / 2, found[:, :2] + found[:, 2:4] / 2], 1)
        boxes = (boxes - (left, top, left, top)) / scale
        height, width = pixels.shape[:2]
        boxes = boxes.clip(0, (width, height, width, height))
        kept = measure.suppress(boxes, found[:, 4])[:300]
        return boxes[kept], found[kept, 4]


def scenes(options):
    for path in options.videos:
        yield path.stem, measure.video(path, options.every)
    for folder in options.sources:
        yield folder.name, ((picture.pixels, picture.boxes) for picture in sources.read(folder, prefix=options.prefix))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--videos", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--sources", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--prefix", default="", help="of the sources only pictures whose names begin so")
    parser.add_argument("--every", type=int, default=10, help="of videos every so many frames")
    parser.add_argument("--threshold", type=float, default=0.3)
    parser.add_argument("--pictures", type=pathlib.Path, help="a folder for pictures with boxes")
    options = parser.parse_args()
    model, titles = Model(options.model), None
    for name, pictures in scenes(options):
        found = []
        for number, (pixels, truth) in enumerate(pictures):
            boxes, scores = model.detect(pixels)
            found.append((boxes, scores, truth))
            if options.pictures and number % 12 == 0:
                draw(options.pictures / f"{name}-{number}.jpg", pixels, boxes[scores >= options.threshold], truth)
        figures = measure.report(found, options.threshold)
        if titles is None:
            titles = list(figures)
            print("| scene | " + " | ".join(titles) + " |\n|---|" + "---|" * len(titles))
        cells = (f"{value:.3f}" if isinstance(value, float) else str(value) for value in figures.values())
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def draw(path, pixels, boxes, truth):
    """What was found in green over what is there in thin yellow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas = pixels.copy()
    for rows, colour, thick in ((truth, (0, 220, 255), 1), (boxes, (60, 220, 60), 2)):
        for left, top, right, bottom in rows.round().astype(int).tolist():
            cv2.rectangle(canvas, (left, top), (right, bottom), colour, thick)
    cv2.imwrite(str(path), canvas)


if __name__ == "__main__":
    main()
