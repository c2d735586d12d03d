# make run · camera · test · lint · build · install · bench · figures · soak · fuzz · train · eval · docs — and nothing else to remember.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# What scripts/setup.sh put into .tools comes first, rustup's cargo after it.
export PATH := $(CURDIR)/.tools/node/bin:$(HOME)/.cargo/bin:$(PATH)

# `make run VIDEOS=/srv/pens MODEL=pigs.onnx LISTEN=0.0.0.0:8080`
VIDEOS ?=
DATA ?= pigweight-data
LISTEN ?= 127.0.0.1:8080
MODEL ?=
# `make install PREFIX=$HOME/.local`
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: help setup setup-tests setup-train page build install uninstall run camera test lint bench figures soak fuzz train eval docs

help: ## Say what there is
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@scripts/setup.sh

setup-tests:
	@scripts/setup.sh --tests

# Built anew only when something in it changed: cargo embeds it and would build again otherwise.
page: setup
	@if [ ! -f web/dist/index.html ] || [ -n "$$(find web/src web/index.html web/package-lock.json web/vite.config.ts -newer web/dist/index.html -print -quit)" ]; then \
	  echo "building the page"; cd web && npm run --silent build; fi

build: page ## Build target/release/pigweight, the page inside
	cargo build --release --locked -p pigweight

install: build ## Install into PREFIX (/usr/local): program, ONNX Runtime, manual pages, completions, systemd unit; DESTDIR=DIR
	scripts/install.sh "$(DESTDIR)" "$(PREFIX)"

uninstall: ## Remove what install put into PREFIX
	scripts/install.sh --remove "$(DESTDIR)" "$(PREFIX)"

run: build ## Install what is missing, build, and serve; VIDEOS=DIR MODEL=FILE LISTEN=ADDR DATA=DIR
	@if [ -z "$(VIDEOS)" ]; then target/release/pigweight demo demo-videos; fi
	target/release/pigweight serve --videos "$(or $(VIDEOS),demo-videos)" --data "$(DATA)" --listen "$(LISTEN)" \
	  $(if $(MODEL),--model "$(MODEL)")

test: setup-tests page ## Run every test: Rust, training, the page, and all together in a real browser
	if cargo nextest --version >/dev/null 2>&1; then cargo test --quiet --locked --workspace --doc; cargo nextest run --locked --workspace --no-fail-fast; \
	  else cargo test --locked --workspace --no-fail-fast; fi
	cd training && ../.tools/python-tests/bin/python -m unittest discover -s tests -t .
	cd web && npm run --silent check && npm run --silent test && npm run --silent e2e
	scripts/test_contract.sh
	scripts/test_browser.sh

lint: setup page ## Check style, lints, licences and the scripts
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
	cd web && npm run --silent lint
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --log-level error check licenses bans sources; \
	  else echo "lint: cargo-deny is not installed, licences were not checked (cargo install --locked cargo-deny)"; fi

bench: ## Measure beside peers in the same run; DATA_DIR names a folder of videos, models and tracks
	@scripts/setup.sh --bench
	cargo build --release --locked -p pigweight
	cargo build --release --locked -p pigweight-store --example long_recording
	bench/run.sh

figures: ## Measure as bench does, and write docs/reference/figures.md
	@scripts/setup.sh --bench
	cargo build --release --locked -p pigweight
	cargo build --release --locked -p pigweight-store --example long_recording
	bench/run.sh --write docs/reference/figures.md

soak: ## An hour and a half: ten videos side by side, a camera that is cut and frozen 200 times, ten cameras with viewers; watch the memory
	@scripts/setup.sh --bench
	cargo build --release --locked -p pigweight
	bench/run.sh --only soak faults cameras

fuzz: setup ## Throw bytes at every parser, SECS each (default 60); wants a nightly compiler and cargo-fuzz
	scripts/fuzz.sh

camera: setup-tests build ## Serve a drawn corridor as an RTSP camera, to try cameras without one
	scripts/camera.sh

setup-train: build
	@scripts/setup.sh --train
	cargo build --release --locked -p pigweight-testkit --example pens --example pens3d

train: setup-train ## Make the detector from start weights; DATA_DIR names a folder of pictures, OUT where it goes
	training/train.sh

eval: setup-train ## Measure detectors on scenes; DATA_DIR names a folder of videos and pictures, MODEL other detectors
	training/evaluate.sh

docs: setup ## Write the generated reference (API, manual page, completions)
	cargo build --locked -p pigweight
	target/debug/pigweight openapi > docs/reference/openapi.json
	target/debug/pigweight config-reference > docs/reference/config.md
	cargo doc --locked --workspace --no-deps
