#!/usr/bin/env python3
"""Runs the measurements of bench/run.sh and writes their table.

    figures.py --binary target/release/pigweight --data DIR --out bench/out [--only speed memory storage tracking]

Speeds of both programs are whole runs, taken in turns so that a machine that is busy for a while is busy for both; the
figure is the median. PigWeight's run includes its start, loading the model, indexing and storing; the peer's starts
with the opened video.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 3
HERE = pathlib.Path(__file__).parent


class Table:
    """Rows of figures, and what was left out."""

    def __init__(self):
        self.rows, self.notes = [], []

    def add(self, what, figure, goal=""):
        self.rows.append((what, figure, goal))
        print(f"bench: {what}: {figure}" + (f" (goal {goal})" if goal else ""), file=sys.stderr, flush=True)

    def skip(self, what, path):
        self.notes.append(f"Skipped: {what}, because {path} is not there (DATA_DIR names the folder).")
        print(f"bench: skipped {what}: {path} is not there", file=sys.stderr, flush=True)

    def text(self):
        load = os.getloadavg()[1]
        head = (f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; "
                f"load of the last five minutes {load:.1f}")
        rows = [("What", "Measured", "Goal"), *self.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join(["# Figures", "", head, "", *lines, "", *self.notes]).rstrip() + "\n"


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def count(arguments, video, model, *options):
    """Runs `pigweight count`; returns its document, seconds and peak memory in MB."""
    command = [arguments.binary, "count", video, "--model", model, "--json", *options]
    # A process of its own for each run: the peak of waited-for children only ever grows.
    measured = subprocess.run([sys.executable, __file__, "--measure", *map(str, command)], check=True, capture_output=True, text=True)
    document, measures = measured.stdout.splitlines()
    return json.loads(document), *json.loads(measures)


def measure(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    secs = time.perf_counter() - start
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    print(json.dumps([secs, peak_mb]))


def speed(arguments, table, video, model):
    peer, ours, scheduled = [], [], []
    for _ in range(ROUNDS):
        command = [sys.executable, HERE / "python_pipeline.py", video, "--model", model]
        peer.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["frames_per_sec"])
        for rates, options in ((ours, ["--every-frame"]), (scheduled, [])):
            document, secs, _ = count(arguments, video, model, *options)
            rates.append(document["frames"] / secs)
    peer, ours, scheduled = map(statistics.median, (peer, ours, scheduled))
    table.add(f"{video.name}: OpenCV + ONNX Runtime + ByteTrack in Python", f"{peer:.1f} frames/s")
    table.add(f"{video.name}: pigweight count --every-frame", f"{ours:.1f} frames/s")
    table.add("ratio", f"{ours / peer:.2f}", ">= 1.5")
    table.add(f"{video.name}: pigweight count, ten looks a second", f"{scheduled:.1f} frames/s")


def memory(arguments, table, model, folder):
    """On videos that a test pattern makes; looked at as usual, ten times a second."""
    peaks = []
    for minutes in (1, 10):
        video = folder / f"{minutes}-minutes-1080p.mp4"
        source = f"testsrc2=size=1920x1080:rate=25:duration={60 * minutes}"
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast",
                        "-pix_fmt", "yuv420p", video], check=True)
        document, secs, peak_mb = count(arguments, video, model)
        video.unlink()
        peaks.append(peak_mb)
        table.add(f"peak memory, {minutes} min of 1080p, {document['frames'] / secs:.0f} frames/s", f"{peak_mb:.0f} MB", "<= 350 MB")
    table.add("10 minutes against 1 minute", f"{peaks[1] - peaks[0]:+.0f} MB", "no higher")


def storage(arguments, table, video, model, folder):
    data = folder / "data"
    count(arguments, video, model, "--every-frame", "--data", str(data))
    with contextlib.closing(sqlite3.connect(data / "pigweight.sqlite")) as store:
        size_bytes, boxes = store.execute("select sum(length(data)), sum(boxes) from detection_chunks").fetchone()
    table.add(f"{video.name}: stored tracks, {boxes} boxes", f"{size_bytes / boxes:.1f} bytes a box")


def tracking(arguments, table, sequences):
    for options in ([], ["--offline"]):
        command = [sys.executable, HERE / "tracking/evaluate.py", sequences, "--tracker", f"{arguments.binary} track", *options]
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        hota, _, _, idf1, mota, switches, per_frame = shown.splitlines()[-1].split()[1:]
        what = "MOT17 second halves, " + ("offline" if options else "online")
        table.add(what, f"HOTA {hota}, IDF1 {idf1}, MOTA {mota}, {switches} switches", "HOTA >= 69.4" if options else "HOTA >= 68.3")
        table.add(f"{what}, whole process", f"{float(per_frame):.3f} ms a frame", "<= 0.1 ms")


def main():
    if sys.argv[1:2] == ["--measure"]:
        return measure(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    names = ["speed", "memory", "storage", "tracking"]
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    table = Table()
    video, model = arguments.data / "videos/pen-day.mp4", arguments.data / "models/pig-yolox-nano-416.onnx"
    sequences = arguments.data / "tracking/mot17"
    needs = {"speed": [video, model], "memory": [model], "storage": [video, model], "tracking": [sequences]}
    with tempfile.TemporaryDirectory(dir=arguments.out) as folder:
        folder = pathlib.Path(folder)
        steps = {
            "speed": lambda: speed(arguments, table, video, model),
            "memory": lambda: memory(arguments, table, model, folder),
            "storage": lambda: storage(arguments, table, video, model, folder),
            "tracking": lambda: tracking(arguments, table, sequences),
        }
        for name in arguments.only:
            missing = next((path for path in needs[name] if not path.exists()), None)
            if missing:
                table.skip(name, missing)
            else:
                steps[name]()
    text = table.text()
    (arguments.out / "figures.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
