"""Accuracy of a detector: average precision, precision, recall and count error."""

import cv2
import numpy


def suppress(boxes, scores, most_overlap=0.5):
    """The indices of the boxes that are kept, highest score first."""
    order, kept = numpy.argsort(-scores, kind="stable"), []
    while len(order):
        first, order = order[0], order[1:]
        kept.append(first)
        order = order[overlap(boxes[first : first + 1], boxes[order])[0] <= most_overlap]
    return numpy.array(kept, int)


def overlap(one, other):
    low = numpy.maximum(one[:, None, :2], other[None, :, :2])
    high = numpy.minimum(one[:, None, 2:], other[None, :, 2:])
    common = (high - low).clip(0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (one, other)]
    return common / (areas[0][:, None] + areas[1][None] - common + 1e-9)


def matches(boxes, truth, least):
    """For each box, highest score first, whether it matches a pig not matched before (the best one left, as in COCO)."""
    iou = overlap(boxes, truth)
    hits = numpy.zeros(len(boxes), bool)
    for number in range(len(boxes)):
        if len(truth) and iou[number].max() >= least:
            hits[number] = True
            iou[:, iou[number].argmax()] = -1
    return hits


def average_precision(pictures, least):
    """Average precision over 101 points of recall, as in COCO. `pictures`: (boxes by falling score, scores, truth)."""
    total = sum(len(truth) for _, _, truth in pictures)
    if total == 0:
        return float("nan")
    scores = numpy.concatenate([scores for _, scores, _ in pictures])
    hits = numpy.concatenate([matches(boxes, truth, least) for boxes, _, truth in pictures])
    hits = hits[numpy.argsort(-scores, kind="stable")]
    found = hits.cumsum()
    recall, precision = found / total, found / numpy.arange(1, len(found) + 1)
    precision = numpy.maximum.accumulate(precision[::-1])[::-1]
    place = numpy.searchsorted(recall, numpy.linspace(0, 1, 101))
    return float(numpy.append(precision, 0)[place.clip(max=len(precision))].mean())


def report(pictures, threshold):
    """The figures of a scene."""
    counts = [(int((scores >= threshold).sum()), len(truth)) for _, scores, truth in pictures]
    hits = sum(matches(boxes[scores >= threshold], truth, 0.5).sum() for boxes, scores, truth in pictures)
    made, true = sum(made for made, _ in counts), sum(true for _, true in counts)
    return {
        "pictures": len(pictures),
        "AP50": average_precision(pictures, 0.5),
        "AP50-95": float(numpy.mean([average_precision(pictures, least) for least in numpy.arange(0.5, 0.96, 0.05)])),
        "precision": float(hits / made) if made else float("nan"),
        "recall": float(hits / true) if true else float("nan"),
        "pigs": true / len(counts),
        "count MAE": float(numpy.mean([abs(made - true) for made, true in counts])),
        "bias": (made - true) / len(counts),
    }


# Up to so many px², of a picture scaled to a width of 640.
SIZES = (1000, 2000, 4000, 8000, float("inf"))


def by_size(pictures, shapes, least_score=0.1):
    """Recall by size of the pig, and the area of boxes relative to the truth, for boxes above a score."""
    areas = [(truth[:, 2:] - truth[:, :2]).prod(1) * (640 / shape[1]) ** 2 for (_, _, truth), shape in zip(pictures, shapes)]
    text, ratios = recall_by(pictures, areas, SIZES, "below {:g} px²", least_score)
    return text + (f"; box area {numpy.median(ratios):.2f} of the truth's" if ratios else "")


# Up to such a share of the pig that is seen.
SHARES = (0.25, 0.5, 0.75, 1.0)


def by_share(pictures, shares, least_score=0.1):
    """Recall by the visible share of the pig."""
    return recall_by(pictures, [numpy.array(values) for values in shares], SHARES, "up to {:g} seen", least_score)[0]


def recall_by(pictures, values, limits, title, least_score, least_overlap=0.5):
    """Recall by a value of each true box, and the area of each matched box divided by the true area."""
    found, there, ratios = [0] * len(limits), [0] * len(limits), []
    for (boxes, scores, truth), of_truth in zip(pictures, values):
        boxes = boxes[scores >= least_score]
        iou = overlap(boxes, truth)
        free = numpy.ones(len(truth), bool)
        for number in range(len(boxes)):
            left = numpy.where(free, iou[number], -1)
            if len(truth) and left.max() >= least_overlap:
                pig = left.argmax()
                free[pig] = False
                ratios.append((boxes[number, 2:] - boxes[number, :2]).prod() / max((truth[pig, 2:] - truth[pig, :2]).prod(), 1))
        for pig, part in enumerate(numpy.searchsorted(limits, of_truth)):
            there[part] += 1
            found[part] += not free[pig]
    parts = [f"{title.format(limit)} {hit / total:.2f} of {total}" for limit, hit, total in zip(limits, found, there) if total]
    return "recall " + ", ".join(parts), ratios


def video(path, every):
    """Every `every`-th frame of a video with NAME.boxes.csv (frame,x,y,w,h) beside it: pixels and true boxes."""
    rows = numpy.loadtxt(path.with_suffix(".boxes.csv"), delimiter=",", skiprows=1, ndmin=2)
    reader, number = cv2.VideoCapture(str(path)), 0
    while True:
        there, pixels = reader.read()
        if not there:
            break
        if number % every == 0:
            boxes = rows[rows[:, 0] == number, 1:5].astype("f4")
            boxes[:, 2:] += boxes[:, :2]
            yield pixels, boxes
        number += 1
