"""What needs no network: measures and composing. python -m unittest discover -s tests, in this folder."""

import unittest

import numpy

from pigtrain import compose, measure


def boxes(*rows):
    return numpy.array(rows, "f4").reshape(-1, 4)


class Measures(unittest.TestCase):
    def test_doubles_are_suppressed_and_neighbours_stay(self):
        found = boxes((0, 0, 10, 10), (1, 0, 11, 10), (20, 0, 30, 10))
        self.assertEqual(measure.suppress(found, numpy.array([0.5, 0.9, 0.4])).tolist(), [1, 2])

    def test_average_precision_of_known_rankings(self):
        truth = boxes((0, 0, 10, 10), (20, 0, 30, 10))
        right, wrong, other = (0, 0, 10, 10), (50, 50, 60, 60), (20, 0, 30, 10)
        for found, expected in [
            (boxes(right, other), 1.0),
            (boxes(right, wrong, other), (51 + 50 * 2 / 3) / 101),  # Precision 1 up to recall 0.5, then 2/3.
            (boxes(right), 51 / 101),
            (boxes(wrong), 0.0),
            (boxes(right, right), 51 / 101),  # A pig that is found twice is a pig and a mistake.
        ]:
            scores = numpy.linspace(0.9, 0.5, len(found))
            self.assertAlmostEqual(measure.average_precision([(found, scores, truth)], 0.5), expected, places=6)

    def test_surer_boxes_of_other_pictures_come_first(self):
        pig = boxes((0, 0, 10, 10))
        pictures = [(pig, numpy.array([0.3]), pig), (boxes((50, 0, 60, 10)), numpy.array([0.9]), boxes())]
        self.assertAlmostEqual(measure.average_precision(pictures, 0.5), 0.5, places=6)

    def test_recall_is_told_by_size(self):
        truth = boxes((0, 0, 20, 20), (100, 0, 200, 100))
        text = measure.by_size([(boxes((100, 0, 200, 90)), numpy.array([0.9]), truth)], [(360, 640, 3)])
        self.assertIn("below 1000 px² 0.00 of 1", text)
        self.assertIn("1.00 of 1; box area 0.90", text)

    def test_the_count_is_that_of_the_boxes_above_the_threshold(self):
        truth = boxes((0, 0, 10, 10), (20, 0, 30, 10))
        report = measure.report([(truth, numpy.array([0.8, 0.2]), truth)], 0.5)
        self.assertEqual((report["count MAE"], report["bias"], report["precision"], report["recall"]), (1.0, -1.0, 1.0, 0.5))


class Pictures(unittest.TestCase):
    def test_scenes_are_the_same_for_the_same_seed_and_their_boxes_lie_inside(self):
        pig = numpy.full((30, 80, 4), 255, "u1")
        cutouts = compose.Cutouts([])
        cutouts.pigs = [pig]
        crowds = 0
        for seed in range(12):
            one, again = (compose.scene(numpy.random.default_rng(seed), cutouts, [], size=(240, 320)) for _ in range(2))
            self.assertTrue(all((a == b).all() for a, b in zip(one, again)))
            pixels, found, _ = one
            self.assertEqual(pixels.shape, (240, 320, 3))
            self.assertTrue((found[:, :2] >= 0).all() and (found[:, 2:] <= (320, 240)).all())
            self.assertTrue((found[:, 2:] > found[:, :2]).all())
            crowds += len(found) > 5
        self.assertGreater(crowds, 1)


if __name__ == "__main__":
    unittest.main()
