"""Live video beside Janus and beside the design that it replaces: the part `live` of bench/figures.py.

One camera of 720p15 with a keyframe every 4 s, whose frames carry their numbers as bar codes; GStreamer's RTSP server notes the moment when each is sent. Viewers are
aiortc's in both cases (bench/viewer.py): they decode each frame and note the moment. Janus passes the camera's packets through, as PigWeight does. The earlier design is aiortc as a
server, which decodes the camera once and encodes it for every viewer (bench/reencoding_server.py).
"""

import contextlib
import json
import random
import shutil
import statistics
import subprocess
import sys
import time

from cameras import HERE, ask, rtsp_server, serving, wait_for
from frames import Server, make, source

RATE, GOP_SECS, FILM_SECS = 15, 4, 900
WATCHED_SECS, STARTS, VIEWERS, CPU_SECS = 60, 12, 8, 20


def measure(binary, table, folder):
    film = folder / "camera.mp4"
    make(film, [*source(FILM_SECS, rate=RATE, size="1280x720"), "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "baseline", "-b:v", "2M",
                "-g", str(RATE * GOP_SECS), "-keyint_min", str(RATE * GOP_SECS)])
    with contextlib.ExitStack() as stack:
        sent = folder / "sent.txt"
        port = stack.enter_context(rtsp_server({"pen": film}, "--sent", sent))
        url = f"rtsp://127.0.0.1:{port}/pen"
        server = stack.enter_context(serving(binary, folder / "data-live"))
        id = ask(server, "POST", "/api/cameras", {"name": "Pen", "url": url})["id"]
        wait_for(lambda: server.json(f"/api/cameras/{id}")["count"]["state"] == "counted")
        ours = f"http://127.0.0.1:{server.port}/api/cameras/{id}/whep"
        peers = {"PigWeight, which analyses it as well": (ours, server)}
        if janus := shutil.which("janus"):
            gateway = stack.enter_context(janus_server(janus, url, folder / "janus"))
            peers["Janus"] = (f"janus:http://127.0.0.1:{gateway.port}/janus#1", gateway)
        else:
            table.skip("live: Janus", "janus, which scripts/setup.sh --bench installs on Debian")
        reencoding = [sys.executable, HERE / "reencoding_server.py", "PORT", url]
        peers["decoded and encoded anew for each viewer (aiortc)"] = None
        late = watched([url for peer in peers.values() if peer for url in peer[:1]], WATCHED_SECS, "--bar-codes")
        times = dict(map(float, line.split()) for line in sent.read_text().splitlines() if len(line.split()) == 2)
        by_number = {round(film_secs * RATE): moment for film_secs, moment in times.items()}
        for name, shown in zip([name for name, peer in peers.items() if peer], late):
            table.add(f"{name}: from the camera to a decoded frame", lateness(shown["codes"], by_number), "p95 <= 150 ms, no later than Janus")
        starts = {name: [] for name, peer in peers.items() if peer}
        for _ in range(STARTS):
            time.sleep(random.uniform(0, GOP_SECS))
            for name in starts:
                starts[name].append(1e3 * watched([peers[name][0]], 6)[0]["first_secs"])
        for name, first_ms in starts.items():
            table.add(f"{name}: first picture", f"p50 {statistics.median(first_ms):.0f} ms, at most {max(first_ms):.0f} ms of {STARTS}",
                      "<= 300 ms" if name.startswith("PigWeight") else "")
        loads = {name: load(server, url) for name, (url, server) in ((name, peer) for name, peer in peers.items() if peer)}
        encoder = stack.enter_context(Server(reencoding, "/"))
        loads["decoded and encoded anew for each viewer (aiortc)"] = load(encoder, f"http://127.0.0.1:{encoder.port}/whep")
        for name, share in loads.items():
            table.add(f"{name}: a viewer", f"{100 * share:.2f} % of a core", "<= Janus', <= 1/20 of the last" if name.startswith("PigWeight") else "")


def watched(urls, secs, *options):
    command = [sys.executable, HERE / "viewer.py", "--secs", str(secs), *options, *urls]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def lateness(codes, sent):
    """Of frames that were read right; a bar code that no frame bears, or that was sent later, is a misread one."""
    ms = [1e3 * (seen - sent[number]) for number, seen in codes if number in sent and seen >= sent[number]]
    cuts = statistics.quantiles(ms, n=20)
    return f"p50 {statistics.median(ms):.0f} ms, p95 {cuts[18]:.0f} ms; {len(ms)} of {len(codes)} frames read"


def load(server, url):
    """CPU time a viewer, as a share of a core."""
    def used(work):
        begun, before = time.perf_counter(), server.cpu_secs()
        work()
        return (server.cpu_secs() - before) / (time.perf_counter() - begun)

    idle = used(lambda: time.sleep(CPU_SECS))
    return (used(lambda: watched([url] * VIEWERS, CPU_SECS)) - idle) / VIEWERS


def janus_server(janus, camera, folder):
    """Janus with one mountpoint, on a port of its own."""
    folder.mkdir()
    (folder / "janus.transport.http.jcfg").write_text('general: { json = "plain"\n base_path = "/janus"\n http = true\n port = @\n ip = "127.0.0.1" }\n'
                                                      "admin: { admin_http = false }\n")
    (folder / "janus.jcfg").write_text(f'general: {{ configs_folder = "{folder}"\n debug_level = 2 }}\nnat: {{ nice_debug = false }}\n'
                                       'plugins: { disable = "libjanus_videoroom.so,libjanus_audiobridge.so,libjanus_sip.so,libjanus_nosip.so,libjanus_textroom.so,'
                                       'libjanus_voicemail.so,libjanus_recordplay.so,libjanus_echotest.so,libjanus_videocall.so,libjanus_duktape.so,libjanus_lua.so" }\n'
                                       'transports: { disable = "libjanus_websockets.so,libjanus_rabbitmq.so,libjanus_pfunix.so,libjanus_mqtt.so,libjanus_nanomsg.so" }\n')
    (folder / "janus.plugin.streaming.jcfg").write_text(f'pen: {{ type = "rtsp"\n id = 1\n audio = false\n video = true\n url = "{camera}"\n'
                                                        ' rtsp_reconnect_delay = 5\n rtsp_session_timeout = 0 }\n')
    fill = f"sed -i s/@/$1/ {folder}/janus.transport.http.jcfg; exec {janus} -F {folder} -o"
    return Server(["sh", "-c", fill, "sh", "PORT"], "/janus/info")
