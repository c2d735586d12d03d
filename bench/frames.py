"""Single frames over HTTP compared with OpenCV and FastAPI, PyAV and ffmpeg, in one run, on the same files: the part `frames` of bench/figures.py.

Every frame carries its number as a bar code, which is read from each response, so wrong frames are reported.
Requests alternate between all programs, so that other load affects all. PyAV runs within this process and makes no JPEG, which saves it 6 ms and
more; ffmpeg is started for each frame, as scripts do.
"""

import http.client
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import time
import pathlib

import av
import cv2
import numpy

HERE = pathlib.Path(__file__).parent
BLOCK_PX, BITS, RATE = 48, 13, 25
# The shortest time a person views a frame before requesting another.
LOOK_SECS = 0.15


def source(secs, rate=RATE, size="1920x1080"):
    """A test pattern with noise like a cheap camera's, and the number of each frame along the top."""
    block = BLOCK_PX * int(size.split("x")[0]) // 1920
    bars = "".join(f",drawbox=x={bit * block}:y=0:w={block}:h={block}:color=white:t=fill:"
                   f"enable='gte(mod(n,{2 << bit}),{1 << bit})'" for bit in range(BITS))
    black = f",drawbox=x=0:y=0:w={BITS * block}:h={block}:color=black:t=fill"
    return ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={secs},noise=alls=8:allf=t,format=yuv420p{black}{bars}"]


def make(path, arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, str(path)], check=True)


def number(jpeg):
    """The frame number in a picture of any size; None if it is no picture."""
    pixels = cv2.imdecode(numpy.frombuffer(jpeg, "u1"), cv2.IMREAD_GRAYSCALE)
    return None if pixels is None else bar_code(pixels)


def bar_code(pixels):
    block = BLOCK_PX * pixels.shape[1] / 1920
    return sum(1 << bit for bit in range(BITS) if pixels[int(block / 2), int((bit + 0.5) * block)] > 128)


class PyAV:
    """An exact seek as its users write it: to the keyframe before, then decode up to the frame; with its default number of threads."""

    def __init__(self, path):
        self.container = av.open(str(path))
        self.stream = self.container.streams.video[0]
        self.stream.thread_type = "AUTO"
        self.first = self.stream.start_time or 0

    def frame(self, wanted):
        pts = self.first + round(wanted / RATE / self.stream.time_base)
        self.container.seek(pts, stream=self.stream)
        return next(frame for frame in self.container.decode(self.stream) if frame.pts >= pts)

    def ask(self, wanted):
        """The number of the returned frame, and the time in ms."""
        start = time.perf_counter()
        frame = self.frame(wanted)
        ms = 1e3 * (time.perf_counter() - start)
        return bar_code(frame.to_ndarray(format="gray")), ms


def ffmpeg(path, wanted):
    """The same, with a process for each frame. It returns the first frame that does not begin before the requested moment."""
    start = time.perf_counter()
    command = ["ffmpeg", "-v", "error", "-ss", str(max(0, wanted - 0.5) / RATE), "-i", str(path), "-frames:v", "1", "-q:v", "4", "-f", "mjpeg", "-"]
    jpeg = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return number(jpeg), 1e3 * (time.perf_counter() - start)


