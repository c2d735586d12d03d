#!/usr/bin/env bash
# Makes a detector from start weights, pictures and drawn scenes. `make train` builds and installs what it needs first.
#
# DATA_DIR holds pigs-hit/ and pigs-ccby/ (training/README.md says where they are from); OUT gets the model. SIDE is the
# input's px, STEPS and SEED are training's. Takes about an hour and a half on two cores, minutes where there is a GPU.
set -euo pipefail
data=$(realpath "${DATA_DIR:-../shared/data}")
out=$(realpath -m "${OUT:-training/out}")
cd "$(dirname "$0")"
side=${SIDE:-416}
python=../.tools/python-train/bin/python
pens=../${CARGO_TARGET_DIR:-target}/release/examples/pens
for folder in pigs-hit pigs-ccby; do
  [ -d "$data/$folder/images" ] || { echo "train: $data/$folder/images is not there; name its folder's parent in DATA_DIR (training/README.md says where to get it)" >&2; exit 1; }
done
mkdir -p "$out"
# scenes NAME COUNT SEED [MOST_PIGS]: drawn once, whole or not at all.
scenes() {
  [ -d "$out/$1" ] && return
  rm -rf "$out/$1.partial"
  "$pens" "$out/$1.partial" "${@:2}"
  mv "$out/$1.partial" "$out/$1"
}
scenes drawn 400 1
scenes no-pigs-training 250 7 0
# The nursery's last day is kept for choosing the threshold.
pictures=(--outlined "$data/pigs-hit" --boxed "$data/pigs-ccby" --without 20230601_ --side "$side")
# Many drawn pictures without a pig: balls and people are taken for some otherwise.
"$python" -m pigtrain.train --start ../.tools/start-weights "${pictures[@]}" --drawn "$out/drawn" "$out/no-pigs-training" --drawn-share 0.4 \
  --scenes 2000 --out "$out" --steps "${STEPS:-3000}" --seed "${SEED:-1}"
"$python" -W ignore -m pigtrain.export --weights "$out/detector.pt" --out "$out/unscaled.onnx"
[ -d "$out/crowds" ] || { rm -rf "$out/crowds.partial"; "$python" -m pigtrain.crowds --outlined "$data/pigs-hit=20230601_" --out "$out/crowds.partial"; mv "$out/crowds.partial" "$out/crowds"; }
threshold=$("$python" -m pigtrain.evaluate --model "$out/unscaled.onnx" --sources "$out/crowds" "$data/pigs-hit=20230601_" --choose |
  tee /dev/stderr | sed -n 's/.*at a threshold of \([0-9.]*\):.*/\1/p')
"$python" -W ignore -m pigtrain.export --weights "$out/detector.pt" --out "$out/pigs-$side.onnx" --threshold "$threshold"
echo "train: $out/pigs-$side.onnx, its scores moved so that $threshold is told as 0.3"
