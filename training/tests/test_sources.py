"""Sources as people bring them: YOLO's labels or COCO's, and how a farm's frames are split."""

import json
import pathlib
import tempfile
import unittest

import cv2
import numpy

from pigtrain import sources


def picture(folder, name):
    (folder / "images").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "images" / name), numpy.zeros((50, 100, 3), "u1"))


class Sources(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.scratch.name)

    def tearDown(self):
        self.scratch.cleanup()

    def test_coco_and_yolo_give_the_same_boxes(self):
        picture(self.folder, "pen_1.png")
        picture(self.folder, "pen_2.png")
        (self.folder / "annotations").mkdir()
        document = {
            "images": [{"id": 7, "file_name": "images/pen_1.png"}, {"id": 8, "file_name": "pen_2.png"}],
            "annotations": [{"image_id": 7, "bbox": [10, 20, 40, 10]}],
        }
        (self.folder / "annotations" / "instances_default.json").write_text(json.dumps(document))
        coco = sources.read(self.folder)
        self.assertEqual([p.boxes.tolist() for p in coco], [[[10, 20, 50, 30]], []])
        (self.folder / "labels").mkdir()
        (self.folder / "labels" / "pen_1.txt").write_text("0 0.3 0.5 0.4 0.2\n")
        yolo = sources.read(self.folder)
        numpy.testing.assert_allclose(yolo[0].boxes, coco[0].boxes, atol=1e-4)
        self.assertEqual(yolo[1].boxes.shape, (0, 4))

    def test_boxes_of_the_class_hidden_are_told_apart(self):
        picture(self.folder, "pen_1.png")
        (self.folder / "labels").mkdir()
        (self.folder / "labels" / "pen_1.txt").write_text("0 0.5 0.5 0.2 0.2 0.9\n1 0.1 0.1 0.1 0.1 0.05\n")
        self.assertEqual(len(sources.read(self.folder)[0].boxes), 2)
        (self.folder / "classes.txt").write_text("pig\nhidden\n")
        found = sources.read(self.folder)[0]
        self.assertEqual((len(found.boxes), len(found.hidden)), (1, 1))

    def test_a_folder_without_labels_is_refused(self):
        picture(self.folder, "pen_1.png")
        with self.assertRaisesRegex(SystemExit, "neither labels"):
            sources.read(self.folder)

    def test_pictures_are_left_out_by_name(self):
        for name in ("a_1.png", "b_1.png"):
            picture(self.folder, name)
        (self.folder / "labels").mkdir()
        self.assertEqual([p.name for p in sources.read(self.folder, without="a_")], ["b_1"])
        self.assertEqual([p.name for p in sources.read(self.folder, prefix="a_")], ["a_1"])
        with self.assertRaisesRegex(SystemExit, "no pictures"):
            sources.read(self.folder, prefix="c_")

    def test_the_last_fifth_of_each_video_is_held_out(self):
        names = [f"pen_a_{n:08}ms" for n in range(10)] + [f"b_{n:08}ms" for n in range(5)] + ["alone_00000000ms"]
        pictures = [sources.Picture(name, None, None, []) for name in names]
        learn, examine = sources.split(pictures)
        self.assertEqual([p.name for p in examine], ["pen_a_00000008ms", "pen_a_00000009ms", "b_00000004ms"])
        self.assertEqual(sorted(p.name for p in learn + examine), sorted(names))


if __name__ == "__main__":
    unittest.main()
