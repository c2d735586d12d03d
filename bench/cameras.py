"""Cameras that fail, and ten of them for half an hour: the parts `faults` and `cameras` of bench/figures.py.

The cameras are GStreamer's RTSP server, which plays films in real time; a proxy between it and the server cuts and freezes its connections.
Viewers are aiortc's, in a process of their own (bench/viewer.py).
"""

import contextlib
import datetime
import json
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import threading
import time

from frames import Server, make

HERE = pathlib.Path(__file__).parent
CAMERAS, VIEWERS, INFERENCE_HZ, RATE = 10, 8, 2, 15
# A look every so often.
STEP_SECS = 0.05
PATIENCE_SECS = 60


@contextlib.contextmanager
def rtsp_server(films, *options):
    """GStreamer's RTSP server with films by name; gives its port."""
    command = ["/usr/bin/python3", HERE.parent / "fixtures/cameras/rtsp_server.py", *options, *(f"{name}={path}" for name, path in films.items())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline().split()[1])
        finally:
            process.stdin.close()
            process.wait()


def serving(binary, data, **settings):
    """With the built-in detector."""
    environment = ["env", *(f"PIGWEIGHT_{key.upper()}={value}" for key, value in settings.items())]
    return Server([*environment, binary, "serve", "--listen", "127.0.0.1:PORT", "--data", data], "/api/cameras")


def ask(server, method, path, body):
    server.connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
    answer = server.connection.getresponse()
    text = answer.read()
    assert answer.status < 300, (answer.status, text)
    return json.loads(text)


class Proxy:
    """Forwards to a port, and can cut all connections, refuse new ones, and hold back what the camera sends."""

    def __init__(self, port):
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.is_off, self.flows, self.sockets, self.lock = False, threading.Event(), set(), threading.Lock()
        self.flows.set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            incoming, _ = self.listener.accept()
            if self.is_off:
                incoming.close()
                continue
            outgoing = socket.create_connection(("127.0.0.1", self.to))
            with self.lock:
                self.sockets |= {incoming, outgoing}
            for one, other, is_held in ((incoming, outgoing, False), (outgoing, incoming, True)):
                threading.Thread(target=self.forward, args=(one, other, is_held), daemon=True).start()

    def forward(self, one, other, is_held):
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                if is_held:
                    self.flows.wait()
                other.sendall(data)
        self.end({one, other})

    def end(self, sockets):
        with self.lock:
            for ended in sockets & self.sockets:
                with contextlib.suppress(OSError):
                    ended.shutdown(socket.SHUT_RDWR)
                ended.close()
            self.sockets -= sockets

    def cut(self):
        self.is_off = True
        self.end(set(self.sockets))

    def freeze(self):
        self.flows.clear()

    def restore(self):
        # What was held back is lost: a camera that was frozen doesn't repeat itself.
        if not self.flows.is_set():
            self.end(set(self.sockets))
            self.flows.set()
        self.is_off = False


def held(server):
    """Descriptors, threads and MB of the server without its worker processes, and of all together."""
    process = pathlib.Path(f"/proc/{server.process.pid}")
    threads = int(re.search(r"^Threads:\s+(\d+)", (process / "status").read_text(), re.MULTILINE)[1])
    return len(list((process / "fd").iterdir())), threads, server.memory_mb()


def wait_for(condition):
    until = time.monotonic() + PATIENCE_SECS
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(STEP_SECS)
    raise TimeoutError(f"not within {PATIENCE_SECS} s")


