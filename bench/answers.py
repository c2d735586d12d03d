"""Latency for viewers while videos are analysed: the part `answers` of bench/figures.py.

Counts at a moment that was analysed and at one that wasn't; frames of one video with and without others being analysed; ten videos
analysed at once, and the memory that takes. Uses the detector that `model` names.
"""

import json
import os
import random
import re
import statistics
import time

from frames import LOOK_SECS, RATE, Server, known, make, source

# Streams that are analysed at once, and inferences a second of each.
STREAMS, LOOKS_PER_SEC = 10, 2


def serving(binary, model, videos, data, **settings):
    environment = ["env", *(f"PIGWEIGHT_{key.upper()}={value}" for key, value in settings.items())]
    return Server([*environment, binary, "serve", "--listen", "127.0.0.1:PORT", "--videos", videos, "--data", data, "--model", model], "/api/videos")


def ended(video):
    return video["run"] is not None and video["run"]["state"] in ("done", "failed")


def sums(server):
    """Sum and count of every histogram in seconds."""
    found = re.findall(r"^(\w+)_(sum|count)(?:\{[^}]*\})? ([\d.e+-]+)$", server.get("/metrics")[1].decode(), re.MULTILINE)
    totals = {}
    for name, kind, value in found:
        totals[name, kind] = totals.get((name, kind), 0.0) + float(value)
    return totals


def p95(times):
    return statistics.quantiles(times, n=20)[18]


def counts(binary, model, table, folder, draw):
    """Counts of a one-minute video, before and after it is analysed."""
    secs, asks = 60, 100
    videos = folder / "counted"
    videos.mkdir()
    make(videos / "pen.mp4", [*source(secs, size="640x360"), "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2"])
    with serving(binary, model, videos, folder / "data-counted", detect__looks_per_sec=LOOKS_PER_SEC, preview__disk_gb=0) as server:
        video_id = known(server, "pen.mp4")["id"]
        server.connection.request("PUT", f"/api/videos/{video_id}/work", '{"paused": true}', {"Content-Type": "application/json"})
        server.connection.getresponse().read()
        counted_to = server.json("/api/videos")[0]["run"]
        first = counted_to["counted_to_secs"] + 1 if counted_to else 0
        address = f"/api/video_file/count_at_time?id={video_id}&t="
        # Leaves out inferences and sessions that the background had already started.
        looked = None
        while (now := sums(server).get(("pigweight_inference_seconds", "count"), 0)) != looked:
            looked = now
            time.sleep(0.5)
        server.get(f"{address}{first}")
        before, times = sums(server), []
        for _ in range(asks):
            _, body, ms = server.get(f"{address}{draw.uniform(first, secs - 1)}")
            answer = json.loads(body)
            assert answer["state"] == "counted", answer
            # The same frame twice comes from the cache.
            if not answer["cached"]:
                times.append(ms)
        after = sums(server)

        def mean_ms(name):
            spent, number = (after.get((name, kind), 0.0) - before.get((name, kind), 0.0) for kind in ("sum", "count"))
            return 1e3 * spent / number if number else 0.0

        work = sum(mean_ms(f"pigweight_frame_{step}_seconds") for step in ("seek", "decode")) + mean_ms("pigweight_inference_seconds")
        rest = statistics.mean(times) - work
        table.add("count of a moment that is not analysed: beyond its decoding and inference",
                  f"{rest:.1f} ms of {statistics.mean(times):.1f} ms", "<= 10 ms")
        server.connection.request("PUT", f"/api/videos/{video_id}/work", '{"paused": false}', {"Content-Type": "application/json"})
        server.connection.getresponse().read()
        known(server, "pen.mp4", ended)
        times = [server.get(f"{address}{draw.uniform(0, secs - 1)}")[2] for _ in range(5 * asks)]
        table.add("count of a moment that is analysed", f"p50 {statistics.median(times):.1f} ms, p95 {p95(times):.1f} ms", "p95 <= 3 ms")