class Server:
    """A program that listens on its own port until the end of the block."""

    def __init__(self, command, ready):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen([str(part).replace("PORT", str(self.port)) for part in command], stdout=subprocess.DEVNULL)
        self.ready = ready

    def __enter__(self):
        while True:
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port)
                self.get(self.ready)
                return self
            except ConnectionRefusedError:
                if self.process.poll() is not None:
                    sys.exit(f"{self.process.args[0]} ended with {self.process.returncode} before it listened: {' '.join(self.process.args)}")
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def get(self, path):
        """The response and its time in ms."""
        for is_last in (False, True):
            start = time.perf_counter()
            try:
                self.connection.request("GET", path)
                answer = self.connection.getresponse()
                break
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # Servers close connections that were idle for long: the next one is opened on a new connection.
                self.connection.close()
                if is_last:
                    raise
        body = answer.read()
        return answer, body, 1e3 * (time.perf_counter() - start)

    def json(self, path):
        return json.loads(self.get(path)[1])

    def memory_mb(self):
        """Proportional set size of the server and its worker processes: shared memory is divided among those that share it."""
        held = []
        for process in [self.process.pid, *self.children()]:
            try:
                held += re.findall(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
            except (FileNotFoundError, ProcessLookupError):
                pass  # It has ended meanwhile, and holds nothing.
        return sum(map(int, held)) * 1024 / 1e6

    def cpu_secs(self):
        """Of all processes, including those that have ended."""
        def ticks(process, *fields):
            stat = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            return sum(int(stat[field]) for field in fields)

        own = ticks(self.process.pid, 11, 12, 13, 14)
        return (own + sum(ticks(child, 11, 12) for child in self.children())) / os.sysconf("SC_CLK_TCK")

    def children(self):
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [child for task in tasks for child in task.read_text().split()]


def pigweight(binary, videos, data, disk_gb=0):
    """Without a detector: only frames are measured here."""
    environment = ["env", f"PIGWEIGHT_PREVIEW__DISK_GB={disk_gb}", "ORT_DYLIB_PATH=/nowhere/libonnxruntime.so"]
    return Server([*environment, binary, "serve", "--listen", "127.0.0.1:PORT", "--videos", videos, "--data", data], "/api/videos")


def known(server, name, done=lambda video: video["index"] == "ready"):
    while True:
        video = next((video for video in server.json("/api/videos") if video["name"] == name), None)
        if video and done(video):
            return video
        time.sleep(0.02)


def told(times):
    cuts = statistics.quantiles(times, n=20)
    return f"p50 {statistics.median(times):.0f} ms, p95 {cuts[18]:.0f} ms"


def against_the_peer(binary, table, folder, draw):
    secs, asks = 60, 40
    for gop in (50, 250):
        make(folder / f"gop{gop}.mp4", [*source(secs), "-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M", "-g", str(gop),
                                        "-keyint_min", str(gop), "-sc_threshold", "0", "-bf", "2"])
    # Like cameras that drop frames: the remaining frames keep their times.
    make(folder / "vfr.mp4", ["-i", str(folder / "gop50.mp4"), "-t", "20", "-vf", "select='gt(mod(n,7),1)'", "-fps_mode", "vfr",
                              "-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M", "-g", "50"])
    peer = Server([sys.executable, HERE / "opencv_server.py", "PORT", folder], "/frame/gop50.mp4?t=0")
    with pigweight(binary, folder, folder / "data") as ours, peer:
        for name, goals in (("gop50.mp4", (">= 3", ">= 10")), ("gop250.mp4", (">= 1.3", ""))):
            video_id, pyav = known(ours, name)["id"], PyAV(folder / name)

            def over_http(server, path):
                def ask(wanted):
                    _, body, ms = server.get(f"{path}{(wanted + 0.5) / RATE}")
                    return number(body), ms
                return ask

            peers = {"pigweight": over_http(ours, f"/api/video_file/frame_optimized?id={video_id}&inference=false&t="),
                     "OpenCV + FastAPI": over_http(peer, f"/frame/{name}?t="), "PyAV": pyav.ask,
                     "ffmpeg": lambda wanted: ffmpeg(folder / name, wanted)}
            first, second, wrong = ({who: [] for who in peers}, {who: [] for who in peers}, dict.fromkeys(peers, 0))
            for _ in range(asks):
                frame = draw.randrange(secs * RATE - 30)
                beside = frame + draw.randrange(2, 20)
                for who, ask in peers.items():
                    for times, wanted in ((first, frame), (second, beside)):
                        came, ms = ask(wanted)
                        times[who].append(ms)
                        wrong[who] += came != wanted
                        # People take at least this long between two frames.
                        time.sleep(LOOK_SECS)
            for who in peers:
                table.add(f"1080p {name[:-4]}, random frame: {who}", f"{told(first[who])}; {wrong[who]} of {2 * asks} another frame")
                table.add(f"1080p {name[:-4]}, another of the same second: {who}", told(second[who]))
            for times, what, goal in ((first, "random frame", goals[0]), (second, "another of the same second", goals[1])):
                ratios = {who: statistics.median(ms) / statistics.median(times["pigweight"]) for who, ms in times.items()}
                shown = ", ".join(f"{ratios[who]:.1f} x {who}" for who in list(peers)[1:])
                table.add(f"1080p {name[:-4]}, {what}: pigweight against its peers, p50", shown, goal and f"{goal} x OpenCV + FastAPI")
        video_id = known(ours, "gop250.mp4")["id"]
        times = [ours.get(f"/api/video_file/frame_optimized?id={video_id}&t={draw.uniform(0, secs - 1)}&mode=nearest&quality=79")[2]
                 for _ in range(asks)]
        table.add("1080p gop250, nearest keyframe", told(times), "<= 40 ms")
        encode = re.findall(r"pigweight_frame_encode_seconds_(sum|count) ([\d.e-]+)", ours.get("/metrics")[1].decode())
        encode = {name: float(value) for name, value in encode}
        table.add("1080p JPEG, quality 80", f"{1e3 * encode['sum'] / encode['count']:.1f} ms", "<= 6 ms")
        index = ours.json(f"/api/videos/{known(ours, 'vfr.mp4')['id']}/index")
        pts = [index["first_pts"]]
        for distance, count in index["runs"]:
            last = pts[-1]
            pts.extend(last + distance * (step + 1) for step in range(count))
        right = {"ours": 0, "peer": 0}
        kept = [n for n in range(20 * RATE) if n % 7 > 1]
        for place in draw.sample(range(len(pts) - 1), asks):
            begin, end = ((pts[place + step] - pts[0]) * index["time_base"][0] / index["time_base"][1] for step in (0, 1))
            t = (begin + end) / 2
            for who, (server, path) in {"ours": (ours, f"/api/video_file/frame_optimized?id={known(ours, 'vfr.mp4')['id']}&t={t}&inference=false"),
                                        "peer": (peer, f"/frame/vfr.mp4?t={t}")}.items():
                right[who] += number(server.get(path)[1]) == kept[place]
        table.add("variable frame rate, right frames", f"pigweight {right['ours']}, OpenCV {right['peer']} of {asks}", f"{asks} of {asks}")


def small_pictures(binary, table, folder, draw):
    secs = 60
    (folder / "one").mkdir()
    os.link(folder / "gop50.mp4", folder / "one/gop50.mp4")
    start = time.perf_counter()
    with pigweight(binary, folder / "one", folder / "data-small", disk_gb=20) as ours:
        video = known(ours, "gop50.mp4", lambda video: video["preview"]["frames"] == secs * RATE and video["preview"]["sprites"])
        took = time.perf_counter() - start
        table.add("1080p, background pass (index, thumbnails, small pictures)", f"{secs / took:.1f} x real time", ">= 4")
        size = (folder / "data-small/previews" / video["id"] / "frames.jpegs").stat().st_size
        table.add("small pictures", f"{size / secs / RATE / 1e3:.1f} kB a frame, {size / secs * 3600 / 1e9:.1f} GB an hour")
        times, wrong = [], 0
        index = ours.json(f"/api/videos/{video['id']}/index")
        ticks = index["runs"][0][0]
        for _ in range(500):
            frame = draw.randrange(secs * RATE)
            _, body, ms = ours.get(f"/api/videos/{video['id']}/preview/frame?pts={index['first_pts'] + frame * ticks}")
            times.append(ms)
            wrong += number(body) != frame
        cuts = statistics.quantiles(times, n=20)
        table.add("exact small picture over HTTP", f"p50 {statistics.median(times):.1f} ms, p95 {cuts[18]:.1f} ms; {wrong} of 500 another frame", "p95 <= 10 ms")


def large(binary, table, folder, draw):
    """An mp4 of 10 GB that repeats the same minute."""
    (folder / "large").mkdir()
    path = folder / "large/large.mp4"
    loops = int(10e9 / (folder / "gop50.mp4").stat().st_size)
    make(path, ["-stream_loop", str(loops), "-i", str(folder / "gop50.mp4"), "-c", "copy"])
    secs = 60 * (loops + 1)
    with pigweight(binary, folder / "large", folder / "data-large") as ours:
        start = time.perf_counter()
        video_id = known(ours, "large.mp4")["id"]
        table.add(f"{path.stat().st_size / 1e9:.1f} GB mp4: indexed", f"{time.perf_counter() - start:.1f} s after the start", "<= 0.5 s")
        # The same frames of the repeated minute, alternating: only their position in the file differs.
        times = {0.01: [], 0.5: [], 0.99: []}
        for _ in range(40):
            within = draw.uniform(0, 60)
            for share, ms in times.items():
                t = 60 * int(share * secs / 60) + within
                ms.append(ours.get(f"/api/video_file/frame_optimized?id={video_id}&t={t}")[2])
        medians = {share: statistics.median(ms) for share, ms in times.items()}
        text = ", ".join(f"{100 * share:.0f} %: {ms:.0f} ms" for share, ms in medians.items())
        table.add("the same, frames at", text, "within 1.2 x")
        before, asks = ours.memory_mb(), 500
        for _ in range(asks):
            ours.get(f"/api/video_file/frame_optimized?id={video_id}&t={draw.uniform(0, secs - 1)}")
        table.add(f"the same, memory before and after {asks} random frames", f"{before:.0f} MB, {ours.memory_mb():.0f} MB", "<= 250 MB, flat")
    for kind in ("mkv", "ts"):
        scanned(binary, table, path, secs, kind, draw)
    path.unlink()


def scanned(binary, table, mp4, secs, kind, draw):
    """The same in a container that must be read from end to end; frames are requested meanwhile."""
    folder = mp4.parent / kind
    folder.mkdir()
    path = folder / f"large.{kind}"
    make(path, ["-i", str(mp4), "-c", "copy", *(["-f", "mpegts"] if kind == "ts" else [])])
    with pigweight(binary, folder, folder / "data") as ours:
        start = time.perf_counter()
        video_id = known(ours, path.name, lambda video: video["index"] in ("growing", "ready"))["id"]
        usable = time.perf_counter() - start
        part = ours.json(f"/api/videos/{video_id}/index")
        # Not the last known frame: only the next one tells its duration.
        frame = draw.randrange(part["frames"] - 1)
        t = (frame + 0.5) / RATE
        _, body, ms = ours.get(f"/api/video_file/frame_optimized?id={video_id}&t={t}")
        right = number(body) == frame % (60 * RATE)
        known(ours, path.name)
        whole = time.perf_counter() - start
        table.add(f"{path.stat().st_size / 1e9:.1f} GB {kind}: usable", f"{usable:.1f} s after the start, with {part['frames']} frames; "
                  f"a frame of them in {ms:.0f} ms, {'the right one' if right else 'another one'}", "at once")
        wrong = 0
        for _ in range(20):
            frame = draw.randrange(secs * RATE)
            wrong += number(ours.get(f"/api/video_file/frame_optimized?id={video_id}&t={(frame + 0.5) / RATE}")[1]) != frame % (60 * RATE)
        table.add("the same: all of it", f"{whole:.1f} s after the start; {wrong} of 20 another frame", "exact")
    path.unlink()


def measure(binary, table, folder):
    draw = random.Random(1)
    against_the_peer(binary, table, folder, draw)
    small_pictures(binary, table, folder, draw)
    large(binary, table, folder, draw)
