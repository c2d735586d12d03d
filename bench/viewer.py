"""Viewers by WebRTC: viewer.py --secs N [--bar-codes] URL ... watches each address by WHEP, and prints a JSON object for each at the end.

With --bar-codes each frame's number and the moment when it was decoded are in it (CLOCK_MONOTONIC). An address that begins with `janus:` is a mountpoint of Janus'
streaming plugin, as in `janus:http://127.0.0.1:8088/janus#1`.
"""

import argparse
import asyncio
import json
import time
import urllib.request
import uuid

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

PATIENCE_SECS = 30


def post(url, body, kind):
    asked = urllib.request.Request(url, body, {"Content-Type": kind}, method="POST")
    with urllib.request.urlopen(asked, timeout=PATIENCE_SECS) as answer:
        return answer.read().decode()


async def by_whep(url):
    peer = RTCPeerConnection()
    transceiver = peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    asked = time.monotonic()
    answer = await asyncio.to_thread(post, url, peer.localDescription.sdp.encode(), "application/sdp")
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    return peer, transceiver.receiver.track, asked


async def by_janus(url):
    url, mountpoint = url.removeprefix("janus:").split("#")

    async def ask(path, **message):
        body = json.dumps({**message, "transaction": uuid.uuid4().hex}).encode()
        return json.loads(await asyncio.to_thread(post, url + path, body, "application/json"))

    peer = RTCPeerConnection()
    tracks = asyncio.get_running_loop().create_future()
    peer.on("track", lambda track: track.kind == "video" and tracks.set_result(track))
    asked = time.monotonic()
    session = (await ask("", janus="create"))["data"]["id"]
    handle = (await ask(f"/{session}", janus="attach", plugin="janus.plugin.streaming"))["data"]["id"]
    await ask(f"/{session}/{handle}", janus="message", body={"request": "watch", "id": int(mountpoint)})

    def event():
        with urllib.request.urlopen(f"{url}/{session}", timeout=PATIENCE_SECS) as answer:
            return json.load(answer)

    while "jsep" not in (told := await asyncio.to_thread(event)):
        pass
    await peer.setRemoteDescription(RTCSessionDescription(**{name: told["jsep"][name] for name in ("sdp", "type")}))
    await peer.setLocalDescription(await peer.createAnswer())
    description = {"sdp": peer.localDescription.sdp, "type": peer.localDescription.type}
    await ask(f"/{session}/{handle}", janus="message", body={"request": "start"}, jsep=description)

    async def stay():
        while True:
            await asyncio.to_thread(event)

    peer.kept = asyncio.create_task(stay())
    return peer, await tracks, asked


async def watch(url, secs, reads_codes):
    peer, track, asked = await (by_janus(url) if url.startswith("janus:") else by_whep(url))
    codes, frames, first, last, longest, is_ended = [], 0, None, None, 0.0, False
    until = time.monotonic() + secs
    while (now := time.monotonic()) < until:
        try:
            frame = await asyncio.wait_for(track.recv(), max(0.1, until - now))
        except TimeoutError:
            break
        except MediaStreamError:
            is_ended = True
            break
        now = time.monotonic()
        first, frames = first or now, frames + 1
        longest, last = max(longest, now - (last or now)), now
        if reads_codes:
            codes.append([read(frame), now])
    longest = max(longest, until - (last or asked))
    if kept := getattr(peer, "kept", None):
        kept.cancel()
    await peer.close()
    return {"frames": frames, "first_secs": (first or until) - asked, "longest_pause_secs": longest, "is_ended": is_ended, "codes": codes}


def read(frame):
    from frames import bar_code
    return bar_code(frame.to_ndarray(format="gray"))


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secs", type=float, required=True)
    parser.add_argument("--bar-codes", action="store_true")
    parser.add_argument("urls", nargs="+")
    options = parser.parse_args()
    for shown in await asyncio.gather(*(watch(url, options.secs, options.bar_codes) for url in options.urls)):
        print(json.dumps(shown))


asyncio.run(main())
