"""The peer of bench/frames.py: single frames, served like the product that PigWeight replaces.

FastAPI over OpenCV: one open capture for each video, which seeks by frame number (time × frames per second); pictures are encoded as optimised
progressive JPEG.  python opencv_server.py PORT FOLDER
"""

import pathlib
import sys
import threading

import cv2
import fastapi
import uvicorn

app = fastapi.FastAPI()
folder = pathlib.Path(sys.argv[2])
captures, lock = {}, threading.Lock()
FLAGS = [cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_PROGRESSIVE, 1]


@app.get("/frame/{name}")
def frame(name: str, t: float, quality: int = 80):
    with lock:
        if name not in captures:
            captures[name] = cv2.VideoCapture(str(folder / name))
        capture = captures[name]
        capture.set(cv2.CAP_PROP_POS_FRAMES, int(t * capture.get(cv2.CAP_PROP_FPS)))
        there, pixels = capture.read()
    if not there:
        raise fastapi.HTTPException(416)
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality, *FLAGS])
    return fastapi.Response(jpeg.tobytes(), media_type="image/jpeg")


if __name__ == "__main__":
    cv2.setNumThreads(1)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
