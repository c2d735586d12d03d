#!/usr/bin/env bash
# Makes the detector in about ten minutes on a machine with a GPU and many cores: while the GPU trains, the cores render new pens for it.
#
# usage: training/gpu.sh DATA_DIR OUT [SECONDS]
#
# Nothing is built, installed or fetched here, so a machine without a network will do: RENDERER and DRAWER name the built examples `pens3d` and
# `pens`, START the start weights (a folder, an .onnx file or a detector.pt), PYTHON a Python with torch, onnx, onnxruntime and OpenCV, RENDERED a
# folder of pens that were rendered before, if there is one. The detector is saved all the while as OUT/detector.pt; in the end
# OUT/unscaled.onnx is the same with its scores as trained.
set -euo pipefail
[ $# -ge 2 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
data=$(realpath "$1") out=$(realpath -m "$2") seconds=${3:-400}
here=$(realpath "$(dirname "$0")")
renderer=$(realpath "${RENDERER:-$here/../target/release/examples/pens3d}")
drawer=$(realpath "${DRAWER:-$here/../target/release/examples/pens}")
start=$(realpath "${START:-$here/../.tools/start-weights}")
rendered=${RENDERED:+$(realpath "$RENDERED")}
cd "$here"
python=${PYTHON:-python3}
scratch=${SCRATCH:-$(mktemp -d)}
export PYTHONUNBUFFERED=1 PYTHONPATH=$PWD OMP_NUM_THREADS=1
mkdir -p "$out" "$scratch"
mkdir -p "$scratch/rendered"
# What was rendered elsewhere before.
[ -z "$rendered" ] || cp -r "$rendered/." "$scratch/rendered"
# Rendering is what takes longest: it goes on beside all the rest, and takes a back seat to what feeds the GPU.
cores=$(nproc) rendering=()
for ((number = 0; number < (cores > 4 ? cores - 3 : 1); number++)); do
  nice -n 15 "$renderer" "$scratch/rendered" "${RENDERS:-1500}" $((${RENDER_SEED:-100} + number)) any 1 &
  rendering+=($!)
done
stop_rendering() { kill "${rendering[@]}" 2>/dev/null || true; }
trap stop_rendering EXIT
"$drawer" "$scratch/drawn" "${DRAWN:-500}" 1 &
drawing=$!
"$drawer" "$scratch/no-pigs" "${NO_PIGS:-250}" 7 0
wait $drawing
boxed=()
for name in pigs-ccby pigs-toolmen pigs-m3d; do
  if [ -d "$data/$name" ]; then boxed+=("$data/$name"); else echo "gpu: $data/$name is not there: left out" >&2; fi
done
# shellcheck disable=SC2086
"$python" -m pigtrain.train --start "$start" --rendered "$scratch/rendered" --rendered-capacity "${CAPACITY:-16000}" --rendered-least "${LEAST:-400}" \
  --outlined "$data/pigs-hit" --boxed "${boxed[@]}" --drawn "$scratch/drawn" "$scratch/no-pigs" --without 20230601_ --scenes "${SCENES:-2000}" \
  --seconds "$seconds" --batch "${BATCH:-192}" --rate "${RATE:-2e-3}" --decay "${DECAY:-0.9995}" --out "$out" ${TRAIN_OPTIONS:-}
stop_rendering
"$python" -W ignore -m pigtrain.export --weights "$out/detector.pt" --out "$out/unscaled.onnx"
videos=()
for name in pen-day pen-night; do [ ! -f "$data/videos/$name.mp4" ] || videos+=("$data/videos/$name.mp4"); done
"$python" -m pigtrain.evaluate --here --sizes --model "$out/unscaled.onnx" --sources "$data/pigs-hit=20230601_" --videos "${videos[@]}" | tee "$out/figures.txt"
