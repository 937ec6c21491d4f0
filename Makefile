# The only list of commands; continuous integration (.ci/run) calls these targets and nothing else.

# The one place that pins what is fetched; Rust is pinned in rust-toolchain.toml, crates in
# Cargo.lock.
ENVOY_VERSION := 1.40.0
PROMETHEUS_VERSION := 2.42
ETCD_VERSION := 3.7.0
KUBERNETES_VERSION := 1.37.2
# The only version of Istio that Go's module proxy knows by a name; about 1.31.
ISTIO_VERSION := 0.0.0-20260827124520-eed52ebb66ad
ARGO_ROLLOUTS_VERSION := 1.10.2

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-cluster rust check test cluster demo demo-cluster bench bench-controller bench-judge manifests clean

# A plain `cargo` command means the default members: all but the crates that are wasm only.
WASM := --target wasm32-unknown-unknown -p serin-filter -p serin-noop-filter

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: rust ## Fetch Envoy and Prometheus into .tools/bin (no root needed)
	@.ci/setup envoy $(ENVOY_VERSION)
	@.ci/setup prometheus $(PROMETHEUS_VERSION)

rust:
	@.ci/setup rust

check: rust ## Formatting, lints on native and wasm, documentation; all warnings are errors
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked $(WASM) -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

setup-cluster: ## Build Kubernetes, Istio and Argo Rollouts into .tools/bin (once, a quarter of an hour)
	@.ci/setup etcd $(ETCD_VERSION)
	@.ci/setup kube-apiserver $(KUBERNETES_VERSION)
	@.ci/setup kube-controller-manager $(KUBERNETES_VERSION)
	@.ci/setup pilot-discovery $(ISTIO_VERSION)
	@.ci/setup pilot-agent $(ISTIO_VERSION)
	@.ci/setup istioctl $(ISTIO_VERSION)
	@.ci/setup rollouts-controller $(ARGO_ROLLOUTS_VERSION)
	@.ci/setup kubectl-argo-rollouts $(ARGO_ROLLOUTS_VERSION)

test: setup setup-cluster ## All tests, with the real Envoy, Prometheus, Kubernetes and istiod
	cargo build --locked
	cargo test --locked

# COMMAND runs in the place of the shell.
cluster: setup setup-cluster ## The tests' cluster with a shell in it; it ends with the shell
	cargo build --locked
	cargo run --locked --quiet -p serin-tests --bin cluster -- $(COMMAND)

demo: setup ## A good release and two bad ones on this machine (KEEP=1 leaves it running)
	cargo build --locked --release -p serin -p serin-demo
	cargo run --locked --release --quiet -p serin-demo --bin demo

demo-cluster: setup setup-cluster ## Its first three acts in a real cluster, behind an Envoy that istiod configures
	cargo build --locked
	cargo run --locked --quiet -p serin-tests --bin demo_cluster

# BENCH_PROCESSES, BENCH_SECONDS (of each) and BENCH_ONLY (names, by commas: "mesh" is all about
# 10,000 hosts in flight, "filter" is all but that) change what is measured; BENCH_REALTIME=1 keeps
# other work on the machine out of it, as root.
bench: setup setup-cluster ## What the filter costs Envoy, as ratios side by side (5 minutes)
	cargo build --locked -p serin -p serin-tests
	cargo run --locked --release --quiet -p serin-bench -- "$${CARGO_TARGET_DIR:-target}/debug/bench_mesh"

# ROLLOUTS changes how many there are.
ROLLOUTS ?= 300
bench-controller: setup setup-cluster ## 300 Rollouts updated at once, beside Argo Rollouts' controller (6 minutes)
	cargo build --locked --release -p serin
	cargo run --locked --quiet -p serin-tests --bin bench_controller -- $(ROLLOUTS) \
		"$${CARGO_TARGET_DIR:-target}/release/serin"

# RELEASES changes how many there are of each kind.
RELEASES ?= 20000
bench-judge: rust ## The judge beside Argo Rollouts' and Flagger's rules on simulated releases (2 minutes)
	cargo run --locked --release --quiet -p serin-bench-judge -- $(RELEASES)

manifests: ## Write what is generated from the types: deploy/crds.yaml
	cargo run --locked --quiet -p serin --bin serin -- crd > deploy/crds.yaml.new
	mv deploy/crds.yaml.new deploy/crds.yaml

clean: ## Remove what was built and fetched into the checkout; the user's cache stays
	cargo clean
	rm -rf .tools
