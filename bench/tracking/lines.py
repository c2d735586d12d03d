#!/usr/bin/env python3
"""How far counts at lines are off, because tracks are: the tracker's tracks against the true ones, same rule.

    lines.py SEQUENCES --tracker "target/release/pigweight track" --crossings target/release/examples/crossings

Each sequence (layout as for evaluate.py) gets LINES upright and as many level lines. Printed: true crossings, the
sum over lines and directions of |counted - true| as a share of them, the same for the net, and recall and
precision of single crossings, one to one, same direction, within half a second.
"""

import argparse
import collections
import configparser
import pathlib
import shlex
import subprocess
import tempfile

WITHIN_SECS = 0.5


def crossings(arguments, tracks, info, company):
    """The crossings of a file of tracks: seconds by (line, direction)."""
    command = [arguments.crossings, tracks, info["frameRate"], info["imWidth"], info["imHeight"]]
    command += [str(arguments.lines), company]
    rows = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = collections.defaultdict(list)
    for line, direction, secs, _ in (row.split(",") for row in rows):
        found[line, direction].append(float(secs))
    return found


def one_to_one(true, counted):
    """How many of two lists of moments pair up, taken in order."""
    true, counted, pairs, first = sorted(true), sorted(counted), 0, 0
    for secs in true:
        while first < len(counted) and counted[first] < secs - WITHIN_SECS:
            first += 1
        if first < len(counted) and counted[first] <= secs + WITHIN_SECS:
            pairs, first = pairs + 1, first + 1
    return pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", type=pathlib.Path, help="folder of sequences")
    parser.add_argument("--tracker", default="pigweight track", help="program and leading arguments")
    parser.add_argument("--tracker-arguments", default="", help="further arguments, after the tracker's own")
    parser.add_argument("--offline", action="store_true", help="let the tracker look into the future")
    parser.add_argument("--benchmark", default="MOT17", choices=["MOT15", "MOT17", "MOT20"],
                        help="MOT15 gives no classes")
    parser.add_argument("--only", nargs="*", help="names of sequences; all where absent")
    parser.add_argument("--crossings", required=True, help="the built example of pigweight-core")
    parser.add_argument("--lines", type=int, default=7, help="lines of each kind")
    arguments = parser.parse_args()

    sums = collections.Counter()
    print(f"{'':16} true  error    net  recall precision")
    for folder in sorted(arguments.sequences.iterdir()):
        if not (folder / "seqinfo.ini").is_file() or (arguments.only and folder.name not in arguments.only):
            continue
        ini = configparser.ConfigParser()
        ini.optionxform = str
        ini.read(folder / "seqinfo.ini")
        info = ini["Sequence"]
        with tempfile.TemporaryDirectory() as work:
            true_tracks, tracks = pathlib.Path(work) / "true.txt", pathlib.Path(work) / "tracks.txt"
            rows = [row.split(",") for row in (folder / "gt.txt").read_text().splitlines()]
            # Only what counts in MOTChallenge: marked, and a walking person where classes are given.
            rows = [row for row in rows if float(row[6]) > 0 and (arguments.benchmark == "MOT15" or row[7] == "1")]
            true_tracks.write_text("\n".join(",".join(row) for row in rows))
            (detections,) = folder.glob("det*.txt")
            command = [*shlex.split(arguments.tracker), "--mot", detections, "--fps", info["frameRate"], "--out", tracks]
            command += ["--offline"] * arguments.offline + shlex.split(arguments.tracker_arguments)
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            true = crossings(arguments, true_tracks, info, "alone")
            counted = crossings(arguments, tracks, info, "together")
        result = collections.Counter()
        for key in sorted(true.keys() | counted.keys()):
            result["true"] += len(true[key])
            result["counted"] += len(counted[key])
            result["error"] += abs(len(true[key]) - len(counted[key]))
            result["pairs"] += one_to_one(true[key], counted[key])
        for line in sorted({line for line, _ in true.keys() | counted.keys()}):
            net = [len(found[line, "forward"]) - len(found[line, "backward"]) for found in (true, counted)]
            result["net"] += abs(net[0] - net[1])
        show(folder.name, result)
        sums.update(result)
    show("all", sums)


def show(name, result):
    true, counted = max(result["true"], 1), max(result["counted"], 1)
    shares = [result["error"] / true, result["net"] / true, result["pairs"] / true, result["pairs"] / counted]
    print(f"{name:16} {result['true']:4d} " + " ".join(f"{100 * share:6.1f}" for share in shares))


if __name__ == "__main__":
    main()
