#!/usr/bin/env bash
# Makes a detector from start weights, pictures, rendered pens and drawn scenes. `make train` builds and installs what it needs first.
#
# DATA_DIR holds pigs-hit/, pigs-ccby/, pigs-toolmen/ and pigs-m3d/ (training/README.md says where they are from; the last two may be
# absent); OUT gets the model. SIZE is the input's px, WIDTHxHEIGHT, STEPS and SEED are training's, RENDERS how many pens are rendered.
# Rendering takes ten minutes on two cores and goes on where it was cut off; training takes five hours, on a GPU a few minutes (gpu.sh).
set -euo pipefail
data=$(realpath "${DATA_DIR:-../shared/data}")
out=$(realpath -m "${OUT:-training/out}")
cd "$(dirname "$0")"
python=../.tools/python-train/bin/python
examples=../${CARGO_TARGET_DIR:-target}/release/examples
for folder in pigs-hit pigs-ccby; do
  [ -d "$data/$folder/images" ] || { echo "train: $data/$folder/images is not there; name its folder's parent in DATA_DIR (training/README.md says where to get it)" >&2; exit 1; }
done
boxed=("$data/pigs-ccby")
for folder in pigs-toolmen pigs-m3d; do
  if [ -d "$data/$folder" ]; then boxed+=("$data/$folder"); else echo "train: $data/$folder is not there: left out" >&2; fi
done
mkdir -p "$out"
# scenes NAME COUNT SEED [MOST_PIGS]: drawn once, whole or not at all.
scenes() {
  [ -d "$out/$1" ] && return
  rm -rf "$out/$1.partial"
  "$examples/pens" "$out/$1.partial" "${@:2}"
  mv "$out/$1.partial" "$out/$1"
}
scenes drawn 500 1
scenes no-pigs-training 250 7 0
"$examples/pens3d" "$out/rendered" "${RENDERS:-1500}" 21
# What the threshold is chosen on: other seeds, and crowds composed of pigs of the nursery's last day.
"$examples/pens3d" "$out/rendered-held-out" 120 5000
[ -d "$out/crowds" ] || { rm -rf "$out/crowds.partial"; "$python" -m pigtrain.crowds --outlined "$data/pigs-hit=20230601_" --out "$out/crowds.partial"; mv "$out/crowds.partial" "$out/crowds"; }
"$python" -m pigtrain.train --start "${START:-../.tools/start-weights}" --rendered "$out/rendered" --rendered-least "${RENDERS:-1500}" --outlined "$data/pigs-hit" \
  --boxed "${boxed[@]}" --drawn "$out/drawn" "$out/no-pigs-training" --without 20230601_ --size "${SIZE:-640x384}" --steps "${STEPS:-3000}" \
  --seed "${SEED:-1}" --out "$out"
./finish.sh "$out/detector.pt" "$data" "$out"
