#!/usr/bin/env python3
"""The peer: a pipeline that one writes in Python in an afternoon. OpenCV reads every frame, ONNX Runtime runs a YOLOX model on
it, `trackers` runs ByteTrack on the boxes. Settings are the packages' defaults, two threads for inference.

    python_pipeline.py VIDEO --model FILE [--threads 2] [--inference-alone]

Prints one line of JSON: frames, seconds from opening the video to the last track, frames per second, and the mean
number of tracks on a frame. Loading the model is not counted. With --inference-alone: CPU ms of one inference with one thread, which
no pipeline can avoid.
"""

import argparse
import json
import time

import cv2
import numpy as np
import onnxruntime
import supervision
from trackers import ByteTrackTracker


class Detector:
    """YOLOX as its own demo does it: letterbox, raw grid, suppression."""

    def __init__(self, model, threads, min_score, max_iou):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        self.height, self.width = self.input.shape[2:]
        self.min_score, self.max_iou = min_score, max_iou
        cells = []
        for stride in (8, 16, 32):
            x, y = np.meshgrid(np.arange(self.width // stride), np.arange(self.height // stride))
            cells.append(np.stack([x, y, np.full_like(x, stride)], -1).reshape(-1, 3))
        self.cells = np.concatenate(cells).astype(np.float32)

    def detect(self, image):
        ratio = min(self.height / image.shape[0], self.width / image.shape[1])
        padded = np.full((self.height, self.width, 3), 114, np.uint8)
        resized = cv2.resize(image, (int(image.shape[1] * ratio), int(image.shape[0] * ratio)))
        padded[: resized.shape[0], : resized.shape[1]] = resized
        tensor = np.ascontiguousarray(padded.transpose(2, 0, 1)[None], dtype=np.float32)
        (rows,) = self.session.run(None, {self.input.name: tensor})[0]
        table = rows[:, 4:5] * rows[:, 5:]
        scores = table.max(1)
        places = np.flatnonzero(scores >= self.min_score)
        stride = self.cells[places, 2:]
        centers, sizes = (rows[places, :2] + self.cells[places, :2]) * stride, np.exp(rows[places, 2:4]) * stride
        boxes = np.concatenate([centers - sizes / 2, sizes], 1) / ratio
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores[places].tolist(), self.min_score, self.max_iou)
        kept = np.asarray(kept, int).reshape(-1)
        corners = np.concatenate([boxes[kept, :2], boxes[kept, :2] + boxes[kept, 2:]], 1)
        return supervision.Detections(
            xyxy=corners.reshape(-1, 4), confidence=scores[places][kept], class_id=table[places][kept].argmax(1)
        )


def inference_ms(model, runs=200):
    """On a grey picture, after some warm-up runs."""
    detector = Detector(model, 1, min_score=0.1, max_iou=0.5)
    tensor = np.full((1, 3, detector.height, detector.width), 114, np.float32)
    for _ in range(runs // 10):
        detector.session.run(None, {detector.input.name: tensor})
    start = time.process_time()
    for _ in range(runs):
        detector.session.run(None, {detector.input.name: tensor})
    return 1e3 * (time.process_time() - start) / runs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--inference-alone", action="store_true")
    arguments = parser.parse_args()
    if arguments.inference_alone:
        print(json.dumps({"inference_ms": inference_ms(arguments.model)}))
        return

    # The lowest score that pigweight's tracker uses.
    detector = Detector(arguments.model, arguments.threads, min_score=0.1, max_iou=0.5)
    start = time.perf_counter()
    capture = cv2.VideoCapture(arguments.video)
    tracker = ByteTrackTracker(frame_rate=capture.get(cv2.CAP_PROP_FPS))
    frames, tracked = 0, 0
    while True:
        is_read, image = capture.read()
        if not is_read:
            break
        tracks = tracker.update(detector.detect(image))
        frames += 1
        tracked += int(np.count_nonzero(tracks.tracker_id >= 0)) if tracks.tracker_id is not None else 0
    secs = time.perf_counter() - start
    result = {"frames": frames, "secs": secs, "frames_per_sec": frames / secs, "mean_tracks": tracked / max(frames, 1)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
