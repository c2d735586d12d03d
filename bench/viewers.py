"""Twenty viewers of HTTP Live Streaming at once: the part `viewers` of bench/figures.py.

Each starts at another place of a five-minute video and plays in real time like a player: it buffers some seconds
ahead and requests the next segment when there is space. A picture that isn't there at its time is a stall.
"""

import http.client
import pathlib
import random
import re
import statistics
import threading
import time

from frames import RATE, known, make, pigweight, source

VIEWERS, WATCHED_SECS, AHEAD_SECS, VIDEO_SECS = 20, 40, 12, 300


class Viewer(threading.Thread):
    def __init__(self, port, address, pieces, first):
        super().__init__()
        self.port, self.address, self.pieces, self.first = port, address, pieces, first
        self.stalled_secs, self.times_ms, self.bytes, self.failure = 0.0, [], 0, None

    def run(self):
        try:
            self.watch()
        except Exception as failure:
            self.failure = failure

    def watch(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        begun, buffered = None, 0.0
        while buffered < WATCHED_SECS:
            if begun is not None:
                # Played segments leave the buffer.
                time.sleep(max(0.0, buffered - AHEAD_SECS - (time.perf_counter() - begun)))
            secs, name = self.pieces[(self.first + len(self.times_ms)) % len(self.pieces)]
            asked = time.perf_counter()
            connection.request("GET", f"{self.address}/{name}")
            answer = connection.getresponse()
            self.bytes += len(answer.read())
            if answer.status != 200:
                raise RuntimeError(f"{name}: {answer.status}")
            now = time.perf_counter()
            self.times_ms.append(1e3 * (now - asked))
            begun = begun or now
            late = now - begun - buffered
            if late > 0 and buffered > 0:
                self.stalled_secs += late
                begun += late
            buffered += secs


def measure(binary, table, folder):
    minute = folder / "minute.mp4"
    make(minute, [*source(60), "-f", "lavfi", "-i", "sine=frequency=440:duration=60", "-c:v", "libx264", "-preset", "veryfast",
                  "-b:v", "4M", "-g", "50", "-c:a", "aac", "-shortest"])
    (folder / "watched").mkdir()
    make(folder / "watched/pen.mp4", ["-stream_loop", str(VIDEO_SECS // 60 - 1), "-i", minute, "-c", "copy"])
    draw = random.Random(1)
    with pigweight(binary, folder / "watched", folder / "data-watched") as server:
        video = known(server, "pen.mp4")
        address = f"/api/video_file/stream_hls/{video['id']}"
        playlist = server.get(address)[1].decode()
        pieces = [(float(secs), name) for secs, name in re.findall(r"#EXTINF:([\d.]+),\n.*?/(\d+\.m4s)", playlist)]
        viewers = [Viewer(server.port, address, pieces, draw.randrange(len(pieces))) for _ in range(VIEWERS)]
        begun, before = time.perf_counter(), server.cpu_secs()
        for viewer in viewers:
            viewer.start()
        for viewer in viewers:
            viewer.join()
        secs, cpu = time.perf_counter() - begun, server.cpu_secs() - before
        failures = [viewer.failure for viewer in viewers if viewer.failure]
        if failures:
            raise failures[0]
        times = sorted(time for viewer in viewers for time in viewer.times_ms)
        stalled = [viewer.stalled_secs for viewer in viewers if viewer.stalled_secs > 0]
        rate = 8e-6 * sum(viewer.bytes for viewer in viewers) / secs
        table.add(f"{VIEWERS} viewers of HLS, 1080p{RATE}, {rate:.0f} Mbit/s",
                  f"{len(stalled)} stalled ({sum(stalled):.1f} s in all); {100 * cpu / secs:.0f} % of a core; a piece p50 "
                  f"{statistics.median(times):.0f} ms, p95 {times[int(0.95 * len(times))]:.0f} ms; {server.memory_mb():.0f} MB",
                  "no stall, <= 10 % of a core")
