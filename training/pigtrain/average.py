"""The mean of two detectors of the same shape: python -m pigtrain.average FIRST.onnx SECOND.onnx --share 0.5 --out FILE

After a short training on new pictures, the mean of the weights before and after keeps more of what was known before than the new ones do
(Wortsman et al. 2022, arXiv 2109.01903). `share` is that of the second. Metadata are the second's, without its calibration: calibrate it again.
"""

import argparse
import pathlib

import onnx
from onnx import numpy_helper

from . import calibrate

WEIGHTS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


def tensors(model):
    """Weights by name, and constants inside the graph by the name of what they give."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = node.attribute[0].t
    return {name: tensor for name, tensor in found.items() if tensor.data_type in WEIGHTS}


def average(first, second, share):
    """Changes the second model."""
    before, after = tensors(first), tensors(second)
    if before.keys() != after.keys():
        raise ValueError(f"the models differ in {len(before.keys() ^ after.keys())} weights: only detectors of the same shape have a mean")
    for name, tensor in after.items():
        one, other = numpy_helper.to_array(before[name]), numpy_helper.to_array(tensor)
        if one.shape != other.shape:
            raise ValueError(f"{name} is {one.shape} in the first model and {other.shape} in the second")
        mean = (one.astype("f4") * (1 - share) + other.astype("f4") * share).astype(other.dtype)
        tensor.CopyFrom(numpy_helper.from_array(mean, tensor.name))
    kept = [(entry.key, entry.value) for entry in second.metadata_props if entry.key != calibrate.KEY]
    del second.metadata_props[:]
    for key, value in kept:
        entry = second.metadata_props.add()
        entry.key, entry.value = key, value
    return second


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=pathlib.Path)
    parser.add_argument("second", type=pathlib.Path)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    onnx.save(average(onnx.load(options.first), onnx.load(options.second), options.share), options.out)


if __name__ == "__main__":
    main()
