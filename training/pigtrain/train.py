"""Trains the detector: python -m pigtrain.train --start DIR --rendered DIR --outlined DIR --boxed DIR --drawn DIR --out DIR

Pictures are decoded once, into pools on the device that trains; each step takes some of every kind, varied anew. The seed
fixes everything but the order in which a processor adds its numbers, unless pictures are still being rendered or the
length is told in seconds.
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

from . import compose, export, learn, mix, network, pool, sources, start

# Composed scenes that one task makes.
TASK_SCENES = 50
SPAWN = multiprocessing.get_context("spawn")
# Weights are saved, and the rest said, every so many steps.
REPORT_STEPS, SAVE_STEPS = 50, 200
WARM_UP = 0.03


def size_of(text):
    """Width and height in px from `WIDTHxHEIGHT`, or from the side of a square."""
    sides = [int(side) for side in text.split("x")]
    width, height = sides if len(sides) == 2 else sides * 2
    if width % 32 or height % 32:
        raise argparse.ArgumentTypeError(f"{text}: sides are multiples of 32")
    return width, height


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=pathlib.Path, required=True, help="the start weights' folder, a detector that export wrote, or a detector.pt")
    parser.add_argument("--rendered", type=pathlib.Path, help="a source of rendered pens, all of one size; it may still grow")
    parser.add_argument("--rendered-capacity", type=int, default=4000, help="rendered pens that are kept in memory")
    parser.add_argument("--rendered-least", type=int, default=1, help="how many of them to wait for")
    parser.add_argument("--outlined", type=pathlib.Path, nargs="*", default=[], help="sources with polygons")
    parser.add_argument("--boxed", type=pathlib.Path, nargs="*", default=[], help="sources with boxes alone")
    parser.add_argument("--drawn", type=pathlib.Path, nargs="*", default=[], help="sources of drawn scenes, with boxes")
    parser.add_argument("--shares", type=float, nargs=4, default=[0.5, 0.2, 0.18, 0.12], metavar="SHARE",
                        help="of rendered, composed, real and drawn pictures")
    parser.add_argument("--without", default=None, help="leave out pictures whose names begin so")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--size", type=size_of, default=(640, 384), help="px of the input, WIDTHxHEIGHT or a square's side")
    parser.add_argument("--scenes", type=int, default=2000, help="composed scenes in the pool")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seconds", type=float, help="train so long, however many steps that is")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=0.998, help="of the moving average of the weights, a step")
    parser.add_argument("--fixed-statistics", action="store_true", help="leave batch normalisation's as they are: for few steps in small batches")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


class SceneComposer:
    """The state of a process that composes scenes."""

    @classmethod
    def prepare(cls, pictures, grounds):
        cv2.setNumThreads(1)
        cls.cutouts, cls.grounds = compose.Cutouts(pictures), grounds

    @classmethod
    def compose(cls, seed):
        random = numpy.random.default_rng(seed)
        return [compose.scene(random, cls.cutouts, cls.grounds) for _ in range(TASK_SCENES)]


def composed(options, outlined, drawn, device):
    """A pool of composed scenes."""
    random = numpy.random.default_rng(options.seed)
    grounds = [ground for picture in outlined[::4] if (ground := compose.emptied(picture, random)) is not None]
    grounds += [picture.pixels for picture in drawn[:150] if len(picture.boxes) == 0]
    seeds = [(options.seed, number) for number in range(-(-options.scenes // TASK_SCENES))]
    # Forking a process in which OpenCV or torch have threads can hang.
    with concurrent.futures.ProcessPoolExecutor(
        mp_context=SPAWN, initializer=SceneComposer.prepare, initargs=(outlined, grounds)
    ) as workers:
        found = None
        for scenes in workers.map(SceneComposer.compose, seeds):
            for pixels, boxes, hidden in scenes:
                if found is None:
                    found = pool.Pool(*pixels.shape[:2], len(seeds) * TASK_SCENES, device)
                found.add(pixels, boxes, hidden, margin_px=pool.MARGIN_PX)
    return found


def normalised(pixels):
    """N x 3 x H x W with channels last in memory, which makes convolutions on a CPU a fifth faster."""
    mean, deviation = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (network.MEAN, network.DEVIATION))
    return ((pixels - mean) / deviation).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def settle(detector, batches):
    """Sets the statistics of batch normalisation from these images without changing the output of the network."""
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
    """The exponential moving average of the weights, which is what training saves."""

    def __init__(self, detector, decay):
        self.detector, self.decay, self.steps = copy.deepcopy(detector).eval(), decay, 0

    @torch.no_grad()
    def update(self, detector):
        self.steps += 1
        # Of a short training the last tenth.
        share = max(1 - self.decay, 10 / (self.steps + 10))
        pairs = list(zip(self.detector.state_dict().values(), detector.state_dict().values()))
        floats = [(kept, now) for kept, now in pairs if kept.dtype.is_floating_point]
        torch._foreach_lerp_([kept for kept, _ in floats], [now for _, now in floats], share)
        for kept, now in pairs:
            if not kept.dtype.is_floating_point:
                kept.copy_(now)


def begun(path):
    """The detector to start from, and whether its batch normalisation has statistics already."""
    if path.suffix == ".pt":
        return export.trained(path)[0], True
    if path.suffix == ".onnx":
        return start.exported(path), False
    detector = start.load(path, network.SMALL)
    with torch.no_grad():
        for head in detector.heads:
            head.bias[0] = -4.6  # A score of 0.01 everywhere at first: most places hold no pig.
    return detector, False


def train(options):
    """A detector from pretrained weights."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    began = time.monotonic()
    real = [sources.read(folder, without=options.without) for folder in options.outlined + options.boxed]
    drawn = [picture for folder in options.drawn for picture in sources.read(folder)]
    outlined = [picture for farm in real[: len(options.outlined)] for picture in farm]
    parts, growing = [], None
    of_rendered, of_composed, of_real, of_drawn = options.shares
    # Without outlines there is nothing to compose scenes of.
    if of_composed and any(picture.outlines for picture in outlined):
        parts.append(mix.Part(composed(options, outlined, drawn, device), of_composed, (0.7, 1.7), 1))
    if of_real and real:
        parts.append(mix.Part(pool.of_sources(real, device), of_real, (0.5, 1.6), 1))
    if of_drawn and drawn:
        parts.append(mix.Part(pool.of_sources([drawn], device), of_drawn, (0.6, 1.7), 1))
    if of_rendered and options.rendered:
        growing = pool.GrowingPool(options.rendered, options.rendered_capacity, device, options.rendered_least)
        parts.append(mix.Part(growing.pool, of_rendered, (0.75, 1.9), 0.15))
    counts = ", ".join(str(len(part.pool)) for part in parts)
    print(f"pools of {counts} pictures in {time.monotonic() - began:.0f} s", flush=True)
    detector, is_settled = begun(options.start)
    learn_from(options, detector, parts, growing, is_settled)


