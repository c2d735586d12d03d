"""Measures what the scores of a detector mean, and writes it into its file: python -m pigtrain.calibrate --model FILE --sources DIR...

The program takes four things from it (crates/core/src/count.rs): the probability that a box of a score is a pig of its own, as a line
through log-odds; how many pigs have no box at all; how much wider counts spread than independent boxes would; and the size below
which more pigs are missed than found. Give scenes outside training. Each source has the same weight, however many pictures it has.
"""

import argparse
import json
import pathlib

import numpy
import onnx

from . import evaluate, measure, sources

KEY = "pigweight.score_calibration"
# Boxes below are not stored by the program: a sixth of the usual threshold.
LEAST_SCORE = evaluate.USUAL_THRESHOLD / 6
# So many of ten counts lie within the uncertainty.
COVERED = 0.9
# Widths of the steps in which the least reliable size is looked for, px of the input.
SIDE_STEP_PX = 4


def log_odds(scores):
    scores = numpy.clip(scores, 1e-4, 1 - 1e-4)
    return numpy.log(scores / (1 - scores))


def fit(scores, hits, weights, rounds=50):
    """Offset and slope of the log-odds of a hit over the log-odds of a score, by Newton's method, held near the identity by a weak prior."""
    inputs = numpy.stack([numpy.ones(len(scores)), log_odds(scores)], 1)
    weights = weights / weights.sum() * len(weights)
    parameters, prior, strength = numpy.array([0.0, 1.0]), numpy.array([0.0, 1.0]), 1.0
    for _ in range(rounds):
        probability = 1 / (1 + numpy.exp(-inputs @ parameters))
        slope = inputs.T @ (weights * (hits - probability)) - strength * (parameters - prior)
        curve = (inputs * (weights * probability * (1 - probability))[:, None]).T @ inputs + strength * numpy.eye(2)
        step = numpy.linalg.solve(curve, slope)
        parameters = parameters + step
        if abs(step).max() < 1e-9:
            break
    return float(parameters[0]), float(max(parameters[1], 0.05))


def spread(counts, truths, expected, variances, weights):
    """The least factor with which nine of ten true numbers lie within the uncertainty of their count."""
    off, shift = abs(counts - truths), expected - counts
    # What is not explained by the shift, in standard deviations.
    needed = numpy.sqrt(numpy.clip(off**2 - shift**2, 0, None) / numpy.maximum(variances, 1e-9))
    order = numpy.argsort(needed)
    share = weights[order].cumsum() / weights.sum()
    return float(needed[order][min(numpy.searchsorted(share, COVERED), len(order) - 1)])


def reliable_side(sides, found):
    """The least side in px of the input from which on at least half of the pigs are found."""
    for limit in range(0, 200, SIDE_STEP_PX):
        inside = (sides >= limit) & (sides < limit + SIDE_STEP_PX)
        if inside.sum() >= 20 and found[inside].mean() >= 0.5:
            return float(limit)
    return 0.0


