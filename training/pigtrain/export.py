"""The trained detector as ONNX, in the layout of YOLOv8: python -m pigtrain.export --weights detector.pt --out FILE

Input: 1 x 3 x side x side, red green blue, 0 to 1, centred letterbox. Output: 1 x 5 x P, centre, size in px of the input, and
score; suppressing doubles is left to the reader.
"""

import argparse
import pathlib

import onnx
import torch
from torch import nn

from . import network


class Exported(nn.Module):
    """The detector with batch normalisation folded, its input's scale in front and its boxes decoded."""

    def __init__(self, detector, side):
        super().__init__()
        self.detector = detector.eval()
        for module in list(detector.modules()):
            if isinstance(module, network.Convolution):
                weight, bias = module.folded()
                module.convolution.weight.data, module.convolution.bias.data = weight.detach(), bias.detach()
                module.normalisation = nn.Identity()
        mean, deviation = torch.tensor(network.MEAN), torch.tensor(network.DEVIATION)
        # Of red, green, blue: the network wants blue first. The borders of its convolutions are zero after this, as in
        # training, which is why it is not folded into the first.
        self.register_buffer("scale", (255 / deviation).flip(0)[None, :, None, None])
        self.register_buffer("shift", (-mean / deviation).flip(0)[None, :, None, None])
        stem = detector.stem.convolution
        stem.weight.data = stem.weight.data.flip(1)
        self.register_buffer("at", network.places(side, side))

    def forward(self, x):
        outputs = self.detector(x * self.scale + self.shift)
        boxes = network.boxes_of(outputs, self.at)
        low, high = boxes[..., :2], boxes[..., 2:]
        return torch.cat([(low + high) / 2, high - low, outputs[..., :1].sigmoid()], -1).transpose(1, 2)


def export(weights, out, side=None):
    kept = torch.load(weights, weights_only=True)
    side = side or kept["side"]
    detector = network.Detector(network.Widths(**kept["widths"]))
    detector.load_state_dict(kept["weights"])
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(Exported(detector, side), (torch.zeros(1, 3, side, side),), str(out), dynamo=False, opset_version=17,
                      input_names=["images"], output_names=["output0"])
    model = onnx.load(out)
    entry = model.metadata_props.add()
    entry.key, entry.value = "names", "{0: 'pig'}"
    onnx.save(model, out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--side", type=int, help="px of the input, a multiple of 32; as trained where not named")
    options = parser.parse_args()
    export(options.weights, options.out, options.side)


if __name__ == "__main__":
    main()
