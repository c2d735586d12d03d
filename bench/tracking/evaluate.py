#!/usr/bin/env python3
"""Judges a tracker with TrackEval on sequences in the layout of MOTChallenge.

    evaluate.py SEQUENCES --tracker "target/release/pigweight track" [--offline]
                [--whole] [--benchmark MOT15] [--tracker-arguments "--min-score 0.5"]

SEQUENCES holds a folder for each sequence: seqinfo.ini, gt.txt (all columns: TrackEval's own filtering needs
them) and one det*.txt. Unless --whole is given, only the second half of each sequence is used, as is customary
for MOT17 (0-based frames from n // 2 + 1 on, renumbered from 1): detectors may have been trained on the first.

The tracker is called as `TRACKER --mot DETECTIONS --fps F --out TRACKS [--offline]`. Milliseconds per frame are
the whole process, start and reading of the text included, so they are an upper bound.

The sequences are for research only and stay where they are: nothing is copied but into a temporary folder.
"""

import argparse
import configparser
import contextlib
import io
import multiprocessing
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

from trackeval.datasets import MotChallenge2DBox
from trackeval.metrics import CLEAR, HOTA, Identity


def cut(source, target, first_frame):
    """Copies the lines from first_frame on, renumbered from 1."""
    with open(source) as lines, open(target, "w") as out:
        for line in lines:
            frame, _, rest = line.partition(",")
            number = int(float(frame)) - first_frame + 1 if rest else 0
            if number >= 1:
                out.write(f"{number},{rest}")


def track(arguments, folder, work):
    """Runs the tracker on one sequence; returns its name, length and milliseconds."""
    info = configparser.ConfigParser()
    info.read(folder / "seqinfo.ini")
    fps = float(info["Sequence"]["frameRate"])
    frames = int(info["Sequence"]["seqLength"])
    first_frame = 1 if arguments.whole else frames // 2 + 2
    name = folder.name
    truth = work / "truth" / name / "gt"
    truth.mkdir(parents=True)
    cut(folder / "gt.txt", truth / "gt.txt", first_frame)
    detections = work / f"{name}.txt"
    (source,) = folder.glob("det*.txt")
    cut(source, detections, first_frame)
    tracks = work / "tracks" / "tracker" / "data" / f"{name}.txt"
    tracks.parent.mkdir(parents=True, exist_ok=True)
    command = [*shlex.split(arguments.tracker), "--mot", detections, "--fps", str(fps), "--out", tracks]
    command += ["--offline"] * arguments.offline + shlex.split(arguments.tracker_arguments)
    # What the program takes for one frame is its start: it is taken off. Reading and writing the text stay in.
    alone = work / f"{name}-one.txt"
    alone.write_text("".join(line for line in detections.read_text().splitlines(True) if line.startswith("1,")))
    one = [alone if part is detections else work / "one-tracks.txt" if part is tracks else part for part in command]
    start_secs = statistics.median(seconds(one) for _ in range(5))
    whole_secs = statistics.median(seconds(command) for _ in range(3))
    return name, frames - first_frame + 1, 1e3 * (whole_secs - start_secs)


def seconds(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


METRICS = {"HOTA": HOTA, "IDF1": Identity, "MOTA": CLEAR}


@contextlib.contextmanager
def quiet():
    """TrackEval tells its settings and times on stdout."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def judge(task):
    """The raw results of one sequence, by figure."""
    work, benchmark, name, frames = task
    with quiet():
        dataset = MotChallenge2DBox({
            "GT_FOLDER": str(work / "truth"),
            "TRACKERS_FOLDER": str(work / "tracks"),
            "TRACKERS_TO_EVAL": ["tracker"],
            "SEQ_INFO": {name: frames},
            "BENCHMARK": benchmark,
            "SKIP_SPLIT_FOL": True,
            "PRINT_CONFIG": False,
        })
        raw = dataset.get_raw_seq_data("tracker", name)
        data = dataset.get_preprocessed_seq_data(raw, "pedestrian")
        config = {"PRINT_CONFIG": False}
        results = {figure: metric(config).eval_sequence(data) for figure, metric in METRICS.items()}
    results["counts"] = {key: data[key] for key in ("num_gt_ids", "num_tracker_ids")}
    return results


def figures(results):
    """HOTA (mean over localisation thresholds), IDF1 and MOTA in percent, and identity switches."""
    hota, switches = results["HOTA"], results["MOTA"]["IDSW"]
    shown = {
        "HOTA": hota["HOTA"].mean(), "DetA": hota["DetA"].mean(), "AssA": hota["AssA"].mean(),
        "IDF1": results["IDF1"]["IDF1"], "MOTA": results["MOTA"]["MOTA"],
    }
    return " ".join(f"{100 * value:6.2f}" for value in shown.values()) + f" {int(switches):5d}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", type=pathlib.Path, help="folder of sequences")
    parser.add_argument("--tracker", default="pigweight track", help="program and leading arguments")
    parser.add_argument("--tracker-arguments", default="", help="further arguments, after the tracker's own")
    parser.add_argument("--offline", action="store_true", help="let the tracker look into the future")
    parser.add_argument("--whole", action="store_true", help="whole sequences, not their second halves")
    parser.add_argument("--benchmark", default="MOT17", choices=["MOT15", "MOT17", "MOT20"],
                        help="whose rules TrackEval filters the truth by")
    parser.add_argument("--only", nargs="*", help="names of sequences; all where absent")
    arguments = parser.parse_args()

    folders = [folder for folder in sorted(arguments.sequences.iterdir()) if (folder / "seqinfo.ini").is_file()]
    if arguments.only:
        folders = [folder for folder in folders if folder.name in arguments.only]
    if not folders:
        sys.exit(f"no sequences (folders with a seqinfo.ini) in {arguments.sequences}")

    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        runs = [track(arguments, folder, work) for folder in folders]
        tasks = [(work, arguments.benchmark, name, frames) for name, frames, _ in runs]
        with multiprocessing.Pool() as pool:
            results = pool.map(judge, tasks, chunksize=1)

    width = max(len(name) for name, _, _ in runs)
    print(f"{'':{width}}   HOTA   DetA   AssA   IDF1   MOTA  IDSW tracks(true)   ms/frame")
    for (name, frames, milliseconds), result in zip(runs, results):
        counts = result["counts"]
        ids = f"{counts['num_tracker_ids']:6d}({counts['num_gt_ids']})"
        print(f"{name:{width}} {figures(result)} {ids:>12} {milliseconds / frames:10.3f}")
    combined = {}
    with quiet():
        for figure, metric in METRICS.items():
            by_name = {name: result[figure] for (name, _, _), result in zip(runs, results)}
            combined[figure] = metric({"PRINT_CONFIG": False}).combine_sequences(by_name)
    per_frame = sum(milliseconds for _, _, milliseconds in runs) / sum(frames for _, frames, _ in runs)
    print(f"{'combined':{width}} {figures(combined)} {'':>12} {per_frame:10.3f}")


if __name__ == "__main__":
    main()
