"""Measures detectors on scenes through the product itself: python -m pigtrain.evaluate --model FILE --videos FILE... --sources DIR...

A video has NAME.boxes.csv beside it; DIR=PREFIX takes of a source only the pictures whose names begin so. A source without
any pig tells of false boxes. Without --model the detector inside the program is measured. Prints a table; --pictures DIR
also draws what was found; --choose tells which threshold would suit all scenes best.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import cv2
import numpy

from . import measure, sources

LEAST_SCORE = 0.01
# What the product takes where nobody names another.
USUAL_THRESHOLD = 0.3


def detect(binary, model, pictures):
    """Of each picture the boxes (left, top, right, bottom, px) and scores, surest first, as `pigweight detect` gives them."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{number:06}.png" for number in range(len(pictures))]
        for path, pixels in zip(paths, pictures):
            cv2.imwrite(path, pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        command = [binary, "detect", *paths, "--json", "--min-score", str(LEAST_SCORE), *(["--model", model] if model else [])]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found = []
    for picture in json.loads(answer.stdout):
        boxes = numpy.array([d["box"] for d in picture["detections"]], "f4").reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        found.append((boxes, numpy.array([d["score"] for d in picture["detections"]], "f4")))
    return found


def scenes(options):
    """Name, pictures and true boxes of each."""
    for path in options.videos:
        yield path.stem, *zip(*measure.video(path, options.every))
    for text in options.sources:
        folder, _, prefix = text.partition("=")
        pictures = sources.read(folder, prefix=prefix)
        yield pathlib.Path(folder).name, [p.pixels for p in pictures], [p.boxes for p in pictures]


def choose(found):
    """The threshold whose counts are nearest on all scenes alike: the mean over scenes of the error by the number there is."""
    thresholds = numpy.arange(0.02, 0.9, 0.01)
    errors = []
    for pictures in found:
        true = sum(len(truth) for _, _, truth in pictures)
        off = [sum(abs(int((scores >= t).sum()) - len(truth)) for _, scores, truth in pictures) for t in thresholds]
        errors.append(numpy.array(off) / max(true, len(pictures)))
    mean = numpy.mean(errors, 0)
    return float(thresholds[mean.argmin()]), float(mean.min())


def draw(path, pixels, boxes, truth):
    """What was found in green over what is there in thin yellow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas = pixels.copy()
    for rows, colour, thick in ((truth, (0, 220, 255), 1), (boxes, (60, 220, 60), 2)):
        for left, top, right, bottom in rows.round().astype(int).tolist():
            cv2.rectangle(canvas, (left, top), (right, bottom), colour, thick)
    cv2.imwrite(str(path), canvas)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="../target/release/pigweight")
    parser.add_argument("--model", action="append", help="may be given again")
    parser.add_argument("--videos", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--sources", nargs="*", default=[])
    parser.add_argument("--every", type=int, default=10, help="of videos every so many frames")
    parser.add_argument("--threshold", type=float, default=USUAL_THRESHOLD)
    parser.add_argument("--choose", action="store_true", help="tell the best threshold for all the scenes")
    parser.add_argument("--pictures", type=pathlib.Path, help="a folder for pictures with boxes")
    options = parser.parse_args()
    all_scenes, titles = list(scenes(options)), None
    for model in options.model or [None]:
        name, kept = pathlib.Path(model).stem if model else "built in", []
        for scene, pictures, truths in all_scenes:
            found = [(*one, truth) for one, truth in zip(detect(options.binary, model, pictures), truths)]
            kept.append(found)
            if options.pictures:
                for number in range(0, len(pictures), 12):
                    boxes, scores, truth = found[number]
                    draw(options.pictures / f"{name}-{scene}-{number}.jpg", pictures[number], boxes[scores >= options.threshold], truth)
            figures = measure.report(found, options.threshold)
            if titles is None:
                titles = list(figures)
                print("| model | scene | " + " | ".join(titles) + " |\n|---|---|" + "---|" * len(titles))
            cells = ("" if value != value else f"{value:.2f}" if isinstance(value, float) else str(value) for value in figures.values())
            print(f"| {name} | {scene} | " + " | ".join(cells) + " |", flush=True)
        if options.choose:
            threshold, error = choose(kept)
            print(f"{name}: counts are nearest at a threshold of {threshold:.2f}: {100 * error:.0f} % off in the mean over scenes")


if __name__ == "__main__":
    main()
