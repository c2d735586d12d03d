#!/usr/bin/env bash
# How good the recipe is on a farm that it has not seen: each of the two sources of real pictures is left out of a training,
# and the detector measured on it. The one without pigs-ccby is trained twice from the same seed, to see what that changes.
#
# Run `make eval` once before: it installs and builds what this needs. DATA_DIR holds pigs-hit/ and pigs-ccby/; STEPS and SEED
# are training's. About three hours on two cores. Shorter than the training of what ships: its figures are lower.
set -euo pipefail
data=$(realpath "${DATA_DIR:-../shared/data}")
cd "$(dirname "$0")"
out=out/leave-one-out
python=../.tools/python-train/bin/python
release=../${CARGO_TARGET_DIR:-target}/release
for name in "drawn 400 1" "no-pigs-training 250 7 0" "unseen 60 2000"; do
  read -r folder parameters <<<"$name"
  # shellcheck disable=SC2086
  [ -d "out/$folder" ] || { "$release/examples/pens" "out/$folder.partial" $parameters; mv "out/$folder.partial" "out/$folder"; }
done
"$release/examples/pens3d" out/rendered "${RENDERS:-600}" 21
# train NAME OPTIONS…: a detector of that name.
train() {
  local folder=$out/$1
  "$python" -W ignore -m pigtrain.train --start ../.tools/start-weights --drawn out/drawn out/no-pigs-training \
    --rendered out/rendered --steps "${STEPS:-400}" --scenes 600 --seed "${SEED:-1}" --out "$folder" "${@:2}"
  "$python" -W ignore -m pigtrain.export --weights "$folder/detector.pt" --out "$out/$1.onnx"
}
measure() { "$python" -m pigtrain.evaluate --binary "$release/pigweight" "$@"; }
train without-pigs-hit --boxed "$data/pigs-ccby"
measure --model "$out/without-pigs-hit.onnx" --sources "$data/pigs-hit"
for name in without-pigs-ccby without-pigs-ccby-again; do train "$name" --outlined "$data/pigs-hit"; done
measure --model "$out/without-pigs-ccby.onnx" --model "$out/without-pigs-ccby-again.onnx" --sources "$data/pigs-ccby" out/unseen
