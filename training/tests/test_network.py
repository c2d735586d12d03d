"""What needs torch: the assignment, the losses and the export. Skipped where torch is not installed."""

import pathlib
import tempfile
import unittest

import numpy

try:
    import onnx
    import onnxruntime
    import torch

    from pigtrain import augment, evaluate, export, learn, mix, network, pool, start
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
        boxes = truth[0].expand(1, len(at), 4)
        aims, targets = learn.assign(torch.zeros(1, len(at)), boxes, at, truth[None], torch.tensor([[True, True]]))
        aims, targets = aims[0], targets[0]
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
        truths = torch.tensor([[[10.0, 10, 40, 30]], [[0.0, 0, 0, 0]]])
        states = torch.tensor([[pool.PIG], [pool.NOTHING]], dtype=torch.uint8)
        optimiser = torch.optim.AdamW(detector.parameters(), 3e-3)
        losses = []
        for _ in range(60):
            lost = learn.loss(detector(pixels), at, truths, states)
            optimiser.zero_grad()
            lost.backward()
            optimiser.step()
            losses.append(lost.item())
        self.assertLess(losses[-1], 0.4 * losses[0])
        outputs = detector(pixels)
        best = outputs[0, :, 0].argmax()
        found = network.boxes_of(outputs, at)[0, best]
        self.assertGreater(learn.overlap(found, truths[0, 0]).item(), 0.7)

    def test_pictures_of_a_batch_do_not_change_one_anothers_assignment(self):
        torch.manual_seed(5)
        at, truth = network.places(64, 64), torch.tensor([[8.0, 8, 40, 32], [20.0, 20, 60, 60]])
        scores, boxes = torch.randn(2, len(at)), truth[0] + 6 * torch.rand(2, len(at), 4)
        is_pig = torch.tensor([[True, True], [True, False]])
        together = learn.assign(scores, boxes, at, truth.expand(2, 2, 4), is_pig)
        for number in range(2):
            alone = learn.assign(scores[number, None], boxes[number, None], at, truth[None], is_pig[number, None])
            self.assertTrue((together[0][number] == alone[0][0]).all())
            self.assertTrue(torch.equal(together[1][number], alone[1][0]))
        self.assertNotIn(1, together[0][1].tolist())

    def test_where_a_hidden_pig_is_nothing_is_learned(self):
        torch.manual_seed(6)
        at, outputs = network.places(64, 64), torch.randn(1, network.place_count(64, 64), 1 + 4 * network.BINS)
        box = torch.tensor([[[8.0, 8, 40, 32]]])
        inside = ((at[:, :2] > box[0, 0, :2]) & (at[:, :2] < box[0, 0, 2:])).all(-1)
        surer = outputs.clone()
        surer[0, inside, 0] += 5
        for state, is_same in ((pool.HIDDEN, True), (pool.NOTHING, False)):
            states = torch.tensor([[state]], dtype=torch.uint8)
            self.assertEqual(learn.loss(outputs, at, box, states) == learn.loss(surer, at, box, states), is_same)

    def test_the_exported_model_gives_what_the_network_gives(self):
        torch.manual_seed(2)
        widths = network.Widths(8, (8, 8, 16, 16), 16)
        detector = network.Detector(widths)
        for module in detector.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.running_mean), torch.nn.init.uniform_(module.running_var, 0.5, 2)
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            torch.save({"weights": detector.state_dict(), "widths": vars(widths), "size": [64, 64]}, folder / "detector.pt")
            detector, size = export.trained(folder / "detector.pt")
            export.export(detector, folder / "detector.onnx", size)
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
            export.export(detector, path, (64, 64), threshold=0.1)
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
            export.export(detector, path, (160, 96))
            model = onnx.load(path)
            self.assertEqual([size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim], [1, 3, 96, 160])
            self.assertEqual(model.graph.output[0].type.tensor_type.shape.dim[2].dim_value, network.place_count(96, 160))
            model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 64
            model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 96
            model.graph.output[0].type.tensor_type.ClearField("shape")
            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            found = session.run(None, {"images": pixels})[0]
        with torch.no_grad():
            expected = export.Exported(detector, export.USUAL_THRESHOLD)(torch.from_numpy(pixels)).numpy()
        self.assertEqual(found.shape, (1, 5, network.place_count(64, 96)))
        numpy.testing.assert_allclose(found, expected, atol=0.05)  # Half precision.


