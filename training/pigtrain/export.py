"""The trained detector as ONNX, in the layout of YOLOv8: python -m pigtrain.export --weights detector.pt --out FILE

Input: 1 x 3 x height x width, red green blue, 0 to 1, centred letterbox. Output: 1 x 5 x P, centre, size in px of the input, and
score; suppressing doubles is left to the reader. Nothing in the file but the input's stated shape depends on the size: a program may state
another one, of sides that are multiples of 32, and leave out a wide picture's border. Weights are kept in half precision, as the start weights were, and are
made whole again when the model is loaded: the file is half as large, the inference the same.
"""

import argparse
import copy
import dataclasses
import json
import math
import pathlib

import numpy
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from . import network, start

# What programs take as the default threshold. The score at which counts are best is told as this one.
USUAL_THRESHOLD = 0.3
# Smaller tensors stay as they are.
LEAST_HALVED = 1000


def score_shift(threshold):
    """What to add to the log-odds of a score so that this threshold becomes the usual one."""
    return math.log(USUAL_THRESHOLD / (1 - USUAL_THRESHOLD)) - math.log(threshold / (1 - threshold))


class Exported(nn.Module):
    """The detector with folded batch normalisation, input scaling and decoded boxes."""

    def __init__(self, detector, threshold):
        super().__init__()
        self.detector = copy.deepcopy(detector).eval()
        for module in list(self.detector.modules()):
            if isinstance(module, network.Convolution):
                weight, bias = module.folded()
                module.convolution.weight.data, module.convolution.bias.data = weight.detach(), bias.detach()
                module.normalisation = nn.Identity()
        mean, deviation = torch.tensor(network.MEAN), torch.tensor(network.DEVIATION)
        # Of red, green, blue: the network wants blue first. The borders of its convolutions are zero after this, as in
        # training, which is why it is not folded into the first.
        self.register_buffer("scale", (255 / deviation).flip(0)[None, :, None, None])
        self.register_buffer("shift", (-mean / deviation).flip(0)[None, :, None, None])
        stem = self.detector.stem.convolution
        stem.weight.data = stem.weight.data.flip(1)
        self.score_shift = score_shift(threshold)

    def forward(self, x):
        outputs = self.detector(x * self.scale + self.shift)
        boxes = network.boxes_of(outputs, network.places(x.shape[2], x.shape[3]))
        low, high = boxes[..., :2], boxes[..., 2:]
        scores = outputs[..., : -4 * network.BINS]
        if scores.shape[-1] > 1:
            scores = scores.amax(-1, keepdim=True)
        return torch.cat([(low + high) / 2, high - low, (scores + self.score_shift).sigmoid()], -1).transpose(1, 2)


def halve(graph):
    """Stores large weights in half precision. The cast behind each runs when the model is loaded."""
    casts = []
    for tensor in graph.initializer:
        weight = numpy_helper.to_array(tensor)
        if weight.dtype != numpy.float32 or weight.size < LEAST_HALVED:
            continue
        name, small = tensor.name, f"{tensor.name}.half"
        tensor.CopyFrom(numpy_helper.from_array(weight.astype("f2"), small))
        casts.append(helper.make_node("Cast", [small], [name], name=f"{name}.cast", to=onnx.TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts + nodes)


def trained(weights):
    """The detector that training saved, and the width and height of its input in px."""
    kept = torch.load(weights, weights_only=True, map_location="cpu")
    detector = network.Detector(network.Widths(**kept["widths"]))
    detector.load_state_dict(kept["weights"])
    return detector, tuple(kept["size"])


def file_name(size):
    """The name of a detector with this input: width and height, or one side for a square."""
    width, height = size
    return f"pigs-{width}.onnx" if width == height else f"pigs-{width}x{height}.onnx"


def export(detector, out, size, threshold=USUAL_THRESHOLD):
    width, height = size
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(Exported(detector, threshold), (torch.zeros(1, 3, height, width),), str(out), dynamo=False, opset_version=17,
                      input_names=["images"], output_names=["output0"], dynamic_axes={"images": {2: "height", 3: "width"}})
    model = onnx.load(out)
    for value, shape in ((model.graph.input[0], (1, 3, height, width)), (model.graph.output[0], (1, 5, network.place_count(height, width)))):
        for dimension, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
            dimension.dim_value = size
    halve(model.graph)
    # The last is for training to go on from here.
    recipe = json.dumps({"widths": dataclasses.asdict(detector.widths)})
    for key, value in (("names", "{0: 'pig'}"), (start.RECIPE, recipe)):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--weights", type=pathlib.Path, help="what training kept")
    which.add_argument("--untrained", type=pathlib.Path, metavar="START",
                       help="the start weights as they are, any of COCO's 80 classes taken for a pig: what to compare with")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--name", action="store_true", help="write nothing, say what the file would be called")
    parser.add_argument("--size", help="px of the input, WIDTHxHEIGHT or a square's side, multiples of 32; as trained where not named")
    parser.add_argument("--threshold", type=float, default=USUAL_THRESHOLD,
                        help=f"the score at which counts are best: told as {USUAL_THRESHOLD}, which programs ask for")
    options = parser.parse_args()
    if options.untrained:
        detector, size = start.load(options.untrained, network.ORIGINAL, classes=80), (416, 416)
    else:
        detector, size = trained(options.weights)
    if options.size:
        sides = [int(side) for side in options.size.split("x")]
        size = tuple(sides if len(sides) == 2 else sides * 2)
    if options.name:
        print(file_name(size))
        return
    if options.out is None:
        parser.error("--out is missing")
    export(detector, options.out, size, options.threshold)


if __name__ == "__main__":
    main()
