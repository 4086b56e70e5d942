# Every command of the project. `make` alone tells what there is.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
ARGS ?=
TARGET := $(or $(CARGO_TARGET_DIR),target)

CHART := charts/keywright
HELM := $(CARGO) run --quiet --locked --package keywright-sandbox -- helm

# The versions wanted, from the files that pin them.
VERSION := $(shell sed -n '/^\[workspace.package\]/,/^$$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
RUST := $(shell sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
GO := $(shell sed -n 's/^go //p' tools/go.mod)

.PHONY: help
help: ## Tell what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: toolchains ## Show what Keywright does, on a Kubernetes of its own; ARGS=--once ends by itself, ARGS=federated goes from a secret to none, ARGS=certificate has certificates beside somebody else's
	$(CARGO) build --quiet --locked --workspace
	@exec $(TARGET)/debug/keywright-sandbox demo $(ARGS)

.PHONY: test
test: toolchains ## Prove that it works: unit tests, the sandbox's own, and scenarios on a real control plane
	$(CARGO) build --quiet --locked --workspace
	$(TARGET)/debug/keywright-sandbox build
	$(CARGO) test --locked --workspace $(ARGS)

.PHONY: bench
bench: toolchains ## Measure it under 1,000 resources, as it ships; figures for people, which nothing fails by
	$(CARGO) build --quiet --locked --workspace --release
	@exec $(TARGET)/release/keywright-bench $(ARGS)

.PHONY: sweep
sweep: toolchains ## Kill the operator around every request of a first issue, a rotation, a set-up of federation, a migration and the life of a certificate, and see each end well
	$(CARGO) build --quiet --locked --workspace
	$(TARGET)/debug/keywright-sandbox build
	$(CARGO) test --quiet --locked --test scenarios -- --ignored --nocapture --test-threads 1 sweep

.PHONY: soak
soak: toolchains ## Rotate 2,000 times in foul weather from a seed, and see every promise kept; takes half an hour
	$(CARGO) build --quiet --locked --workspace
	$(TARGET)/debug/keywright-sandbox build
	$(CARGO) test --quiet --locked --test scenarios -- --ignored --nocapture soak

.PHONY: conformance
conformance: toolchains ## Hold the simulator of Azure to Microsoft's own Python clients; needs Python 3.11
	$(CARGO) build --quiet --locked --package keywright-sandbox
	tests/conformance/run $(ARGS)

.PHONY: check
check: toolchains ## Format, lints, docs without warnings, generated files current
	$(CARGO) fmt --all --check
	$(CARGO) clippy --quiet --locked --workspace --all-targets
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --quiet --locked --workspace --no-deps --document-private-items
	$(CARGO) run --quiet --locked --package keywright -- crds --check --dir crds
	@$(MAKE) --no-print-directory chart
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --offline --locked --workspace check bans licenses sources; \
	else echo "cargo-deny is not installed: licences, bans and sources were not checked (cargo install cargo-deny)"; fi

.PHONY: crds
crds: ## Write crds/ anew from the types in src/api, and the chart's copy of it
	$(CARGO) run --quiet --locked --package keywright -- crds --dir crds
	$(CARGO) run --quiet --locked --package keywright -- crds --dir $(CHART)/files/crds

.PHONY: chart
chart: toolchains ## Hold the chart to its own rules, to the definitions and to the versions
	$(CARGO) run --quiet --locked --package keywright -- crds --check --dir $(CHART)/files/crds
	@[ "$$(sed -n 's/^appVersion: //p' $(CHART)/Chart.yaml)" = "$(VERSION)" ] || \
	  { echo "appVersion in $(CHART)/Chart.yaml is not $(VERSION), the version in Cargo.toml"; exit 1; }
	@grep -q '^FROM docker.io/library/rust:$(RUST)-' Dockerfile || \
	  { echo "Dockerfile does not build with Rust $(RUST), which rust-toolchain.toml wants"; exit 1; }
	@for values in $(CHART)/ci/*.yaml; do $(HELM) lint --quiet --strict $(CHART) --values $$values; done

.PHONY: clean
clean: ## Remove everything that was built
	$(CARGO) clean

.PHONY: toolchains
toolchains:
	@command -v $(CARGO) >/dev/null || { echo "Rust $(RUST) is missing: install it from https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { echo "A C compiler is missing: install gcc or clang"; exit 1; }
	@[ -n "$${KUBEBUILDER_ASSETS:-}" ] || command -v go >/dev/null || \
	  { echo "Go $(GO) or newer is missing: install it from https://go.dev/dl, or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver, …, helm, and what else tests run"; exit 1; }
