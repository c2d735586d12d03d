"""Scrubbing in the page, in Chromium: the part `page` of bench/figures.py. web/bench/drag.mjs moves the pointer."""

import json
import os
import pathlib
import statistics
import subprocess

from frames import RATE, known, make, pigweight, source

MOVES, SECS = 500, 60


def p95(times):
    return statistics.quantiles(times, n=20)[18]


def measure(binary, table, folder):
    (folder / "dragged").mkdir()
    make(folder / "dragged/minute.mp4", [*source(SECS), "-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M", "-g", str(RATE)])
    with pigweight(binary, folder / "dragged", folder / "data-dragged", disk_gb=20) as server:
        video = known(server, "minute.mp4", lambda video: video["preview"]["frames"] == SECS * RATE and video["preview"]["sprites"])
        index = server.json(f"/api/videos/{video['id']}/index")
        web = pathlib.Path(__file__).parent.parent / "web"
        run = subprocess.run(["node", "bench/drag.mjs", f"http://127.0.0.1:{server.port}/", str(MOVES)], cwd=web, env=os.environ,
                             stdout=subprocess.PIPE, check=True, text=True)
    seen = json.loads(run.stdout.splitlines()[-1])
    pointed = [one for one in seen["pointed"] if one]
    ticks = index["runs"][0][0]

    def is_wrong(exact):
        return exact["number"] != (exact["pts"] - index["first_pts"]) // ticks

    at_once = [one["eventMs"] for one in pointed if one["eventMs"] is not None]
    exact = [one["exactMs"] for one in pointed]
    table.add("page: a picture in the pointer's own event",
              f"p50 {statistics.median(at_once):.1f} ms, p95 {p95(at_once):.1f} ms after it ({len(at_once)} of {len(pointed)} moves; at the "
              f"others a nearer picture was there)", "p95 <= 16 ms")
    table.add("page: the exact small frame after a move", f"p50 {statistics.median(exact):.0f} ms, p95 {p95(exact):.0f} ms; "
              f"{len(pointed)} of {MOVES} came, {sum(map(is_wrong, pointed))} another frame", "p95 <= 100 ms, none wrong")
    drag = seen["dragged"]
    at_once = [move["drawn"] - move["at"] for move in drag["moves"] if move["drawn"] is not None]
    secs = (drag["moves"][-1]["at"] - drag["moves"][0]["at"]) / 1e3
    table.add(f"page: a drag of {len(drag['moves'])} moves in {secs:.0f} s",
              f"{len(at_once) / secs:.0f} thumbnails and {len(drag['exact']) / secs:.0f} exact frames a second; "
              f"{sum(map(is_wrong, drag['exact']))} of {len(drag['exact'])} another frame", "none wrong")
