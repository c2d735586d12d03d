"""Openly licensed images with boxes, and outlines where they exist.

Nothing without a licence is trained on. A source is a folder with `images/` and `labels/` (YOLO: class, centre, size, as
parts of the picture) or `annotations/*.json` (COCO), and perhaps `polygons/` (YOLO: class, then x y of each corner). Where
`classes.txt` names a class `hidden`, its boxes hold pigs of which too little is seen to ask for them. A sixth number in a row of
YOLO labels is the share of the pig that is seen.
"""

import dataclasses
import json
import pathlib

import cv2
import numpy


@dataclasses.dataclass
class Picture:
    """BGR; boxes as left, top, right, bottom in px; outlines as polygons in px."""

    name: str
    pixels: numpy.ndarray
    boxes: numpy.ndarray
    outlines: list[numpy.ndarray]
    hidden: numpy.ndarray = dataclasses.field(default_factory=lambda: numpy.zeros((0, 4), "f4"))
    # Of each box the share of its pig that is seen, where the source tells it.
    shares: list[float] = dataclasses.field(default_factory=list)


def read(folder, prefix="", without=None):
    """The images of a source in order of name: those that start with `prefix` but not with `without`."""
    folder = pathlib.Path(folder)
    paths = sorted(path for path in (folder / "images").iterdir() if path.name.startswith(prefix))
    if not paths:
        raise SystemExit(f"{folder}/images holds no pictures{f' named {prefix}*' if prefix else ''}")
    boxes = None if (folder / "labels").is_dir() else coco(folder)
    hidden = hidden_class(classes(folder))
    return [picture(folder, path, boxes, hidden) for path in paths if not (without and path.name.startswith(without))]


def classes(folder):
    """The names of the classes, if the source has them."""
    path = pathlib.Path(folder) / "classes.txt"
    return path.read_text().split() if path.is_file() else []


def hidden_class(names):
    return names.index("hidden") if "hidden" in names else None


def coco(folder):
    """Boxes (left, top, width, height, px) by image name."""
    found = {}
    paths = sorted((folder / "annotations").glob("*.json"))
    if not paths:
        raise SystemExit(f"{folder} has neither labels/ (YOLO) nor annotations/*.json (COCO)")
    for path in paths:
        document = json.loads(path.read_text())
        names = {image["id"]: pathlib.PurePosixPath(image["file_name"]).name for image in document["images"]}
        for name in names.values():
            found.setdefault(name, [])
        for annotation in document["annotations"]:
            found[names[annotation["image_id"]]].append(annotation["bbox"])
    return found


def picture(folder, path, coco_boxes=None, hidden_class=None):
    pixels = cv2.imread(str(path))
    if pixels is None:
        raise SystemExit(f"{path} is no picture; take it out of the folder")
    height, width = pixels.shape[:2]
    boxes = [(x, y, x + w, y + h) for x, y, w, h in (coco_boxes or {}).get(path.name, [])]
    hidden, shares = [], []
    for values in rows(folder / "labels" / f"{path.stem}.txt"):
        x, y, w, h = values[1:5] * (width, height, width, height)
        rows_of_class = hidden if hidden_class is not None and values[0] == hidden_class else boxes
        rows_of_class.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
        if rows_of_class is boxes and len(values) > 5:
            shares.append(float(values[5]))
    outlines = [values[1:].reshape(-1, 2) * (width, height) for values in rows(folder / "polygons" / f"{path.stem}.txt")]
    boxes, hidden = (numpy.array(found, "f4").reshape(-1, 4) for found in (boxes, hidden))
    return Picture(path.stem, pixels, boxes, [outline.astype("f4") for outline in outlines], hidden, shares)


def rows(path):
    if not path.is_file():
        return []
    return [numpy.array(line.split(), "f4") for line in path.read_text().splitlines() if line.strip()]


# Of each video, what is not learned from.
HELD_OUT = 0.2


def split(pictures):
    """Splits into training and evaluation images: of each video (the name up to the last underscore), the last ones are for evaluation."""
    videos, learn, examine = {}, [], []
    for picture in pictures:
        videos.setdefault(picture.name.rpartition("_")[0], []).append(picture)
    for of_video in videos.values():
        kept = max(1, round(HELD_OUT * len(of_video))) if len(of_video) > 1 else 0
        learn += of_video[: len(of_video) - kept]
        examine += of_video[len(of_video) - kept :]
    return learn, examine
