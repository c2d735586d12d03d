"""Pictures with a stated licence, each with its boxes, and outlines where there are any.

Nothing without a licence is trained on. A source is a folder with `images/`, `labels/` (YOLO: class, centre, size, as
parts of the picture) and perhaps `polygons/` (YOLO: class, then x y of each corner).
"""

import dataclasses
import pathlib

import cv2
import numpy

LICENCES = {
    "pigs-hit": 'CC BY 4.0, "pig_detect" v4, Harbin Institute of Technology Control Engineering, Roboflow Universe',
    "pigs-ccby": "CC BY 4.0, Bhujel et al. 2021, doi 10.3390/ani11113089",
}


@dataclasses.dataclass
class Picture:
    """BGR; boxes as left, top, right, bottom in px; outlines as px corners."""

    name: str
    pixels: numpy.ndarray
    boxes: numpy.ndarray
    outlines: list[numpy.ndarray]


def read(folder, prefix="", without=None):
    """The pictures of a source in order of their names: those that begin with `prefix`, but not with `without`."""
    folder = pathlib.Path(folder)
    paths = sorted(path for path in (folder / "images").iterdir() if path.name.startswith(prefix))
    if not paths:
        raise SystemExit(f"{folder}/images holds no pictures{f' named {prefix}*' if prefix else ''}")
    return [picture(folder, path) for path in paths if not (without and path.name.startswith(without))]


def picture(folder, path):
    pixels = cv2.imread(str(path))
    if pixels is None:
        raise SystemExit(f"{path} is no picture; take it out of the folder")
    height, width = pixels.shape[:2]
    boxes = []
    for values in rows(folder / "labels" / f"{path.stem}.txt"):
        x, y, w, h = values[1:5] * (width, height, width, height)
        boxes.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    outlines = [values[1:].reshape(-1, 2) * (width, height) for values in rows(folder / "polygons" / f"{path.stem}.txt")]
    return Picture(path.stem, pixels, numpy.array(boxes, "f4").reshape(-1, 4), [outline.astype("f4") for outline in outlines])


def rows(path):
    if not path.is_file():
        return []
    return [numpy.array(line.split(), "f4") for line in path.read_text().splitlines() if line.strip()]
