#!/usr/bin/env python3
"""Runs the measurements of bench/run.sh and writes their table.

    figures.py --binary target/release/pigweight --data DIR --out bench/out [--only speed schedule memory storage frames answers viewers page tracking]

Speeds are those of whole runs of both programs, which alternate so that other load affects both; the
figure is the median. PigWeight's run includes its start, loading the model, indexing and storing; the peer's starts
with the opened video.
"""

import argparse
import collections
import contextlib
import csv
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

import answers
import cameras
import frames
import live
import page
import viewers

HERE = pathlib.Path(__file__).parent


class Table:
    """Rows of figures by section, and what was skipped. A section is what one `--only` measures."""

    def __init__(self):
        self.sections, self.notes, self.section = {}, [], None

    def begin(self, section):
        self.section = section
        self.sections[section] = {"where": where(), "rows": []}

    def end(self):
        self.sections[self.section]["load"] = round(os.getloadavg()[1], 1)

    def add(self, what, figure, goal=""):
        self.sections[self.section]["rows"].append((what, figure, goal))
        print(f"bench: {what}: {figure}" + (f" (goal {goal})" if goal else ""), file=sys.stderr, flush=True)

    def skip(self, what, path):
        self.notes.append(f"Skipped: {what}, because {path} is not there (DATA_DIR names the folder).")
        print(f"bench: skipped {what}: {path} is not there", file=sys.stderr, flush=True)

    def keep(self, path):
        """Replaces the sections measured now in the file of all sections; returns all."""
        known = json.loads(path.read_text()) if path.exists() else {}
        known.update(self.sections)
        path.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
        return known


def markdown(sections, notes=()):
    """A page of figures: for each section the command that measures it, the machine and its load."""
    lines = ["# Figures", "", "`make figures` measures everything and writes this page. Machines are noisy: compare ratios of one section, not seconds of two."]
    for name, section in sections.items():
        rows = [("What", "Measured", "Goal"), *section["rows"]]
        lines += ["", f"## {name}", "", f"`bench/run.sh --only {name}`, {section['where']}; load of the last five minutes {section['load']}", ""]
        for number, row in enumerate(rows):
            lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
            if number == 0:
                lines.append("|---|---|---|")
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def where():
    return f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def run(command):
    """Runs a command; returns what it printed, its seconds, CPU seconds and peak memory in MB."""
    # A separate process for each run, because the peak of waited-for children only grows.
    command = [sys.executable, __file__, "--measure", *map(str, command)]
    measured = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    printed, measures = measured.stdout.splitlines()
    return json.loads(printed), *json.loads(measures)


def count(arguments, video, model, *options, **settings):
    variables = [f"PIGWEIGHT_{key.upper()}={value}" for key, value in settings.items()]
    return run(["env", *variables, arguments.binary, "count", video, "--model", model, "--json", *options])


def measure(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    secs = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps([secs, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6]))


def speed(arguments, table, video, model, folder):
    """Frames per second are what users see; CPU time per frame says as much on a machine that does other things too.

    The peer times its loop alone, without starting Python and loading the model. So that like stands beside like, what
    pigweight takes for a video of one frame is taken off; the rate of the whole process stands in a row of its own.

    The peer's model is given a square, of which a wide picture fills little more than half. pigweight leaves the rest out; what it does
    with the whole square is measured as well.
    """
    one_frame = folder / "one-frame.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", video, "-frames:v", "1", "-c:v", "libx264", one_frame], check=True)
    rates, cpu, took, starts = collections.defaultdict(list), collections.defaultdict(list), collections.defaultdict(list), []
    for _ in range(arguments.rounds):
        result, _, cpu_secs, _ = run([sys.executable, HERE / "python_pipeline.py", video, "--model", model])
        rates["peer"].append(result["frames_per_sec"])
        cpu["peer"].append(1e3 * cpu_secs / result["frames"])
        _, start_secs, _, _ = count(arguments, one_frame, model, "--every-frame")
        starts.append(start_secs)
        for name, options, settings in (("every", ["--every-frame"], {}), ("usual", [], {}), ("square", ["--every-frame"], {"detect__trim_border": "false"})):
            document, secs, cpu_secs, _ = count(arguments, video, model, *options, **settings)
            took[name].append((document["frames"] - 1, secs))
            rates[f"{name}, whole process"].append(document["frames"] / secs)
            cpu[name].append(1e3 * cpu_secs / document["frames"])
    # The shortest start: a slow one would make the rest seem faster than it is.
    for name, runs in took.items():
        rates[name] = [frames / (secs - min(starts)) for frames, secs in runs]
    rates = {name: statistics.median(values) for name, values in rates.items()}
    cpu = {name: statistics.median(values) for name, values in cpu.items()}
    shown = {"peer": "OpenCV + ONNX Runtime + ByteTrack in Python", "every": "pigweight count --every-frame",
             "square": "the same with the border of the square", "usual": "pigweight count"}
    for name, what in shown.items():
        table.add(f"{video.name}: {what}", f"{rates[name]:.1f} frames/s, {cpu[name]:.1f} ms CPU a frame")
    one, _, _, _ = run([sys.executable, HERE / "python_pipeline.py", video, "--model", model, "--inference-alone"])
    table.add("one inference of the square alone, on one core",
              f"{one['inference_ms']:.1f} ms CPU: {os.cpu_count()} cores can give {1e3 * os.cpu_count() / one['inference_ms']:.0f} frames/s")
    table.add("pigweight count --every-frame, start included", f"{rates['every, whole process']:.1f} frames/s")
    table.add("every frame, pigweight against the peer",
              f"{rates['every'] / rates['peer']:.2f} x frames/s; with the border {rates['square'] / rates['peer']:.2f} x", ">= 2.0")