def faults(binary, table, folder, rounds):
    """One camera that is cut and frozen in turn."""
    film = corridor(binary, folder, secs=3600)
    with rtsp_server({"pen": film}) as port, serving(binary, folder / "data-faults") as server:
        proxy = Proxy(port)
        id = ask(server, "POST", "/api/cameras", {"name": "Gate", "url": f"rtsp://127.0.0.1:{proxy.port}/pen"})["id"]

        def camera():
            return server.json(f"/api/cameras/{id}")

        def is_counted():
            now = camera()
            return now if now["count"]["state"] == "counted" else None

        video = wait_for(is_counted)["video"]
        created = created_at(camera())
        before, windows, back_secs = None, [], []
        for number in range(rounds):
            frames = wait_for(is_counted)["delivered"]["frames"]
            if number == min(10, rounds // 10):
                # The first ones fill caches and pools.
                before = held(server)
            begun = time.time()
            (proxy.cut if number % 2 == 0 else proxy.freeze)()
            wait_for(lambda: camera()["state"] != "live")
            proxy.restore()
            restored = time.time()
            wait_for(lambda: (now := camera())["state"] == "live" and now["delivered"]["frames"] > frames)
            back = time.time()
            back_secs.append(back - restored)
            windows.append((begun - created, back - created))
        # Two seconds of frames later, the last connection is torn down.
        frames = wait_for(is_counted)["delivered"]["frames"]
        wait_for(lambda: camera()["delivered"]["frames"] >= frames + 2 * RATE)
        after = held(server)
        table.add(f"{rounds} cuts and freezes of a camera: back after its return", f"{statistics.median(back_secs):.1f} s, at most {max(back_secs):.1f} s",
                  "<= 10 s")
        names = ("descriptors", "threads", "MB")
        told = ", ".join(f"{one:.0f} -> {other:.0f} {name}" for name, one, other in zip(names, before, after))
        table.add("the same: held before and after", told, "equal")
        gaps = [gap_edges(server, video, window) for window in windows]
        off = [abs(edge) for gap in gaps if gap for edge in gap]
        table.add("the same: gaps in the counts, against the faults",
                  f"{sum(gap is not None for gap in gaps)} of {rounds} gaps, edges {statistics.median(off):.1f} s off, at most {max(off):.1f} s", "all, <= 1 s")


def gap_edges(server, video, window):
    """How far the ends of the stretch without counts that covers most of a fault lie from those of the fault, seconds; None: half of it or more is counted."""
    begun, back = window
    counts = server.json(f"/api/videos/{video}/counts?from={max(0, begun - 10):.3f}&to={back + 10:.3f}&points=1000")
    secs = [point[0] for point in counts["points"]]

    def covered(gap):
        return min(gap[1], back) - max(gap[0], begun)

    gap = max(zip(secs, secs[1:]), key=covered)
    return (gap[0] - begun, gap[1] - back) if covered(gap) > (back - begun) / 2 else None


def created_at(camera):
    return datetime.datetime.fromisoformat(camera["created_at"]).timestamp()


def corridor(binary, folder, secs):
    """A drawn corridor of 720p15 with pigs, over and over, a keyframe every two seconds."""
    drawn, piece, film = folder / "drawn", folder / "piece.mp4", folder / f"corridor-{secs}.mp4"
    if not film.exists():
        subprocess.run([binary, "demo", "--secs", "60", drawn], check=True, stdout=subprocess.DEVNULL)
        make(piece, ["-i", str(drawn / "corridor.mp4"), "-an", "-vf", f"scale=1280:720,fps={RATE}", "-c:v", "libx264", "-preset", "veryfast", "-bf", "0",
                     "-b:v", "1M", "-g", str(2 * RATE), "-pix_fmt", "yuv420p"])
        make(film, ["-stream_loop", "-1", "-i", str(piece), "-t", str(secs), "-c", "copy"])
    return film


def ten(binary, table, folder, minutes):
    """Ten cameras that are analysed, and eight viewers."""
    film = corridor(binary, folder, secs=int(60 * minutes) + 600)
    names = [f"pen-{number}" for number in range(CAMERAS)]
    with rtsp_server({name: film for name in names}) as port, \
            serving(binary, folder / "data-cameras", detect__inference_hz=INFERENCE_HZ, recording__mode="marked") as server:
        ids = [ask(server, "POST", "/api/cameras", {"name": name, "url": f"rtsp://127.0.0.1:{port}/{name}", "test": False})["id"] for name in names]
        wait_for(lambda: all(camera["count"]["state"] == "counted" for camera in server.json("/api/cameras")))
        watched = [f"http://127.0.0.1:{server.port}/api/cameras/{id}/whep" for id in ids[:VIEWERS]]
        with subprocess.Popen([sys.executable, HERE / "viewer.py", "--secs", str(60 * minutes), *watched], stdout=subprocess.PIPE, text=True) as viewers:
            lag_secs, memory_mb, until = [], [], time.monotonic() + 60 * minutes
            while time.monotonic() < until:
                now, cameras = time.time(), server.json("/api/cameras")
                lag_secs.append(max(now - created_at(camera) - camera["count"]["t"] if camera["count"]["t"] is not None else PATIENCE_SECS
                                    for camera in cameras))
                memory_mb.append(server.memory_mb())
                time.sleep(5)
            shown = [json.loads(line) for line in viewers.stdout]
        half = len(lag_secs) // 2
        after = server.json("/api/cameras")
        frames = sum(camera["delivered"]["frames"] for camera in after)
        again = sum(camera["delivered"]["connections"] - 1 for camera in after)
        table.add(f"{CAMERAS} cameras of 720p{RATE}, {INFERENCE_HZ} inferences a second each, {VIEWERS} viewers, {minutes:g} minutes: the count behind now",
                  f"at most {max(lag_secs[:half]):.1f} s in the first half, {max(lag_secs[half:]):.1f} s in the second; median "
                  f"{statistics.median(lag_secs):.1f} s", "not growing")
        table.add("the same: memory of the server and its processes",
                  f"at most {max(memory_mb[:half]):.0f} MB in the first half, {max(memory_mb[half:]):.0f} MB in the second", "<= 500 MB, flat")
        table.add("the same: what arrived", f"{frames} frames, {again} reconnections; viewers got {sum(one['frames'] for one in shown)} frames, the longest "
                  f"pause was {max(one['longest_pause_secs'] for one in shown):.1f} s, {sum(not one['is_ended'] for one in shown)} of {VIEWERS} were served to the end",
                  "all to the end")
        assert len(shown) == VIEWERS, shown
