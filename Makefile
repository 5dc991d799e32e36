# The few things that one does here. `make` alone lists them.

# What scripts/setup installs, before what the machine has.
export PATH := $(CURDIR)/.tools/bin:$(PATH)

# For how many seconds `make fuzz` runs each target.
FUZZ_SECONDS ?= 600

# Where cargo puts what it builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)
PROGRAM := $(abspath $(TARGET))/debug/bestchat

.DEFAULT_GOAL := help
.PHONY: help setup setup-test web up build-tests test chaos fuzz build-bench bench bench-quick check build fmt types

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing on this machine
	@scripts/setup

setup-test:
	@scripts/setup --test

web: setup
	@scripts/build-web

# The dev profile: on two cores an optimised build takes several times as long, and what a newcomer
# waits for after that is the model. `make build` makes the fast one.
up: web ## Run everything here: a chat at http://127.0.0.1:8080
	@cargo run --package app --bin bestchat -- up

# Everything but the fuzz targets is built by one call: another choice of packages would mean other features, and building
# half of it again.
build-tests: setup-test web
	cargo build --workspace --all-targets
	cd workers && cargo fuzz build -s none

test: build-tests ## Run every test, against a Postgres and a NATS started for it
	$(TARGET)/debug/examples/servers cargo nextest run --workspace
	$(TARGET)/debug/chaos --seed 1 --seconds 120
	scripts/fuzz 10
	cd web && BESTCHAT_BIN=$(PROGRAM) npm test
	cd web && BESTCHAT_BIN=$(PROGRAM) npm run e2e --if-present

# The dev profile, as in `make test`: what is broken here is not speed.
chaos: build-tests ## Break everything on purpose, check that nothing was lost; CHAOS_ARGS="--seed 7 --seeds 5 --seconds 120"
	$(TARGET)/debug/chaos $(CHAOS_ARGS)

fuzz: setup-test ## Feed the decoders with mutated bytes; FUZZ_SECONDS=600 each, FUZZ_TARGETS="sse gemini"
	scripts/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

check: web ## Everything that is checked without running it: format, lints, layers, types
	cargo fmt --all --check
	cargo fmt --manifest-path workers/fuzz/Cargo.toml --check
	scripts/check-layers
	cargo clippy --workspace --all-targets -- -D warnings
	cd web && npm run lint --if-present && npm run typecheck --if-present

build: web ## Make target/release/bestchat, the whole product in one file
	cargo build --release --package app --bin bestchat

fmt: ## Format the code
	cargo fmt --all
	cargo fmt --manifest-path workers/fuzz/Cargo.toml
	cd web && npm run format --if-present

types: setup ## Generate the wire types of web/client from Rust
	BESTCHAT_WRITE_TYPES=1 cargo test --package api --lib wire_types

# One call builds both, so that the program that is measured has the features that it ships with. A peer that cannot be
# installed holds nothing up: the benchmarks measure the rest, say what they miss, and fail.
build-bench: web
	cargo build --release --package app --package bench --bin bestchat --bin bench
	-@scripts/install-peers

bench: build-bench ## Measure it beside its peers and the machine's own limit: bench/results/latest.md
	$(TARGET)/release/bench

bench-quick: build-bench ## The same with shorter runs: ten minutes on two cores
	$(TARGET)/release/bench --quick
