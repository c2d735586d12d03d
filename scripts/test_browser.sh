#!/usr/bin/env bash
# The page and the server together: the built binary serves drawn videos; Chromium, Firefox and WebKit look at them.
set -euo pipefail
# What is skipped for want of a component is a failure in CI.
skip() { echo "test_browser: skipped $1"; [ "${CI:-}" != true ]; }
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
binary=target/debug/pigweight
[ -x "$binary" ] || { echo "test_browser: $binary is not built; run make test" >&2; exit 1; }
"$binary" demo --marked "$folder/videos" --secs 12 > /dev/null
# A container that no browser opens.
ffmpeg -v error -i "$folder/videos/corridor.mp4" -c copy "$folder/videos/stream.ts"
cp "$folder/videos/corridor.mp4" "$folder/upload.mp4"
: > "$folder/serve.out"
# Firefox makes no WebRTC connections over the loopback interface: viewers get this machine's network address as well.
own=$(hostname -I 2>/dev/null | awk '{print $1}')
if [ -n "$own" ]; then
  export PIGWEIGHT_WEBRTC__LISTEN=0.0.0.0:0 PIGWEIGHT_WEBRTC__ADDRESSES="[\"127.0.0.1\", \"$own\"]"
fi
"$binary" serve --videos "$folder/videos" --data "$folder/data" --listen 127.0.0.1:0 --model "$folder/videos/drawn-pigs.onnx" \
  >> "$folder/serve.out" 2> "$folder/serve.err" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$folder"' EXIT
# The server prints its address as soon as it listens.
address=$(timeout 60 grep -m1 -o 'http://[0-9.:]*' <(tail -f -n +1 --pid=$server "$folder/serve.out")) || {
  echo "test_browser: the server did not start:" >&2; cat "$folder/serve.err" >&2; exit 1; }
# A camera that sends the corridor.
: > "$folder/camera.out"
/usr/bin/python3 fixtures/cameras/rtsp_server.py "corridor=$folder/videos/corridor.mp4" >> "$folder/camera.out" < <(tail -f /dev/null --pid=$server) &
camera=$(timeout 30 grep -m1 -o '[0-9][0-9]*$' <(tail -f -n +1 --pid=$server "$folder/camera.out")) || camera=
[ -n "$camera" ] || skip "live cameras: GStreamer's RTSP server is not installed"
export CAMERA_URL=${camera:+rtsp://127.0.0.1:$camera/corridor}
# Another server tells viewers 127.0.0.1 alone: Firefox gets no WebRTC there.
: > "$folder/loopback.out"
mkdir "$folder/none"
env -u PIGWEIGHT_WEBRTC__LISTEN -u PIGWEIGHT_WEBRTC__ADDRESSES "$binary" serve --videos "$folder/none" --data "$folder/loopback" \
  --listen 127.0.0.1:0 --model "$folder/videos/drawn-pigs.onnx" >> "$folder/loopback.out" 2> "$folder/loopback.err" &
loopback=$!
trap 'kill $server $loopback 2>/dev/null; wait $server $loopback 2>/dev/null; rm -rf "$folder"' EXIT
LOOPBACK_URL=$(timeout 60 grep -m1 -o 'http://[0-9.:]*' <(tail -f -n +1 --pid=$loopback "$folder/loopback.out")) || {
  echo "test_browser: the second server did not start:" >&2; cat "$folder/loopback.err" >&2; exit 1; }
cd web
export PIGWEIGHT_URL=$address LOOPBACK_URL
UPLOAD_FILE=$folder/upload.mp4 npx playwright test --project=real
if FIREFOX=$(command -v firefox-esr || command -v firefox); then
  export FIREFOX
  NODE_OPTIONS=--experimental-websocket npx playwright test --project=firefox
else
  skip "in Firefox: neither firefox-esr nor firefox is installed"
fi
if command -v WebKitWebDriver >/dev/null && command -v Xvfb >/dev/null; then
  npx playwright test --project=webkit
else
  skip "in WebKit: webkit2gtk-driver and xvfb are not both installed"
fi
