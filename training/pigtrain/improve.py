"""Fine-tunes a detector on a farm's own frames: python -m pigtrain.improve --frames DIR... --out DIR [--others DIR...]

DIR is what `pigweight frames export` wrote, with the boxes corrected. The last fifth of each video's frames is held out;
the count on it is told before and after. --others are sources that the detector shall not unlearn.
"""

import argparse
import pathlib

import torch

from . import evaluate, export, measure, mix, pool, sources, start, train


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default="../models/pigs-640x384.onnx", help="the detector to begin with")
    parser.add_argument("--frames", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--others", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--binary", default="../target/release/pigweight")
    parser.add_argument("--size", type=train.size_of, default=(640, 384), help="px of the input, WIDTHxHEIGHT or a square's side")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.set_defaults(seconds=None, decay=0.998, fixed_statistics=False)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    learn, examine = sources.split([picture for folder in options.frames for picture in sources.read(folder)])
    if len(learn) < 5 or not examine:
        raise SystemExit("too few frames: label at least ten, of a minute or more of video")
    print(f"{len(learn)} frames to learn from, {len(examine)} held out", flush=True)
    farms = [learn] + [sources.read(folder) for folder in options.others]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # A farm's camera hangs where it hangs: its pictures are seldom turned.
    parts = [mix.Part(pool.of_sources(farms, device), 1, (0.5, 1.5), 0.25)]
    train.learn_from(options, start.exported(options.model), parts)
    detector, size = export.trained(options.out / "detector.pt")
    path = options.out / export.file_name(size)
    # A farm's own threshold: the best on what it learned from, told as the usual one.
    export.export(detector, path, size)
    pictures = [picture.pixels for picture in learn]
    found = [(*one, p.boxes) for one, p in zip(evaluate.detect(options.binary, str(path), pictures), learn)]
    threshold, _ = evaluate.choose([found])
    export.export(detector, path, size, threshold)
    for name, model in (("before", options.model), ("after", path)):
        found = evaluate.detect(options.binary, str(model), [picture.pixels for picture in examine])
        figures = measure.report([(*one, p.boxes) for one, p in zip(found, examine)], evaluate.USUAL_THRESHOLD)
        print(f"{name}: " + ", ".join(f"{title} {value:.2f}" for title, value in figures.items()))
    print(f"{path}: name it with --model")


if __name__ == "__main__":
    main()