def pool_of(pixels, boxes, hidden=()):
    found = pool.Pool(*pixels.shape[:2], 1)
    found.add(pixels, numpy.array(boxes, "f4").reshape(-1, 4), numpy.array(hidden, "f4").reshape(-1, 4))
    return found


class Batches(unittest.TestCase):
    def white_pig(self):
        """One white pig on black, an ellipse."""
        pixels = numpy.zeros((120, 160, 3), "u1")
        y, x = numpy.mgrid[:120, :160] + 0.5
        pixels[((x - 90) / 20) ** 2 + ((y - 50) / 10) ** 2 < 1] = 255
        return pool_of(pixels, (70, 40, 110, 60))

    def test_varied_boxes_hold_what_they_held(self):
        random, source, compared = numpy.random.default_rng(3), self.white_pig(), 0
        for _ in range(40):
            rows = augment.matrices(random, source, [0], (192, 128), (0.6, 1.8), 0.5)
            pixels, boxes, states = augment.warped(source, [0], rows, (192, 128))
            if states[0, 0] != pool.PIG:
                continue
            bright = pixels[0, 0].numpy() > 185
            rows_, columns = numpy.flatnonzero(bright.any(1)), numpy.flatnonzero(bright.any(0))
            seen = numpy.array([columns[0], rows_[0], columns[-1] + 1, rows_[-1] + 1])
            numpy.testing.assert_allclose(boxes[0, 0].numpy(), seen, atol=2.5)
            compared += 1
        self.assertGreater(compared, 15)

    def test_what_leaves_the_picture_is_hidden_and_what_has_left_is_nothing(self):
        boxes = torch.tensor([[[0.0, 0, 40, 20], [-35.0, 0, 5, 20], [-50.0, 0, -10, 20]]])
        states = torch.full((1, 3), pool.PIG, dtype=torch.uint8)
        boxes, states = augment.clipped(boxes, states, torch.tensor([0.0, 0, 100, 100]))
        self.assertEqual(states.tolist(), [[pool.PIG, pool.HIDDEN, pool.NOTHING]])
        self.assertEqual(boxes[0, 1].tolist(), [0, 0, 5, 20])

    def test_a_batch_follows_from_its_seed(self):
        def batch():
            torch.manual_seed(1)
            return mix.Mix([mix.Part(self.white_pig(), 1, (0.8, 1.2), 0.2)], 12, (96, 64), seed=9).next()

        (pixels, boxes, states), again = batch(), batch()
        self.assertEqual((pixels.shape, len(boxes), len(states)), ((12, 3, 64, 96), 12, 12))
        self.assertTrue(all(torch.equal(one, other) for one, other in zip((pixels, boxes, states), again)))
        self.assertTrue((pixels >= 0).all() and (pixels <= 255).all())

    def test_coding_keeps_a_smooth_picture_and_loses_fine_detail(self):
        x = torch.linspace(40, 200, 64).expand(1, 3, 48, 64)
        self.assertLess((augment.coded(x, [80]) - x).abs().max(), 4)
        grain = (x + 30 * torch.randn(1, 3, 48, 64)).clamp(0, 255)
        self.assertGreater((augment.coded(grain, [20]) - grain).abs().mean(), 8)

    def test_letterbox_is_centred_and_no_larger_than_needed(self):
        canvas, scale, (left, top) = evaluate.letterbox(numpy.full((100, 200, 3), 7, "u1"), 128, 128)
        self.assertEqual((canvas.shape, scale, left, top), ((64, 128, 3), 0.64, 0, 0))
        canvas, _, (left, top) = evaluate.letterbox(numpy.full((100, 100, 3), 7, "u1"), 160, 80)
        self.assertEqual((canvas.shape, left, top), ((96, 96, 3), 8, 8))


if __name__ == "__main__":
    unittest.main()