def learn_from(options, detector, parts, growing=None, is_settled=False):
    """Trains a detector and saves it as `detector.pt`."""
    torch.manual_seed(options.seed)
    device = parts[0].pool.pixels.device
    is_gpu = device.type == "cuda"
    torch.backends.cudnn.benchmark = True
    batches = mix.Mix(parts, options.batch, options.size, options.seed)
    detector.to(device, memory_format=torch.channels_last)
    if not is_settled:
        settle(detector, [batches.next()[0] for _ in range(8)])
    decayed = [p for p in detector.parameters() if p.ndim > 1]
    others = [p for p in detector.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0}]
    optimiser = torch.optim.AdamW(groups, lr=options.rate, fused=is_gpu)
    width, height = options.size
    at = network.places(height, width, device)
    average, recent = Average(detector, options.decay), 0
    began, step = time.monotonic(), 0
    while True:
        elapsed = time.monotonic() - began
        done = elapsed / options.seconds if options.seconds else step / options.steps
        if done >= 1:
            break
        rate = options.rate * min(1, done / WARM_UP + 0.01) * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)
        for group in optimiser.param_groups:
            group["lr"] = rate
        if growing and step % 10 == 0:
            growing.grow()
        pixels, truths, states = batches.next()
        detector.train(not options.fixed_statistics)
        with torch.autocast(device.type, torch.bfloat16, enabled=is_gpu):
            outputs = detector(normalised(pixels))
        lost = learn.loss(outputs.float(), at, truths, states)
        optimiser.zero_grad(set_to_none=True)
        lost.backward()
        nn.utils.clip_grad_norm_(detector.parameters(), 10)
        optimiser.step()
        average.update(detector)
        recent = recent + lost.detach()
        step += 1
        if step % REPORT_STEPS == 0:
            speed = step * options.batch / (time.monotonic() - began)
            rendered = f", {len(growing.pool)} rendered" if growing else ""
            print(f"step {step}, {100 * done:.0f} %: loss {float(recent) / REPORT_STEPS:.3f}, {speed:.1f} pictures/s{rendered}", flush=True)
            recent = 0
        if step % SAVE_STEPS == 0:
            save(average, options)
    save(average, options)


def save(average, options):
    weights = {name: value.cpu() for name, value in average.detector.state_dict().items()}
    partial = options.out / "detector.pt.partial"
    torch.save({"weights": weights, "widths": vars(average.detector.widths), "size": list(options.size)}, partial)
    partial.rename(options.out / "detector.pt")


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "options.json").write_text(json.dumps(vars(options), default=str, indent=1))
    train(options)


if __name__ == "__main__":
    main()