def busy(binary, model, table, folder, draw):
    """Frames of one video while others are analysed, and while the server is idle."""
    asks = 80
    videos = folder / "busy"
    videos.mkdir()
    make(videos / "looked-at.mp4", [*source(20), "-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M", "-g", "50", "-bf", "2"])
    with serving(binary, model, videos, folder / "data-busy", detect__looks_per_sec=0) as server:
        looked_at = known(server, "looked-at.mp4", lambda video: ended(video) and video["preview"]["frames"] == 20 * RATE)["id"]
        index = server.json(f"/api/videos/{looked_at}/index")
        ticks, first_pts = index["runs"][0][0], index["first_pts"]

        def ask():
            whole, small = [], []
            for _ in range(asks):
                frame = draw.randrange(20 * RATE)
                # A different quality each time, so that none comes from the cache.
                quality = draw.randrange(60, 95)
                whole.append(server.get(f"/api/video_file/frame_optimized?id={looked_at}&quality={quality}&t={(frame + 0.5) / RATE}")[2])
                small.append(server.get(f"/api/videos/{looked_at}/preview/frame?pts={first_pts + frame * ticks}")[2])
                time.sleep(LOOK_SECS)
            return whole, small

        quiet = ask()
        os.link(videos / "looked-at.mp4", folder / "other.mp4")
        for number in range(4):
            # Different files, or they would be the same video.
            make(videos / f"other-{number}.mp4", ["-stream_loop", str(20 + number), "-i", str(folder / "other.mp4"), "-c", "copy"])
        known(server, "other-0.mp4", lambda video: video["run"] is not None and video["run"]["state"] == "running")
        loud = ask()
        assert any(not ended(video) for video in server.json("/api/videos")), "the others were analysed too soon"
        for what, calm, during in zip(("whole frame, 1080p", "small frame"), quiet, loud):
            table.add(f"{what}, while others are analysed", f"p95 {p95(during):.0f} ms, otherwise {p95(calm):.0f} ms: {p95(during) - p95(calm):+.0f} ms",
                      "<= +20 ms")


def streams(binary, model, table, folder, secs):
    """Ten videos at once, two inferences a second each."""
    videos = folder / "streams"
    videos.mkdir()
    for number in range(STREAMS):
        piece = folder / "piece.mp4"
        make(piece, [*source(20 + number, size="1280x720"), "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "2M", "-g", "50"])
        make(videos / f"pen-{number}.mp4", ["-stream_loop", "-1", "-i", str(piece), "-t", str(secs), "-c", "copy"])
    with serving(binary, model, videos, folder / "data-streams", detect__looks_per_sec=LOOKS_PER_SEC, preview__disk_gb=0,
                 jobs__at_once=STREAMS) as server:
        begun, peak_mb = time.perf_counter(), []
        while True:
            listed = server.json("/api/videos")
            if len(listed) == STREAMS and all(map(ended, listed)):
                break
            peak_mb.append(server.memory_mb())
            time.sleep(0.5)
        took = time.perf_counter() - begun
        assert all(video["run"]["state"] == "done" for video in listed), listed
        half = len(peak_mb) // 2
        table.add(f"{STREAMS} videos of 720p, {LOOKS_PER_SEC} inferences a second each, for {took / 60:.1f} minutes",
                  f"{STREAMS * secs / took:.1f} s of video in a second", f">= {STREAMS}")
        table.add("the same: memory of the server and its processes",
                  f"at most {max(peak_mb[:half]):.0f} MB in the first half, {max(peak_mb[half:]):.0f} MB in the second", "<= 500 MB, flat")


def measure(binary, model, table, folder):
    draw = random.Random(1)
    counts(binary, model, table, folder, draw)
    busy(binary, model, table, folder, draw)
    streams(binary, model, table, folder, 120)
