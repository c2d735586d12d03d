#!/usr/bin/env bash
# Serves a drawn corridor as an RTSP camera: rtsp://127.0.0.1:8554/corridor. PORT names another port. The film lasts five minutes; then the
# camera stops sending and begins anew, as one that was restarted.
set -euo pipefail
cd "$(dirname "$0")/.."
port=${PORT:-8554}
folder=${CARGO_TARGET_DIR:-target}/camera
if [ ! -f "$folder/corridor.mp4" ]; then
  echo "camera: drawing the corridor, about a minute"
  rm -rf "$folder.partial"
  "${CARGO_TARGET_DIR:-target}/release/pigweight" demo --secs 300 "$folder.partial" > /dev/null
  rm -rf "$folder" && mv "$folder.partial" "$folder"
fi
echo "camera: rtsp://127.0.0.1:$port/corridor   (stop it with Ctrl-C)"
# The server ends with its standard input, so that tests leave none behind; here it ends with this script.
tail -f /dev/null | /usr/bin/python3 fixtures/cameras/rtsp_server.py --port "$port" "corridor=$folder/corridor.mp4"
