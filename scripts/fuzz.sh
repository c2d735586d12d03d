#!/usr/bin/env bash
# Throws bytes at every parser of foreign ones. `make fuzz`; SECS for each target, TARGETS names some of them.
#
# What is found lies in fuzz/artifacts, and `cargo +nightly fuzz run TARGET FILE` shows it again.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo +nightly fuzz --version >/dev/null 2>&1 || {
  echo "fuzz: wants a nightly compiler and cargo-fuzz: rustup toolchain install nightly; cargo install --locked cargo-fuzz" >&2; exit 1; }
# What the mutations begin with: small files of each kind, since large ones are mutated slowly.
seeds=fuzz/corpus/container
if [ ! -d "$seeds" ]; then
  rm -rf "$seeds.partial"
  mkdir -p "$seeds.partial"
  make_seed() { ffmpeg -v error -f lavfi -i testsrc2=size=64x48:rate=25:duration=0.4 "${@:2}" "$seeds.partial/$1"; }
  make_seed b.mp4 -c:v libx264 -g 5 -bf 2
  make_seed fragmented.mp4 -c:v libx264 -g 5 -movflags frag_keyframe+empty_moov
  make_seed rotated.mov -c:v mpeg4
  make_seed h264.mkv -c:v libx264 -g 5
  make_seed h264.ts -c:v libx264 -g 5
  make_seed vp8.webm -c:v libvpx
  make_seed mjpeg.avi -c:v mjpeg
  make_seed raw.h264 -c:v libx264 -g 5
  mv "$seeds.partial" "$seeds"
fi
for target in ${TARGETS:-stored_index range_header playlist_path worker_answer container}; do
  # The leaks of other people's decoders are ended with their processes.
  cargo +nightly fuzz run --fuzz-dir fuzz "$target" -- -max_total_time="${SECS:-60}" -timeout=20 -rss_limit_mb=4096 -detect_leaks=0 \
    -max_len=65536 -print_final_stats=1
done
