"""Training images, decoded once and kept as bytes on the training device.

A pool holds pictures of one kind on canvases of one size, so that a batch of them is one array.
"""

import pathlib
import queue
import threading

import cv2
import numpy
import torch

from . import sources

GREY = 114
# What a place for a box in a pool holds.
NOTHING, PIG, HIDDEN = 0, 1, 2
# Rendered and composed boxes end where a pig's px end. The picture is blurred after that, and people draw boxes around what they see.
MARGIN_PX = 1.0
# Larger pictures are scaled down to it: a pig is not seen at more detail than the network's input has.
MOST_PX = 1024
MOST_BOXES = 96


class Pool:
    """Images (blue, green, red), their boxes (left, top, right, bottom, px) and the class of each box."""

    def __init__(self, height, width, capacity, device="cpu"):
        self.pixels = torch.full((capacity, height, width, 3), GREY, dtype=torch.uint8, device=device)
        self.boxes = torch.zeros(capacity, MOST_BOXES, 4, device=device)
        self.states = torch.zeros(capacity, MOST_BOXES, dtype=torch.uint8, device=device)
        # Of each picture how much of the canvas it fills, px; and how often it is drawn beside others.
        self.extents = numpy.zeros((capacity, 2), "f4")
        self.weights = numpy.zeros(capacity)
        self.count = 0

    def __len__(self):
        return self.count

    @property
    def is_full(self):
        return self.count == len(self.pixels)

    @property
    def canvas(self):
        """Width and height."""
        return self.pixels.shape[2], self.pixels.shape[1]

    def add(self, pixels, boxes, hidden, weight=1.0, margin_px=0.0):
        """`margin_px`: how far boxes may reach outside the image."""
        height, width = pixels.shape[:2]
        if margin_px:
            grown = numpy.array([-margin_px, -margin_px, margin_px, margin_px], "f4")
            limits = numpy.array([width, height, width, height], "f4")
            boxes, hidden = ((rows.reshape(-1, 4) + grown).clip(0, limits) for rows in (boxes, hidden))
        number = self.count
        self.pixels[number, :height, :width] = torch.from_numpy(numpy.ascontiguousarray(pixels)).to(self.pixels.device)
        # Pigs first: where there is no place for all boxes, those that are not trained on go.
        rows = numpy.concatenate([boxes, hidden]).astype("f4").reshape(-1, 4)[:MOST_BOXES]
        states = numpy.array([PIG] * len(boxes) + [HIDDEN] * len(hidden), "u1")[:MOST_BOXES]
        self.boxes[number, : len(rows)] = torch.from_numpy(rows).to(self.boxes.device)
        self.states[number, : len(rows)] = torch.from_numpy(states).to(self.states.device)
        self.extents[number] = width, height
        self.weights[number] = weight
        self.count += 1

    def draw(self, random, count):
        """Random image numbers."""
        if (self.weights[: self.count] == self.weights[0]).all():
            return random.integers(self.count, size=count)
        share = self.weights[: self.count] / self.weights[: self.count].sum()
        return random.choice(self.count, size=count, p=share)


def fitted(picture):
    """Pixels, boxes and hidden boxes of an image, scaled down to the largest canvas if it is larger."""
    height, width = picture.pixels.shape[:2]
    scale = min(1, MOST_PX / max(height, width))
    if scale == 1:
        return picture.pixels, picture.boxes, picture.hidden
    pixels = cv2.resize(picture.pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    return pixels, picture.boxes * scale, picture.hidden * scale


def of_sources(farms, device="cpu"):
    """A pool of whole sources. A source with four times the images of another is sampled twice as often."""
    pictures = [(fitted(picture), 1 / len(farm) ** 0.5) for farm in farms for picture in farm]
    height = max(pixels.shape[0] for (pixels, _, _), _ in pictures)
    width = max(pixels.shape[1] for (pixels, _, _), _ in pictures)
    pool = Pool(height, width, len(pictures), device)
    for (pixels, boxes, hidden), weight in pictures:
        pool.add(pixels, boxes, hidden, weight)
    return pool


class GrowingPool:
    """A pool of a folder that another process still writes to. All its images have one size."""

    def __init__(self, folder, capacity, device="cpu", least=1, wait_secs=600):
        self.folder, self.known = pathlib.Path(folder), set()
        self.found = queue.Queue(maxsize=256)
        self.stops = threading.Event()
        threading.Thread(target=self.watch, daemon=True).start()
        first = self.found.get(timeout=wait_secs)
        height, width = first.pixels.shape[:2]
        self.pool = Pool(height, width, capacity, device)
        self.pool.add(first.pixels, first.boxes, first.hidden, margin_px=MARGIN_PX)
        while len(self.pool) < least:
            picture = self.found.get(timeout=wait_secs)
            self.pool.add(picture.pixels, picture.boxes, picture.hidden, margin_px=MARGIN_PX)

    def watch(self):
        hidden = None
        while not self.stops.is_set():
            labels = sorted((self.folder / "labels").glob("*.txt")) if (self.folder / "labels").is_dir() else []
            for path in labels:
                if path.name in self.known:
                    continue
                self.known.add(path.name)
                if hidden is None:
                    hidden = sources.hidden_class(sources.classes(self.folder))
                images = (self.folder / "images" / f"{path.stem}{suffix}" for suffix in (".ppm", ".jpg", ".png"))
                image = next((image for image in images if image.is_file()), None)
                if image is not None:
                    self.found.put(sources.picture(self.folder, image, hidden_class=hidden))
            self.stops.wait(2)

    def grow(self, most=64):
        """Loads some of the images written since."""
        for _ in range(most):
            if self.pool.is_full or self.found.empty():
                return
            picture = self.found.get()
            self.pool.add(picture.pixels, picture.boxes, picture.hidden, margin_px=MARGIN_PX)
