"""Trains the detector: python -m pigtrain.train --start DIR --outlined DIR --boxed DIR --out DIR

A pool of composed scenes is drawn first. Each step takes composed
scenes, real pictures and mosaics of both, varied anew. The seed fixes everything but the order in which a processor
adds its numbers.
"""

import argparse
import concurrent.futures
import copy
import json
import math
import multiprocessing
import pathlib
import time

import cv2
import numpy
import torch
from torch import nn

from . import augment, compose, learn, network, sources, start

# Of each batch: composed scenes, mosaics of four, and the rest real pictures.
COMPOSED, MOSAICS = 0.5, 0.25
# Scenes that one task draws.
PART = 50
SPAWN = multiprocessing.get_context("spawn")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=pathlib.Path, required=True, help="the start weights' folder, or a detector that export wrote")
    parser.add_argument("--outlined", type=pathlib.Path, nargs="*", default=[], help="sources with polygons")
    parser.add_argument("--boxed", type=pathlib.Path, nargs="*", default=[], help="sources with boxes alone")
    parser.add_argument("--drawn", type=pathlib.Path, nargs="*", default=[], help="sources of drawn scenes, with boxes")
    parser.add_argument("--drawn-share", type=float, default=0.2, help="of the pictures that are not composed")
    parser.add_argument("--without", default=None, help="leave out pictures whose names begin so")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--side", type=int, default=416, help="px of the input")
    parser.add_argument("--scenes", type=int, default=2500, help="composed scenes in the pool")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


class Draughtsman:
    """What a process that draws scenes has at hand."""

    @classmethod
    def prepare(cls, pictures, emptied):
        cv2.setNumThreads(1)
        cls.cutouts, cls.emptied = compose.Cutouts(pictures), emptied

    @classmethod
    def draw(cls, seed):
        """A part of the pool."""
        random = numpy.random.default_rng(seed)
        scenes = []
        for _ in range(PART):
            pixels, boxes, hidden = compose.scene(random, cls.cutouts, cls.emptied)
            scenes.append((cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1], boxes, hidden))
        return scenes


