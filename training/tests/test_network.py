"""What needs torch: the assignment, the losses and the export. Skipped where torch is not installed."""

import pathlib
import tempfile
import unittest

import numpy

try:
    import onnx
    import onnxruntime
    import torch

    from pigtrain import export, learn, network, start
except ImportError as error:
    raise unittest.SkipTest(f"{error}; scripts/setup.sh --train installs it")


class Learning(unittest.TestCase):
    def test_overlap_of_known_boxes(self):
        one, other = torch.tensor([0.0, 0, 10, 10]), torch.tensor([5.0, 0, 15, 10])
        self.assertAlmostEqual(learn.overlap(one, other).item(), 1 / 3, places=5)
        self.assertAlmostEqual(learn.overlap(one, one, complete=True).item(), 1, places=4)
        self.assertLess(learn.overlap(one, other, complete=True).item(), 1 / 3)

    def test_a_pig_is_answered_by_places_inside_it_alone(self):
        at = network.places(64, 64)
        truth = torch.tensor([[8.0, 8, 40, 32], [32.0, 8, 60, 32]])
        aims, targets = learn.assign(torch.zeros(len(at)), truth[0].expand(len(at), 4), at, truth)
        for number, aim in enumerate(aims.tolist()):
            x, y = at[number, :2].tolist()
            if aim >= 0:
                left, top, right, bottom = truth[aim].tolist()
                self.assertTrue(left < x < right and top < y < bottom)
        self.assertEqual(int((aims == 0).sum()), learn.TOP)
        self.assertAlmostEqual(targets.max().item(), 1, places=4)

    def test_learning_one_picture_by_heart(self):
        torch.manual_seed(1)
        detector = network.Detector(network.Widths(8, (8, 8, 16, 16), 16))
        at, pixels = network.places(64, 64), torch.randn(2, 3, 64, 64)
        truths = [torch.tensor([[10.0, 10, 40, 30]]), torch.zeros(0, 4)]
        optimiser = torch.optim.AdamW(detector.parameters(), 3e-3)
        losses = []
        for _ in range(60):
            lost = learn.loss(detector(pixels), at, truths, [torch.zeros(0, 4)] * 2)
            optimiser.zero_grad()
            lost.backward()
            optimiser.step()
            losses.append(lost.item())
        self.assertLess(losses[-1], 0.4 * losses[0])
        outputs = detector(pixels)
        best = outputs[0, :, 0].argmax()
        found = network.boxes_of(outputs, at)[0, best]
        self.assertGreater(learn.overlap(found, truths[0][0]).item(), 0.7)

    def test_the_exported_model_gives_what_the_network_gives(self):
        torch.manual_seed(2)
        widths = network.Widths(8, (8, 8, 16, 16), 16)
        detector = network.Detector(widths)
        for module in detector.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.running_mean), torch.nn.init.uniform_(module.running_var, 0.5, 2)
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            torch.save({"weights": detector.state_dict(), "widths": vars(widths), "side": 64}, folder / "detector.pt")
            detector, side = export.trained(folder / "detector.pt")
            export.export(detector, folder / "detector.onnx", side)
            pixels = numpy.random.default_rng(1).random((1, 3, 64, 64), "f4")
            session = onnxruntime.InferenceSession(str(folder / "detector.onnx"), providers=["CPUExecutionProvider"])
            found = session.run(None, {"images": pixels})[0][0].T
        mean, deviation = torch.tensor(network.MEAN), torch.tensor(network.DEVIATION)
        blue_first = (torch.from_numpy(pixels).flip(1) * 255 - mean[None, :, None, None]) / deviation[None, :, None, None]
        with torch.no_grad():
            outputs = detector.eval()(blue_first)
            boxes, scores = network.boxes_of(outputs, network.places(64, 64))[0].numpy(), outputs[0, :, 0].sigmoid().numpy()
        numpy.testing.assert_allclose(found[:, :2] - found[:, 2:4] / 2, boxes[:, :2], atol=0.05)  # Half precision.
        numpy.testing.assert_allclose(found[:, :2] + found[:, 2:4] / 2, boxes[:, 2:], atol=0.05)
        numpy.testing.assert_allclose(found[:, 4], scores, atol=1e-3)

    def test_training_goes_on_from_an_exported_model(self):
        torch.manual_seed(3)
        detector = network.Detector(network.Widths(8, (8, 8, 16, 16), 16)).eval()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "detector.onnx"
            export.export(detector, path, 64, threshold=0.1)
            again = start.exported(path).eval()
        pixels = torch.randn(1, 3, 64, 64)
        with torch.no_grad():
            numpy.testing.assert_allclose(again(pixels).numpy(), detector(pixels).numpy(), atol=0.01)  # Half precision.

    def test_the_exported_model_takes_another_size_that_is_stated_in_its_file(self):
        torch.manual_seed(4)
        detector = network.Detector(network.Widths(8, (8, 8, 16, 16), 16)).eval()
        pixels = numpy.random.default_rng(2).random((1, 3, 64, 96), "f4")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "detector.onnx"
            export.export(detector, path, 96)
            model = onnx.load(path)
            self.assertEqual([size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim], [1, 3, 96, 96])
            self.assertEqual(model.graph.output[0].type.tensor_type.shape.dim[2].dim_value, network.place_count(96, 96))
            model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 64
            model.graph.output[0].type.tensor_type.ClearField("shape")
            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            found = session.run(None, {"images": pixels})[0]
        with torch.no_grad():
            expected = export.Exported(detector, export.USUAL_THRESHOLD)(torch.from_numpy(pixels)).numpy()
        self.assertEqual(found.shape, (1, 5, network.place_count(64, 96)))
        numpy.testing.assert_allclose(found, expected, atol=0.05)  # Half precision.


if __name__ == "__main__":
    unittest.main()