def schedule(arguments, table, video, night, truth, model, folder):
    """What looking only where something moves gains, beside the peer on every frame, and what it changes.

    The pictures of the pen are a second apart in reality. In the moving scene the frames between them are made of their
    motion, 25 a second; the still one is a single picture with the noise of a sensor. Both are coded as recorders do, and the
    true counts are known on the pictures themselves. The corridor is drawn, its crossings are known.

    An unsure detector finds some animals in one inference of three. Whether such an animal is counted in one scene of half a minute
    is chance, with any schedule; so the count is also compared over five scenes by day and by night.
    """
    rate, first, secs = 25, 100, 40
    make = ["ffmpeg", "-v", "error", "-y"]
    encoding = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "28", "-g", "50", "-pix_fmt", "yuv420p"]
    still, moving, picture, one_frame = (folder / name for name in ("still.mp4", "moving.mp4", "still.png", "one.mp4"))
    start = ["-ss", str(first / 5)]
    subprocess.run([*make, *start, "-i", video, "-frames:v", "1", picture], check=True)
    subprocess.run([*make, "-loop", "1", "-framerate", str(rate), "-t", str(secs), "-i", picture,
                    "-vf", "noise=alls=6:allf=t", *encoding, still], check=True)
    make_moving(make, encoding, video, first, secs, rate, moving)
    subprocess.run([*make, "-i", picture, "-frames:v", "1", *encoding, one_frame], check=True)
    known = collections.Counter(int(row["frame"]) for row in csv.DictReader(truth.open()))
    scenes = (("still", still, 6, lambda frame: known[first]),
              ("moving", moving, 3, lambda frame: known[first + frame // rate] if frame % rate == 0 else None))
    for name, scene, goal, count_at in scenes:
        rates, took, starts = collections.defaultdict(list), [], []
        for _ in range(arguments.rounds):
            result, *_ = run([sys.executable, HERE / "python_pipeline.py", scene, "--model", model])
            rates["peer"].append(result["frames_per_sec"])
            _, start_secs, *_ = count(arguments, one_frame, model)
            usual, run_secs, *_ = count(arguments, scene, model)
            starts.append(start_secs)
            took.append((usual["frames"] - 1, run_secs))
        rates["usual"] = [frames / (secs - min(starts)) for frames, secs in took]
        every, *_ = count(arguments, scene, model, "--every-frame")
        rates = {of: statistics.median(values) for of, values in rates.items()}

        def error(document):
            return count_error(document, count_at)

        what = f"{name} pen, {usual['inferred']} of {usual['frames']} frames inferred"
        table.add(what, f"{rates['usual']:.0f} frames/s, {rates['usual'] / rates['peer']:.1f} x the peer on every frame", f">= {goal} x")
        table.add(f"{name} pen, mean absolute error of the count", f"{error(usual):.2f}, of every frame {error(every):.2f} pigs", "within 0.1")
    five_scenes(arguments, table, [video, night], (make, encoding, rate), folder)
    drawn = folder / "drawn"
    subprocess.run([arguments.binary, "demo", "--marked", "--secs", "60", "--seed", "4", drawn], check=True, capture_output=True)
    line = ["--line", "320,360,320,0"]
    model = next(drawn.glob("*.onnx"))
    usual, *_ = count(arguments, drawn / "corridor.mp4", model, *line)
    every, *_ = count(arguments, drawn / "corridor.mp4", model, *line, "--every-frame")
    rows = [row.split(",") for row in (drawn / "corridor.crossings.csv").read_text().splitlines()[1:]]
    known = [(direction, float(secs)) for secs, direction, _ in rows]
    told = [[(crossing["direction"], crossing["secs"]) for crossing in document["crossings"]] for document in (usual, every)]
    missed = [unpaired(known, crossings) for crossings in told]
    same = "each is the true one" if missed == [(0, 0), (0, 0)] else "; ".join(
        f"{name}: {lacking} missed, {spare} too many" for name, (lacking, spare) in zip(("by the schedule", "every frame"), missed))
    table.add(f"drawn corridor, {usual['inferred']} of {usual['frames']} frames inferred: crossings",
              f"{len(told[0])}, of every frame {len(told[1])}, true {len(known)}: {same}", "each is the true one")


def make_moving(make, encoding, video, first, secs, rate, path):
    """`secs` of a film in which the pictures of a video, from number `first` on, are a second apart and their motion lies between them."""
    subprocess.run([*make, "-ss", str(first / 5), "-t", str(secs / 5), "-i", video, "-vf",
                    f"setpts=5*PTS,minterpolate=fps={rate}:mi_mode=mci:me_mode=bidir:scd=none", *encoding, path], check=True)


def count_error(document, count_at):
    """The mean absolute error of a document's counts; `count_at` is the true one of a frame, or None where it isn't known."""
    pairs = ((entry[1], count_at(frame)) for frame, entry in enumerate(document["series"]))
    return statistics.mean(abs(counted - true) for counted, true in pairs if true is not None)


def five_scenes(arguments, table, videos, making, folder):
    """What the schedule changes in five moving scenes, for the peer's detector and for the built-in one."""
    make, encoding, rate = making
    model = arguments.data / "models/pig-yolox-nano-416.onnx"
    errors = collections.defaultdict(list)
    for video, first in [(videos[0], 0), (videos[0], 100), (videos[0], 200), (videos[1], 50), (videos[1], 200)]:
        scene = folder / "scene.mp4"
        make_moving(make, encoding, video, first, 30, rate, scene)
        known = collections.Counter(int(row["frame"]) for row in csv.DictReader(video.with_suffix(".boxes.csv").open()))
        for detector, chosen in (("YOLOX-nano 416", ["--model", model]), ("the built-in detector", [])):
            for way, options in (("usual", []), ("every", ["--every-frame"])):
                document, *_ = run([arguments.binary, "count", scene, "--json", *chosen, *options])
                error = count_error(document, lambda frame: known[first + frame // rate] if frame % rate == 0 else None)
                errors[detector, way].append(error)
    for detector in ("YOLOX-nano 416", "the built-in detector"):
        usual, every = (errors[detector, way] for way in ("usual", "every"))
        differences = [one - other for one, other in zip(usual, every)]
        what = f"five moving scenes, {detector}: mean absolute error of the count"
        table.add(what, f"{statistics.mean(usual):.2f}, of every frame {statistics.mean(every):.2f} pigs", "within 0.1")
        table.add(f"{what}, by the schedule less of every frame, by scene", ", ".join(f"{one:+.2f}" for one in differences))


def unpaired(known, told, within_secs=1.0):
    """Numbers of missed and of surplus crossings. A crossing may be paired with one of its direction nearby in time."""
    left = list(told)
    missed = 0
    for direction, secs in known:
        near = [found for found in left if found[0] == direction and abs(found[1] - secs) <= within_secs]
        if near:
            left.remove(min(near, key=lambda found: abs(found[1] - secs)))
        else:
            missed += 1
    return missed, len(left)


def memory(arguments, table, model, folder):
    """On test-pattern videos, with the default schedule (by motion)."""
    peaks = []
    for minutes in arguments.minutes:
        video = folder / f"{minutes}-minutes-1080p.mp4"
        source = f"testsrc2=size=1920x1080:rate=25:duration={60 * minutes}"
        encoding = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, *encoding, video], check=True)
        document, secs, _, peak_mb = count(arguments, video, model)
        video.unlink()
        peaks.append(peak_mb)
        what = f"peak memory, {minutes} min of 1080p, {document['frames'] / secs:.0f} frames/s"
        table.add(what, f"{peak_mb:.0f} MB", "<= 350 MB")
    table.add("the longest against the shortest", f"{peaks[-1] - peaks[0]:+.0f} MB", "no higher")


def storage(arguments, table, videos, model, folder):
    for video in videos:
        data = folder / f"data-{video.stem}"
        count(arguments, video, model, "--every-frame", "--data", str(data))
        with contextlib.closing(sqlite3.connect(data / "pigweight.sqlite")) as store:
            size_bytes, boxes = store.execute("select sum(length(data)), sum(boxes) from detection_chunks").fetchone()
        table.add(f"{video.name}: stored tracks, {boxes} boxes", f"{size_bytes / boxes:.1f} bytes a box", "<= 4")
    example = arguments.binary.parent / "examples/long_recording"
    if not example.exists():
        table.skip("a recording of ten hours", example)
        return
    read, *_ = run([example, folder / "data-long"])
    what = f"ten hours, {read['boxes'] / 1e6:.0f} million boxes"
    table.add(f"{what}: all that is stored", f"{read['bytes_a_box']:.1f} bytes a box, written in {read['write_secs']:.0f} s")
    table.add(f"{what}: any ten seconds, {read['boxes_a_window']} boxes", f"p50 {read['window_ms']['p50']:.1f} ms, p95 {read['window_ms']['p95']:.1f} ms", "<= 5 ms")
    table.add(f"{what}: the curve of any range at 1,000 points", f"p50 {read['curve_ms']['p50']:.1f} ms, p95 {read['curve_ms']['p95']:.1f} ms", "<= 10 ms")


# Goals for HOTA, online and offline: on all seven sequences of MOT17, and on the three that are usually available.
HOTA_GOALS = {7: ("68.3", "69.4"), 3: ("54.6", "57.2")}


def tracking(arguments, table, sequences):
    number = sum((folder / "seqinfo.ini").is_file() for folder in sequences.iterdir())
    for place, options in enumerate(([], ["--offline"])):
        command = [sys.executable, HERE / "tracking/evaluate.py", sequences, *options]
        command += ["--tracker", f"{arguments.binary} track"]
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        hota, _, _, idf1, mota, switches, per_frame = shown.splitlines()[-1].split()[1:]
        what = f"MOT17, second halves of {number} sequences, " + ("offline" if options else "online")
        goal = f"HOTA >= {HOTA_GOALS[number][place]}" if number in HOTA_GOALS else ""
        table.add(what, f"HOTA {hota}, IDF1 {idf1}, MOTA {mota}, {switches} switches", goal)
        table.add(f"{what}, without the start", f"{float(per_frame):.3f} ms a frame", "<= 0.1 ms")


def main():
    if sys.argv[1:2] == ["--measure"]:
        return measure(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--soak-minutes", type=float, default=30, help="about how long `soak` takes")
    parser.add_argument("--faults", type=int, default=200, help="cuts and freezes of `faults`, in turn")
    names = ["speed", "schedule", "memory", "storage", "frames", "answers", "viewers", "page", "live", "tracking"]
    parser.add_argument("--only", nargs="*", choices=[*names, "soak", "faults", "cameras"], default=names)
    parser.add_argument("--write", type=pathlib.Path, help="also write all sections, those of earlier calls too, to this page")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each program whose speeds are compared")
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 10], help="lengths of the videos of `memory`")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    table = Table()
    video, model = arguments.data / "videos/pen-day.mp4", arguments.data / "models/pig-yolox-nano-416.onnx"
    boxes = video.with_suffix(".boxes.csv")
    sequences = arguments.data / "tracking/mot17"
    chromium = pathlib.Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
    recordings = [video, arguments.data / "videos/sows.mp4"]
    night = arguments.data / "videos/pen-night.mp4"
    needs = {"speed": [video, model], "schedule": [video, boxes, night, night.with_suffix(".boxes.csv"), model], "memory": [model], "storage": [*recordings, model], "frames": [], "answers": [model], "viewers": [], "live": [], "soak": [model], "faults": [], "cameras": [], "page": [chromium], "tracking": [sequences]}
    with tempfile.TemporaryDirectory(dir=arguments.out) as folder:
        folder = pathlib.Path(folder)
        steps = {
            "speed": lambda: speed(arguments, table, video, model, folder),
            "schedule": lambda: schedule(arguments, table, video, night, boxes, model, folder),
            "memory": lambda: memory(arguments, table, model, folder),
            "storage": lambda: storage(arguments, table, recordings, model, folder),
            "frames": lambda: frames.measure(arguments.binary, table, folder),
            "answers": lambda: answers.measure(arguments.binary, model, table, folder),
            # Videos are read as fast as possible: about twice real time for ten of them.
            "soak": lambda: answers.streams(arguments.binary, model, table, folder, int(120 * arguments.soak_minutes)),
            "faults": lambda: cameras.faults(arguments.binary, table, folder, arguments.faults),
            "cameras": lambda: cameras.ten(arguments.binary, table, folder, arguments.soak_minutes),
            "live": lambda: live.measure(arguments.binary, table, folder),
            "viewers": lambda: viewers.measure(arguments.binary, table, folder),
            "page": lambda: page.measure(arguments.binary, table, folder),
            "tracking": lambda: tracking(arguments, table, sequences),
        }
        for name in arguments.only:
            missing = next((path for path in needs[name] if not path.exists()), None)
            if missing:
                table.skip(name, missing)
            else:
                table.begin(name)
                steps[name]()
                table.end()
                # At once: what fails later must not take with it what was measured.
                table.keep(arguments.out / "figures.json")
    sections = table.keep(arguments.out / "figures.json")
    text = markdown({name: sections[name] for name in table.sections}, table.notes)
    print(text, end="")
    if arguments.write:
        arguments.write.write_text(markdown(sections, table.notes))


if __name__ == "__main__":
    main()
