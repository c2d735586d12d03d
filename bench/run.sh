#!/usr/bin/env bash
# Measures PigWeight beside its peer, its memory and its tracker. `make bench` builds everything first.
#
# DATA_DIR names a folder with videos/pen-day.mp4, models/pig-yolox-nano-416.onnx and tracking/mot17; what is not
# there is skipped and said so. The tables are printed and kept in bench/out/figures.json. Takes about half an hour.
# `--only NAME…` measures some sections; `--write FILE` writes a page of all that were measured.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.tools/python-bench/bin/python
[ -x "$python" ] || { echo "bench: run make bench, which runs scripts/setup.sh --bench first" >&2; exit 1; }
binary=${CARGO_TARGET_DIR:-target}/release/pigweight
[ -x "$binary" ] || { echo "bench: $binary is not built; run make bench" >&2; exit 1; }
exec "$python" bench/figures.py --binary "$binary" --data "${DATA_DIR:-../shared/data}" --out bench/out "$@"
