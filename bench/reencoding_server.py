"""A camera by WebRTC in the way of the earlier product: reencoding_server.py PORT RTSP_ADDRESS. The camera is decoded once, and aiortc encodes it for each viewer. WHEP at /whep."""

import sys

import uvicorn
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer, MediaRelay
from fastapi import FastAPI, Request, Response

port, address = int(sys.argv[1]), sys.argv[2]
app, peers = FastAPI(), set()
opened = {}


@app.get("/")
def is_there():
    return {}


@app.post("/whep", status_code=201)
async def whep(request: Request):
    if not opened:
        player = MediaPlayer(address, options={"rtsp_transport": "tcp"})
        opened.update(player=player, relay=MediaRelay())
    peer = RTCPeerConnection()
    peers.add(peer)

    @peer.on("connectionstatechange")
    async def changed():
        if peer.connectionState in ("failed", "closed"):
            peers.discard(peer)

    await peer.setRemoteDescription(RTCSessionDescription(sdp=(await request.body()).decode(), type="offer"))
    peer.addTrack(opened["relay"].subscribe(opened["player"].video))
    await peer.setLocalDescription(await peer.createAnswer())
    return Response(peer.localDescription.sdp, status_code=201, media_type="application/sdp")


uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