def pool(options, outlined, drawn, random):
    emptied = [ground for picture in outlined[::4] if (ground := compose.emptied(picture, random)) is not None]
    emptied += [picture.pixels for picture in drawn if len(picture.boxes) == 0]
    seeds = [(options.seed, number) for number in range(-(-options.scenes // PART))]
    # Forking a process in which OpenCV or torch have threads can hang.
    with concurrent.futures.ProcessPoolExecutor(
        mp_context=SPAWN, initializer=Draughtsman.prepare, initargs=(outlined, emptied)
    ) as workers:
        return [scene for scenes in workers.map(Draughtsman.draw, seeds) for scene in scenes]


class Examples(torch.utils.data.IterableDataset):
    """Batches without end, each worker's from a seed of its own."""

    def __init__(self, options, scenes, real, drawn):
        self.options, self.scenes, self.real, self.drawn = options, scenes, real, drawn

    def any_scene(self, random):
        encoded, boxes, hidden = self.scenes[random.integers(len(self.scenes))]
        return cv2.imdecode(encoded, cv2.IMREAD_COLOR), boxes, hidden

    def any_real(self, random):
        # Every farm as often as the other, however many pictures it gave.
        is_drawn = self.drawn and random.random() < self.options.drawn_share
        farm = self.drawn if is_drawn else self.real[random.integers(len(self.real))]
        picture = farm[random.integers(len(farm))]
        return picture.pixels, picture.boxes, numpy.zeros((0, 4), "f4")

    def one(self, random):
        side, kind = self.options.side, random.random()
        if self.scenes and kind < COMPOSED:
            return augment.vary(random, *self.any_scene(random), side)
        if kind < COMPOSED + MOSAICS:
            is_real = [not self.scenes or random.random() < 0.7 for _ in range(4)]
            four = [self.any_real(random) if real else self.any_scene(random) for real in is_real]
            return augment.vary(random, *augment.mosaic(random, four, side), side, zoom=(0.9, 2.0))
        return augment.vary(random, *self.any_real(random), side, zoom=(0.4, 1.3))

    def __iter__(self):
        cv2.setNumThreads(1)
        worker = torch.utils.data.get_worker_info()
        random = numpy.random.default_rng((self.options.seed, worker.id if worker else 0))
        while True:
            examples = [self.one(random) for _ in range(self.options.batch)]
            pixels = torch.from_numpy(numpy.stack([pixels for pixels, _, _ in examples]))
            yield pixels, [torch.from_numpy(e[1]) for e in examples], [torch.from_numpy(e[2].astype("f4")) for e in examples]


def normalised(pixels):
    """N x 3 x H x W, with the channels last in memory as they come: convolutions on a processor are a fifth faster so."""
    mean, deviation = torch.tensor(network.MEAN), torch.tensor(network.DEVIATION)
    return ((pixels.float() - mean.to(pixels.device)) / deviation.to(pixels.device)).permute(0, 3, 1, 2)


@torch.no_grad()
def settle(detector, batches):
    """Gives batch normalisation the statistics of these pictures while the network still does what its weights did."""
    sums, hooks = {}, []

    def keep(name):
        def hook(_, __, output):
            moments = torch.stack([output.mean((0, 2, 3)), output.square().mean((0, 2, 3))])
            sums[name] = sums.get(name, 0) + moments

        return hook

    layers = {name: module for name, module in detector.named_modules() if isinstance(module, network.Convolution)}
    for name, module in layers.items():
        hooks.append(module.convolution.register_forward_hook(keep(name)))
    detector.eval()
    for pixels in batches:
        detector(normalised(pixels))
    for hook in hooks:
        hook.remove()
    for name, module in layers.items():
        mean, square = sums[name] / len(batches)
        variance = (square - mean.square()).clamp(min=1e-4)
        norm = module.normalisation
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.copy_(mean)


class Average:
    """The exponential moving average of the weights: what is kept."""

    def __init__(self, detector, decay=0.998):
        self.detector, self.decay, self.steps = copy.deepcopy(detector).eval(), decay, 0

    @torch.no_grad()
    def update(self, detector):
        self.steps += 1
        decay = self.decay * (1 - math.exp(-self.steps / 200))
        for kept, now in zip(self.detector.state_dict().values(), detector.state_dict().values()):
            if kept.dtype.is_floating_point:
                kept.mul_(decay).add_(now, alpha=1 - decay)
            else:
                kept.copy_(now)


def train(options):
    """A detector from start weights."""
    random = numpy.random.default_rng(options.seed)
    real = [sources.read(folder, without=options.without) for folder in options.outlined + options.boxed]
    drawn = [picture for folder in options.drawn for picture in sources.read(folder)]
    outlined = [picture for farm in real[: len(options.outlined)] for picture in farm]
    began = time.monotonic()
    # Without outlines there is nothing to compose scenes of.
    scenes = pool(options, outlined, drawn, random) if any(picture.outlines for picture in outlined) else []
    print(f"{len(scenes)} scenes drawn in {time.monotonic() - began:.0f} s, {sum(map(len, real))} real pictures, {len(drawn)} drawn", flush=True)
    if options.start.suffix == ".onnx":
        detector = start.exported(options.start)
    else:
        detector = start.load(options.start, network.SMALL)
        with torch.no_grad():
            for head in detector.heads:
                head.bias[0] = -4.6  # A score of 0.01 everywhere at first: most places hold no pig.
    learn_from(options, detector, scenes, real, drawn)


def learn_from(options, detector, scenes, real, drawn):
    """Trains a detector whose batch normalisation does nothing yet, and keeps it in `detector.pt`."""
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loader = iter(torch.utils.data.DataLoader(Examples(options, scenes, real, drawn), batch_size=None, num_workers=1, prefetch_factor=4, multiprocessing_context=SPAWN))
    settle(detector, [next(loader)[0] for _ in range(8)])
    detector.to(device, memory_format=torch.channels_last)
    decayed = [p for p in detector.parameters() if p.ndim > 1]
    others = [p for p in detector.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0}]
    optimiser = torch.optim.AdamW(groups, lr=options.rate)
    warm = max(1, min(200, options.steps // 5))
    pace = lambda step: min(1, (step + 1) / warm) * (0.02 + 0.98 * (1 + math.cos(math.pi * step / options.steps)) / 2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, pace)
    at = network.places(options.side, options.side, device)
    average, recent = Average(detector), []
    began = time.monotonic()
    for step in range(options.steps):
        pixels, truths, ignored = next(loader)
        detector.train()
        outputs = detector(normalised(pixels.to(device)))
        # The assignment is many small steps: on the processor whatever the network runs on.
        lost = learn.loss(outputs.cpu(), at.cpu(), truths, ignored)
        optimiser.zero_grad()
        lost.backward()
        nn.utils.clip_grad_norm_(detector.parameters(), 10)
        optimiser.step()
        schedule.step()
        average.update(detector)
        recent = [*recent[-49:], lost.item()]
        if step % 50 == 49:
            rate = (step + 1) / (time.monotonic() - began)
            left = (options.steps - step - 1) / rate
            print(f"step {step + 1} of {options.steps}: loss {sum(recent) / len(recent):.3f}, {rate * options.batch:.1f} pictures/s, {left:.0f} s left", flush=True)
        if step % 100 == 99 or step == options.steps - 1:
            torch.save({"weights": average.detector.cpu().state_dict(), "widths": vars(detector.widths), "side": options.side}, options.out / "detector.pt")
            average.detector.to(device)


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "options.json").write_text(json.dumps(vars(options), default=str, indent=1))
    train(options)


if __name__ == "__main__":
    main()
