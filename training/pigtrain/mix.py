"""Composition of a batch: rendered pens, composed crowds, real images, drawn scenes, and mosaics of them."""

import dataclasses

import numpy
import torch

from . import augment, pool


@dataclasses.dataclass
class Part:
    """One kind of image in a batch."""

    pool: pool.Pool
    # How often beside the other kinds.
    share: float
    # From what to what it is zoomed, where 1 fits the input.
    zoom: tuple[float, float]
    # How often it is turned by any multiple of a right angle: seldom where there is an up and a down.
    quarter_turns: float


# Of a batch.
MOSAICS = 0.15


class Mix:
    """An endless iterator of batches."""

    def __init__(self, parts, batch, size, seed):
        self.parts, self.batch, self.size = parts, batch, size
        self.random = numpy.random.default_rng(seed)
        shares = numpy.array([part.share for part in parts])
        self.shares = shares / shares.sum()

    def next(self):
        """Pixels (N x 3 x H x W, 0 to 255), boxes (N x G x 4, px of the input) and their classes."""
        random = self.random
        mosaics = int(round(MOSAICS * self.batch))
        counts = random.multinomial(self.batch - mosaics, self.shares)
        pieces = []
        for part, count in zip(self.parts, counts):
            if count == 0:
                continue
            numbers = part.pool.draw(random, count)
            rows = augment.matrices(random, part.pool, numbers, self.size, part.zoom, part.quarter_turns)
            pieces.append(augment.warped(part.pool, numbers, rows, self.size))
        if mosaics:
            # All mosaics of a batch have a kind of picture in the same corner: one array for each corner.
            corners = [self.parts[random.choice(len(self.parts), p=self.shares)].pool for _ in range(4)]
            pieces.append(augment.mosaic(random, [(corner, corner.draw(random, mosaics)) for corner in corners], self.size))
        pixels = torch.cat([pixels for pixels, _, _ in pieces])
        most = max(boxes.shape[1] for _, boxes, _ in pieces)
        boxes = torch.cat([torch.nn.functional.pad(boxes, (0, 0, 0, most - boxes.shape[1])) for _, boxes, _ in pieces])
        states = torch.cat([torch.nn.functional.pad(states, (0, most - states.shape[1])) for _, _, states in pieces])
        return augment.light(random, pixels), *augment.packed(boxes, states)
