"""Measures detectors on scenes through the product itself: python -m pigtrain.evaluate --model FILE --videos FILE... --sources DIR...

A video has NAME.boxes.csv beside it; DIR=PREFIX takes of a source only the pictures whose names begin so. A source without
any pig tells of false boxes. Without --model the detector inside the program is measured. Prints a table; --pictures DIR
also draws what was found; --sizes tells how many pigs of which size, and seen by which share, are found; --choose tells which threshold would suit
all scenes best. With --here ONNX Runtime runs the model in this process, where the program is not built.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import cv2
import numpy
import onnx
import onnxruntime

from . import measure, sources

LEAST_SCORE = 0.01
COARSEST_STRIDE, GREY = 32, 114
# What the product takes where nobody names another.
USUAL_THRESHOLD = 0.3


def detect(binary, model, pictures):
    """The boxes (left, top, right, bottom, px) and scores of each image, highest score first, from `pigweight detect`."""
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


def letterbox(pixels, width, height):
    """The image scaled and centred in the input as the program does it, with the scale and the borders."""
    scale = min(width / pixels.shape[1], height / pixels.shape[0])
    size = [round(side * scale) for side in pixels.shape[1::-1]]
    whole = [-(-side // COARSEST_STRIDE) * COARSEST_STRIDE for side in size]
    left, top = (whole[0] - size[0]) // 2, (whole[1] - size[1]) // 2
    canvas = numpy.full((whole[1], whole[0], 3), GREY, "u1")
    canvas[top : top + size[1], left : left + size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
    return canvas, scale, (left, top)


def detect_here(path, pictures):
    """Like `detect`, but with ONNX Runtime alone. For detectors in the layout of this recipe."""
    model = onnx.load(path)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    height, width = shape[2].dim_value, shape[3].dim_value
    shape[2].dim_param, shape[3].dim_param = "height", "width"
    model.graph.output[0].type.tensor_type.ClearField("shape")
    session, found = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]), []
    for pixels in pictures:
        canvas, scale, (left, top) = letterbox(pixels, width, height)
        tensor = canvas[None, :, :, ::-1].transpose(0, 3, 1, 2).astype("f4") / 255
        rows = session.run(None, {"images": tensor})[0][0].T
        rows = rows[rows[:, 4] >= LEAST_SCORE]
        boxes = numpy.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], 1)
        boxes = (boxes - (left, top, left, top)) / scale
        order = measure.suppress(boxes, rows[:, 4])
        found.append((boxes[order], rows[order, 4]))
    return found


def scenes(options):
    """The name, images and true boxes of each scene, and the visible share of each pig if known."""
    for path in options.videos:
        yield path.stem, *zip(*measure.video(path, options.every)), None
    for text in options.sources:
        folder, _, prefix = text.partition("=")
        pictures = sources.read(folder, prefix=prefix)
        shares = [p.shares for p in pictures] if any(p.shares for p in pictures) else None
        yield pathlib.Path(folder).name, [p.pixels for p in pictures], [p.boxes for p in pictures], shares


def choose(found):
    """The threshold with the smallest mean over scenes of the count error divided by the true count."""
    thresholds = numpy.arange(0.02, 0.9, 0.01)
    errors = []
    for pictures in found:
        true = sum(len(truth) for _, _, truth in pictures)
        off = [sum(abs(int((scores >= t).sum()) - len(truth)) for _, scores, truth in pictures) for t in thresholds]
        errors.append(numpy.array(off) / max(true, len(pictures)))
    mean = numpy.mean(errors, 0)
    return float(thresholds[mean.argmin()]), float(mean.min())


def draw(path, pixels, boxes, truth):
    """Draws detections in green over the true boxes in thin yellow."""
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
    parser.add_argument("--here", action="store_true", help="without the program")
    parser.add_argument("--sizes", action="store_true", help="recall by size")
    parser.add_argument("--pictures", type=pathlib.Path, help="a folder for pictures with boxes")
    options = parser.parse_args()
    run = detect_here if options.here else lambda model, pictures: detect(options.binary, model, pictures)
    all_scenes, titles = list(scenes(options)), None
    for model in options.model or [None]:
        name, kept = pathlib.Path(model).stem if model else "built in", []
        for scene, pictures, truths, shares in all_scenes:
            found = [(*one, truth) for one, truth in zip(run(model, pictures), truths)]
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
            if options.sizes and any(len(truth) for truth in truths):
                print(f"{name}, {scene}: {measure.by_size(found, [pixels.shape for pixels in pictures])}", flush=True)
                if shares:
                    print(f"{name}, {scene}: {measure.by_share(found, shares)}", flush=True)
        if options.choose:
            threshold, error = choose(kept)
            print(f"{name}: counts are nearest at a threshold of {threshold:.2f}: {100 * error:.0f} % off in the mean over scenes")


if __name__ == "__main__":
    main()
