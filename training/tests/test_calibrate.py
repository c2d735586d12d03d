import pathlib
import tempfile
import unittest

import numpy
import onnx
from onnx import TensorProto, helper

from pigtrain import calibrate


def boxes(count):
    """Boxes far from one another, 40 px long."""
    left = numpy.arange(count, dtype="f4") * 100
    return numpy.stack([left, numpy.zeros(count), left + 40, numpy.full(count, 40)], 1).astype("f4")


def scene(random, pictures, probability, pigs=12, unseen=0):
    """Pictures on which a box of score s is a pig with `probability(s)`, and `unseen` more pigs have no box."""
    rows = []
    for _ in range(pictures):
        scores = numpy.sort(random.uniform(0.05, 0.95, pigs).astype("f4"))[::-1]
        places = boxes(pigs + unseen)
        real = random.uniform(size=pigs) < probability(scores)
        rows.append((places[:pigs], scores, numpy.concatenate([places[:pigs][real], places[pigs:]]), (pigs * 200, 400)))
    return rows


class Calibration(unittest.TestCase):
    def setUp(self):
        self.random = numpy.random.default_rng(1)

    def test_scores_that_are_probabilities_are_left_as_they_are(self):
        known = calibrate.calibration([scene(self.random, 400, lambda scores: scores)], (640, 384))
        self.assertAlmostEqual(known["offset"], 0, delta=0.15)
        self.assertAlmostEqual(known["slope"], 1, delta=0.1)
        self.assertAlmostEqual(known["missed_share"], 0, delta=0.05)

    def test_scores_that_promise_too_much_get_a_lower_probability(self):
        known = calibrate.calibration([scene(self.random, 400, lambda scores: scores**3)], (640, 384))
        probability = lambda score: 1 / (1 + numpy.exp(-(known["offset"] + known["slope"] * calibrate.log_odds(score))))
        for score in (0.3, 0.5, 0.7):
            self.assertAlmostEqual(probability(score), score**3, delta=0.08)

    def test_pigs_without_a_box_are_expected(self):
        known = calibrate.calibration([scene(self.random, 300, lambda scores: scores, pigs=12, unseen=3)], (640, 384))
        self.assertAlmostEqual(known["missed_share"], 0.5, delta=0.1)

    def test_nine_of_ten_counts_lie_within_their_uncertainty(self):
        known = calibrate.calibration([scene(self.random, 400, lambda scores: scores**2)], (640, 384))
        rows = calibrate.estimates(scene(self.random, 400, lambda scores: scores**2), known)
        inside = numpy.mean([abs(count - truth) <= uncertainty for count, truth, uncertainty in rows])
        self.assertGreaterEqual(inside, 0.85)

    def test_a_source_of_many_pictures_weighs_no_more_than_one_of_few(self):
        few, many = scene(self.random, 60, lambda scores: scores), scene(self.random, 600, lambda scores: scores**4)
        known = calibrate.calibration([few, many], (640, 384))
        alone = calibrate.calibration([many], (640, 384))
        self.assertGreater(known["offset"], alone["offset"] + 0.3)

    def test_scenes_without_pigs_do_not_divide_by_zero(self):
        empty = [(boxes(0), numpy.zeros(0, "f4"), boxes(0), (640, 360))] * 5
        known = calibrate.calibration([scene(self.random, 100, lambda scores: scores), empty], (640, 384))
        self.assertTrue(all(numpy.isfinite(value) for value in known.values()))

    def test_small_pigs_that_are_mostly_missed_set_the_reliable_size(self):
        rows = []
        for number in range(60):
            side = 8 + number
            truth = numpy.array([[0, 0, side, side]], "f4")
            found = truth if side >= 32 else numpy.zeros((0, 4), "f4")
            rows += [(found, numpy.full(len(found), 0.9, "f4"), truth, (640, 384))] * 6
        self.assertEqual(calibrate.calibration([rows], (640, 384))["reliable_side_px"], 32)

    def test_it_is_written_once_beside_what_else_the_file_says(self):
        value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
        model = helper.make_model(graph)
        entry = model.metadata_props.add()
        entry.key, entry.value = "names", "{0: 'pig'}"
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.onnx"
            onnx.save(model, path)
            for slope in (1.0, 2.0):
                calibrate.write(path, {"slope": slope})
            found = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        self.assertEqual(found, {"names": "{0: 'pig'}", calibrate.KEY: '{"slope": 2.0}'})


if __name__ == "__main__":
    unittest.main()
