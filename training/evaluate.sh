#!/usr/bin/env bash
# Measures the detector that ships beside its start weights, on scenes that training has not seen: the table of models/README.md.
#
# DATA_DIR holds videos/pen-day.mp4, videos/pen-night.mp4 with their boxes, and pigs-hit/; what is not there is skipped and
# said so. MODEL names other detectors. Pictures with boxes go to training/out/pictures.
set -euo pipefail
data=$(realpath "${DATA_DIR:-../shared/data}")
models=()
for model in ${MODEL:-models/pigs-640x384.onnx}; do models+=("$(realpath "$model")"); done
cd "$(dirname "$0")"
out=out
python=../.tools/python-train/bin/python
release=../${CARGO_TARGET_DIR:-target}/release
mkdir -p "$out"
[ -f "$out/nanodet-coco.onnx" ] || "$python" -W ignore -m pigtrain.export --untrained ../.tools/start-weights --out "$out/nanodet-coco.onnx"
# Seeds that training does not draw.
[ -d "$out/unseen" ] || { "$release/examples/pens" "$out/unseen.partial" 60 2000; mv "$out/unseen.partial" "$out/unseen"; }
"$release/examples/pens3d" "$out/rendered-held-out" 120 5000
"$release/examples/pens3d" "$out/rendered-no-pigs" 200 6000 empty
[ -d "$out/no-pigs" ] || { "$release/examples/pens" "$out/no-pigs.partial" 60 3000 0; mv "$out/no-pigs.partial" "$out/no-pigs"; }
videos=() sources=("$out/unseen" "$out/no-pigs" "$out/rendered-held-out" "$out/rendered-no-pigs")
for name in pen-day pen-night; do
  if [ -f "$data/videos/$name.mp4" ]; then videos+=("$data/videos/$name.mp4"); else echo "eval: $data/videos/$name.mp4 is not there: skipped" >&2; fi
done
if [ -d "$data/pigs-hit" ]; then sources+=("$data/pigs-hit=20230601_"); else echo "eval: $data/pigs-hit is not there: skipped" >&2; fi
models+=("$out/nanodet-coco.onnx")
"$python" -m pigtrain.evaluate --binary "$release/pigweight" "${models[@]/#/--model=}" --videos "${videos[@]}" --sources "${sources[@]}" --sizes --pictures "$out/pictures"
"$python" -m pigtrain.speed "${models[@]}"