def calibration(scenes, input_size, threshold=evaluate.USUAL_THRESHOLD):
    """From scenes (lists of boxes, scores, truth and the picture's width and height) to what the program reads."""
    scores, hits, weights, sides, found = [], [], [], [], []
    for pictures in scenes:
        total = sum(len(kept) for _, kept, _, _ in pictures)
        for boxes, kept, truth, (width, height) in pictures:
            right = measure.matches(boxes, truth, 0.5)
            scores.append(kept)
            hits.append(right)
            weights.append(numpy.full(len(kept), 1 / max(total, 1)))
            sure = boxes[kept >= threshold]
            scale = min(input_size[0] / width, input_size[1] / height)
            if len(truth):
                overlaps = measure.overlap(truth, sure).max(1, initial=0)
                sides.append(numpy.sqrt((truth[:, 2:] - truth[:, :2]).prod(1)) * scale)
                found.append(overlaps >= 0.5)
    offset, slope = fit(numpy.concatenate(scores), numpy.concatenate(hits).astype(float), numpy.concatenate(weights))
    probability = lambda values: 1 / (1 + numpy.exp(-(offset + slope * log_odds(values))))
    misses, rows = [], []
    for pictures in scenes:
        seen = [probability(kept) for _, kept, _, _ in pictures]
        truths = numpy.array([len(truth) for _, _, truth, _ in pictures])
        if truths.sum():
            misses.append(max(truths.sum() / max(sum(p.sum() for p in seen), 1e-9) - 1, 0))
        for (_, kept, _, _), p, truth in zip(pictures, seen, truths):
            rows.append((int((kept >= threshold).sum()), truth, p.sum(), (p * (1 - p)).sum(), 1 / len(pictures)))
    missed = float(numpy.mean(misses)) if misses else 0.0
    counts, truths, expected, variances, shares = numpy.array(rows, "f8").T
    return {
        "offset": round(offset, 4),
        "slope": round(slope, 4),
        "missed_share": round(missed, 4),
        "spread": round(spread(counts, truths, expected * (1 + missed), variances + missed * expected, shares), 3),
        "reliable_side_px": reliable_side(numpy.concatenate(sides), numpy.concatenate(found)) if sides else 0.0,
    }


def estimates(pictures, known, threshold=evaluate.USUAL_THRESHOLD):
    """Count, truth and uncertainty of each picture, as the program says them of a single one."""
    rows = []
    for _, kept, truth, _ in pictures:
        p = 1 / (1 + numpy.exp(-(known["offset"] + known["slope"] * log_odds(kept))))
        count, missed = int((kept >= threshold).sum()), known["missed_share"] * p.sum()
        deviation = known["spread"] * numpy.sqrt((p * (1 - p)).sum() + missed)
        rows.append((count, len(truth), float(numpy.hypot(deviation, p.sum() + missed - count))))
    return rows


def write(path, known):
    """Puts it into the model's metadata, in place of what was there."""
    model = onnx.load(path)
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key != KEY]
    del model.metadata_props[:]
    for key, value in [*kept, (KEY, json.dumps(known))]:
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, path)


def scene(model, pixels, truths):
    """The pictures of a scene as `calibration` takes them."""
    rows = []
    for picture, (boxes, scores), truth in zip(pixels, evaluate.detect_here(model, pixels), truths):
        kept = scores >= LEAST_SCORE
        rows.append((boxes[kept], scores[kept], truth, picture.shape[1::-1]))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--sources", nargs="+", required=True, help="DIR, or DIR=PREFIX for the pictures whose names begin so")
    parser.add_argument("--videos", type=pathlib.Path, nargs="*", default=[], help="not calibrated on: how many of their counts lie within it")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    options = parser.parse_args()
    shape = onnx.load(options.model).graph.input[0].type.tensor_type.shape.dim
    size = (shape[3].dim_value, shape[2].dim_value)
    scenes = []
    for text in options.sources:
        folder, _, prefix = text.partition("=")
        pictures = sources.read(folder, prefix=prefix)
        scenes.append(scene(options.model, [p.pixels for p in pictures], [p.boxes for p in pictures]))
    known = calibration(scenes, size)
    print(f"calibrate: {json.dumps(known)}")
    named = list(zip(options.sources, scenes))
    named += [(path.stem, scene(options.model, *zip(*measure.video(path, 10)))) for path in options.videos]
    for name, pictures in named:
        rows = estimates(pictures, known)
        inside = numpy.mean([abs(count - truth) <= uncertainty for count, truth, uncertainty in rows])
        mean = numpy.mean([uncertainty for _, _, uncertainty in rows])
        print(f"calibrate: {pathlib.Path(name).name}: {100 * inside:.0f} % of {len(rows)} counts within their uncertainty, ± {mean:.1f} in the mean")
    if not options.dry_run:
        write(options.model, known)


if __name__ == "__main__":
    main()
