"""What needs no network: measures, augmentation and composing. python -m unittest discover -s tests, in this folder."""

import unittest

import numpy

from pigtrain import augment, compose, measure


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

    def test_the_count_is_that_of_the_boxes_above_the_threshold(self):
        truth = boxes((0, 0, 10, 10), (20, 0, 30, 10))
        report = measure.report([(truth, numpy.array([0.8, 0.2]), truth)], 0.5)
        self.assertEqual((report["count MAE"], report["bias"], report["precision"], report["recall"]), (1.0, -1.0, 1.0, 0.5))


class Pictures(unittest.TestCase):
    def test_letterbox_is_centred_and_can_be_undone(self):
        square, scale, (left, top) = augment.letterbox(numpy.full((100, 200, 3), 7, "u1"), 64)
        self.assertEqual((square.shape, scale, left, top), ((64, 64, 3), 0.32, 0, 16))
        self.assertTrue((square[16:48] == 7).all() and (square[:16] == augment.GREY).all())

    def test_varied_boxes_stay_on_what_they_hold(self):
        # One white pig on black: wherever it goes, its box goes along.
        pixels = numpy.zeros((120, 160, 3), "u1")
        pixels[40:60, 70:110] = 255
        random = numpy.random.default_rng(3)
        unlit = augment.light
        augment.light = lambda _, picture: picture
        try:
            for _ in range(60):
                varied, found, hidden = augment.vary(random, pixels, boxes((70, 40, 110, 60)), boxes(), 128)
                bright = varied[..., 0] > 200
                if len(found) == 0:
                    continue
                left, top, right, bottom = found[0]
                rows, columns = numpy.flatnonzero(bright.any(1)), numpy.flatnonzero(bright.any(0))
                seen = numpy.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
                # The box around a turned box is larger than the pig in it, never smaller.
                self.assertTrue((seen[:2] >= found[0][:2] - 2).all() and (seen[2:] <= found[0][2:] + 2).all())
        finally:
            augment.light = unlit

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
