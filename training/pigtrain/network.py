"""The network: a one-stage, anchor-free detector of one class.

Its shape is NanoDet-g's (RangiLyu/nanodet, Apache-2.0): plain 3 x 3 convolutions in cross-stage blocks, a path
aggregation neck without weights of its own, and a head per stride that gives one score and, for each side of the box,
a distribution of its distance over BINS steps of the stride (generalized focal loss, Li et al. 2020). Plain
convolutions with LeakyReLU are what CPUs run best: there is nothing depthwise in it, and the activation is fused.

The channels are fewer than NanoDet-g's, see WIDTHS: start.py takes the strongest of the original's.
"""

import dataclasses

import torch
from torch import nn
from torch.nn import functional

# Of blue, green and red, 0 to 255: ImageNet's, as NanoDet's weights learned them.
MEAN = (103.53, 116.28, 123.675)
DEVIATION = (57.375, 57.12, 58.395)
STRIDES = (8, 16, 32)
BINS = 11
SLOPE = 0.1


@dataclasses.dataclass(frozen=True)
class Widths:
    """Numbers of channels. `stages`: of the first convolution of each stage; the blocks inside have half as many."""

    stem: int
    stages: tuple[int, int, int, int]
    neck: int


ORIGINAL = Widths(stem=32, stages=(32, 64, 128, 256), neck=128)
SMALL = Widths(stem=16, stages=(16, 48, 96, 160), neck=64)
BLOCKS = (1, 2, 2, 3)


class Convolution(nn.Sequential):
    """Convolution, batch normalisation, LeakyReLU. `fold` merges the first two for the export."""

    def __init__(self, before, after, size=3, stride=1, active=True):
        super().__init__()
        self.convolution = nn.Conv2d(before, after, size, stride, size // 2)
        self.normalisation = nn.BatchNorm2d(after, momentum=0.03, eps=1e-3)
        self.active = active

    def forward(self, x):
        x = self.normalisation(self.convolution(x))
        return functional.leaky_relu(x, SLOPE) if self.active else x

    def folded(self):
        """Weight and bias of one equivalent convolution."""
        normalisation = self.normalisation
        scale = normalisation.weight / torch.sqrt(normalisation.running_var + normalisation.eps)
        weight = self.convolution.weight * scale[:, None, None, None]
        bias = (self.convolution.bias - normalisation.running_mean) * scale + normalisation.bias
        return weight, bias


class Stage(nn.Module):
    """A first convolution, blocks of two with concatenated outputs, a last convolution, and a shortcut from the first."""

    def __init__(self, before, width, blocks, stride):
        super().__init__()
        half = width // 2
        self.first = Convolution(before, width, stride=stride)
        self.reduce = nn.ModuleList(Convolution(width, half) for _ in range(blocks))
        self.refine = nn.ModuleList(Convolution(half, half) for _ in range(blocks))
        self.last = Convolution(width, width)

    def forward(self, x):
        first = x = self.first(x)
        for reduce, refine in zip(self.reduce, self.refine):
            x = reduce(x)
            x = torch.cat([refine(x), x], 1)
        return torch.cat([self.last(x), first], 1)

    def convolutions(self):
        yield self.first
        for reduce, refine in zip(self.reduce, self.refine):
            yield reduce
            yield refine
        yield self.last


class Detector(nn.Module):
    """Images (N x 3 x H x W, BGR, normalised) to raw outputs N x P x (1 + 4 * BINS), P anchors of all strides."""

    def __init__(self, widths=SMALL, classes=1):
        super().__init__()
        self.widths, self.classes = widths, classes
        self.stem = Convolution(3, widths.stem, stride=2)
        before = widths.stem
        stages = []
        for number, (width, blocks) in enumerate(zip(widths.stages, BLOCKS)):
            stages.append(Stage(before, width, blocks, stride=1 if number == 0 else 2))
            before = 2 * width
        self.stages = nn.ModuleList(stages)
        self.laterals = nn.ModuleList(Convolution(2 * width, widths.neck, 1, active=False) for width in widths.stages[1:])
        self.towers = nn.ModuleList(Convolution(widths.neck, widths.neck) for _ in STRIDES)
        self.heads = nn.ModuleList(nn.Conv2d(widths.neck, classes + 4 * BINS, 1) for _ in STRIDES)

    def forward(self, x):
        x = functional.max_pool2d(self.stem(x), 3, 2, 1)
        levels = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number > 0:
                levels.append(self.laterals[number - 1](x))
        fine, middle, coarse = levels
        middle = middle + resize(coarse, 2)
        fine = fine + resize(middle, 2)
        middle = middle + resize(fine, 0.5)
        coarse = coarse + resize(middle, 0.5)
        outputs = [head(tower(level)) for head, tower, level in zip(self.heads, self.towers, (fine, middle, coarse))]
        return torch.cat([output.flatten(2) for output in outputs], 2).transpose(1, 2)


def resize(x, factor):
    return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def places(height, width, device=None):
    """Centre (x, y) and stride of each anchor, px of the input, in the order of the outputs: P x 3.

    The centre of cell (i, j) is at (i + 1/2, j + 1/2) * stride, as NanoDet's weights learned it.
    """
    found = []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        found.append(torch.stack([x.flatten() + 0.5, y.flatten() + 0.5, torch.ones(x.numel())], 1) * stride)
    return torch.cat(found).to(device)


def place_count(height, width):
    """The number of anchors."""
    return sum((height // stride) * (width // stride) for stride in STRIDES)


def boxes_of(outputs, at):
    """Raw outputs N x P x (C + 4 * BINS) to boxes N x P x 4 (left, top, right, bottom, px of the input)."""
    distribution = outputs[..., -4 * BINS :].unflatten(-1, (4, BINS)).softmax(-1)
    distances = distribution @ torch.arange(BINS, dtype=outputs.dtype, device=outputs.device)
    distances = distances * at[:, 2:]
    x, y = at[:, 0], at[:, 1]
    left, top, right, bottom = distances.unbind(-1)
    return torch.stack([x - left, y - top, x + right, y + bottom], -1)
