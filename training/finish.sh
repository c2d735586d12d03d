#!/usr/bin/env bash
# From what training kept to the file that ships: chooses the threshold, moves the scores so that it is told as 0.3, and measures what scores mean.
#
# usage: training/finish.sh DETECTOR.pt DATA_DIR OUT
#
# OUT holds the scenes that train.sh makes for this: rendered-held-out/ and crowds/. No scene of the evaluation is among them.
set -euo pipefail
[ $# = 3 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
weights=$(realpath "$1") data=$(realpath "$2") out=$(realpath "$3")
cd "$(dirname "$0")"
python=../.tools/python-train/bin/python
"$python" -W ignore -m pigtrain.export --weights "$weights" --out "$out/unscaled.onnx"
threshold=$("$python" -m pigtrain.evaluate --here --model "$out/unscaled.onnx" --sources "$out/rendered-held-out" "$out/crowds" "$data/pigs-hit=20230601_" --choose |
  tee /dev/stderr | sed -n 's/.*at a threshold of \([0-9.]*\):.*/\1/p')
size=$("$python" -m pigtrain.export --weights "$weights" --name)
"$python" -W ignore -m pigtrain.export --weights "$weights" --out "$out/$size" --threshold "$threshold"
"$python" -m pigtrain.calibrate --model "$out/$size" --sources "$out/rendered-held-out" "$out/crowds" "$data/pigs-hit=20230601_"
echo "finish: $out/$size, its scores moved so that $threshold is told as 0.3"
