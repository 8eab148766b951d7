# All tasks of developers and CI. `make` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BENCH_SERVER := target/bench-server
CERTS := certs-dev
CONTROL_PLANE := tools/control-plane
CERT_MANAGER := tools/cert-manager
CA_BUNDLES := tools/ca-bundles
COLLECTOR := tools/collector
HELM := tools/helm
SCRIPTS := .ci/run certs-dev/make.sh $(wildcard manifests/*.sh) tests/e2e/stress.sh tools/build.sh tools/previous/build.sh \
    $(CONTROL_PLANE)/build.sh $(CERT_MANAGER)/build.sh $(COLLECTOR)/build.sh $(CA_BUNDLES)/build.sh $(HELM)/build.sh
# Without Go, skip what is built with it, unless CI or E2E=require is set.
OPTIONAL = $(if $(CI)$(filter require,$(E2E)),,--optional '$1')
# Words that hide the actor; the brackets keep this line from matching. QUOTED matches lines that quote another program.
VAGUE := who[e]ver|some[b]ody|no[b]ody|of [y]ours|\bto[l]d\b|\bte[l]ls?\b
QUOTED := ^$$
TEXTS := .
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= admission differential cost
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
STATIC_TARGET ?= $(HOST)
STATIC = target/$(STATIC_TARGET)/release/clusterprofile-webhook
# The binary contains no paths of the build machine. For another CPU, link with the cross compiler of Debian.
STATIC_FLAGS = -C target-feature=+crt-static --remap-path-prefix=$(CURDIR)=/src \
    --remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=/cargo
STATIC_LINKER = $(if $(filter-out $(HOST),$(STATIC_TARGET)),--config 'target.$(STATIC_TARGET).linker="$(subst -unknown,,$(STATIC_TARGET))-gcc"')

.PHONY: help
help: ## lists all targets
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Build

.PHONY: build
build: ## builds the release binary
	cargo build --locked --release

.PHONY: static
static: ## builds the static binary for images in target/STATIC_TARGET/release; default STATIC_TARGET: this machine
	RUSTFLAGS="$(STATIC_FLAGS)" cargo build --locked --release --target $(STATIC_TARGET) $(STATIC_LINKER)

# Lists all dependencies that cargo resolves, including build dependencies. Reproducible: without paths of the build machine, and
# with the time of the commit. cargo-cyclonedx also writes an SBOM for each other member of the workspace.
.PHONY: sbom
sbom: ## writes the SBOM of the static binary (CycloneDX) to target/STATIC_TARGET/release; requires cargo-cyclonedx
	@cargo cyclonedx --version >/dev/null 2>&1 || \
	    { echo 'sbom: cargo-cyclonedx is missing: cargo install cargo-cyclonedx --locked --version 0.5.9' >&2; exit 1; }
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) cargo cyclonedx --quiet --format json --spec-version 1.5 \
	    --target $(STATIC_TARGET) --override-filename sbom
	mkdir -p $(dir $(STATIC))
	sed 's|$(CURDIR)|/src|g' sbom.json >$(STATIC).cdx.json
	rm sbom.json testkit/sbom.json

.PHONY: image
image: ## builds and pushes the image IMAGE, for this machine's CPU or PLATFORMS; requires podman, buildah or docker
	@manifests/image.sh '$(IMAGE)' '$(PLATFORMS)'

##@ Install

.PHONY: install
install: ## installs the webhook with IMAGE and COMPONENTS into kubectl's cluster, and waits until it is armed
	@manifests/install.sh '$(IMAGE)'

.PHONY: uninstall
uninstall: ## removes the webhook from kubectl's cluster; ClusterProfiles and their definition stay
	@manifests/uninstall.sh

##@ Test

.PHONY: test
test: ## runs all tests; skips the end-to-end tests without Go and KUBEBUILDER_ASSETS
	@$(CONTROL_PLANE)/build.sh $(call OPTIONAL,the end-to-end tests are)
	@$(CERT_MANAGER)/build.sh $(call OPTIONAL,the tests with cert-manager are)
	@$(COLLECTOR)/build.sh $(call OPTIONAL,the test of traces is)
	@$(CA_BUNDLES)/build.sh $(call OPTIONAL,the test of CA data against Go is)
	@$(HELM)/build.sh $(call OPTIONAL,the tests of the chart are)
	cargo test --locked --no-fail-fast

.PHONY: test-image
test-image: static ## tests the content of the image in an empty root, installed by `make install`; requires Go
	@$(CONTROL_PLANE)/build.sh $(call OPTIONAL,the test is)
	STATIC_BINARY=$(CURDIR)/$(STATIC) cargo test --locked --test e2e -- manifests::make

##@ Prove under load

.PHONY: prove-certificates
prove-certificates: ## proves under load that no certificate rotation fails a call; 3 minutes; requires Go
	@$(CONTROL_PLANE)/build.sh $(call OPTIONAL,the proof is)
	cargo test --locked --test proofs -- prove certificates

.PHONY: prove-rollout
prove-rollout: ## proves that no upgrade or rolling restart fails a call; 4 minutes; requires Go
	@$(CONTROL_PLANE)/build.sh $(call OPTIONAL,the proof is)
	@tools/previous/build.sh
	cargo test --locked --test proofs -- prove rollout

.PHONY: prove-overload
prove-overload: export STATIC_BINARY = $(CURDIR)/$(STATIC)
prove-overload: static ## proves that clients that send too much or too slowly block no others; 5 minutes; requires Go
	@$(CONTROL_PLANE)/build.sh $(call OPTIONAL,the proof is)
	cargo test --locked --test proofs -- prove overload

.PHONY: stress
stress: ## repeats the end-to-end tests while LOAD (20) processes keep the machine busy; 1 hour; requires Go
	@$(CONTROL_PLANE)/build.sh
	@$(CERT_MANAGER)/build.sh $(call OPTIONAL,the story with cert-manager is)
	@$(COLLECTOR)/build.sh $(call OPTIONAL,the story of traces is)
	@$(HELM)/build.sh $(call OPTIONAL,the stories of the chart are)
	@tests/e2e/stress.sh

##@ Build the Go programs that tests use

.PHONY: control-plane
control-plane: ## builds etcd, kube-apiserver and kubectl for the end-to-end tests, if missing; requires Go
	@$(CONTROL_PLANE)/build.sh

.PHONY: cert-manager
cert-manager: ## builds cert-manager for the end-to-end tests; requires Go
	@$(CERT_MANAGER)/build.sh

.PHONY: collector
collector: ## builds an OpenTelemetry receiver for the end-to-end tests; requires Go
	@$(COLLECTOR)/build.sh

.PHONY: ca-bundles
ca-bundles: ## builds the Go program that the tests of CA data compare with; requires Go
	@$(CA_BUNDLES)/build.sh

.PHONY: helm
helm: ## builds helm for the tests of the chart; requires Go
	@$(HELM)/build.sh

##@ Develop

.PHONY: lint
lint: ## checks formatting, words, clippy, licenses and sources of dependencies, shell scripts and the chart
	@found=$$(git grep -niE '$(VAGUE)' -- $(TEXTS)) || [ $$? -eq 1 ]; \
	found=$$(grep -vE '$(QUOTED)' <<<"$$found") || exit 0; \
	echo "$$found" >&2; \
	echo 'lint: these lines do not name the actor. Write who acts: API server, client, user, cluster manager, replica,' >&2; \
	echo '  leader. Programs report, log, return or emit. If a line quotes another program, add it to QUOTED.' >&2; \
	exit 1
	cargo fmt --all --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	@cargo metadata --locked --quiet --manifest-path fuzz/Cargo.toml --format-version 1 >/dev/null # Fails if its lock file is stale.
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo check --locked --quiet --manifest-path fuzz/Cargo.toml
	@cargo deny --version >/dev/null 2>&1 || \
	    { echo 'lint: cargo-deny is missing: cargo install cargo-deny --locked --version 0.20.2' >&2; exit 1; }
	cargo deny --locked check bans licenses sources
	@if command -v gofmt >/dev/null; then \
	    unformatted=$$(gofmt -l $(CONTROL_PLANE) $(CERT_MANAGER) $(COLLECTOR) $(CA_BUNDLES)); \
	    [ -z "$$unformatted" ] || { echo "lint: gofmt -w $$unformatted" >&2; exit 1; }; \
	else echo 'lint: gofmt is not installed: Go code is not checked'; fi
	for script in $(SCRIPTS); do bash -n "$$script"; done
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); \
	else echo 'lint: shellcheck is not installed: scripts are only parsed'; fi
	@$(HELM)/build.sh $(call OPTIONAL,the lint of the chart is)
	@if [ -e target/helm/helm ]; then target/helm/helm lint --strict --quiet manifests/chart; fi

.PHONY: fmt
fmt: ## formats the code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml
	@! command -v gofmt >/dev/null || gofmt -w $(CONTROL_PLANE) $(CERT_MANAGER) $(COLLECTOR) $(CA_BUNDLES)

##@ Try

.PHONY: demo
demo: ## shows the webhook over HTTPS, and with Go or KUBEBUILDER_ASSETS also through kubectl
	@[ -e target/debug/examples/demo ] || echo 'demo: the first build takes 2 minutes on 2 cores'
	cargo run --locked --example demo
	@echo 'demo: next, the same writes through kubectl and a real API server'
	@$(CONTROL_PLANE)/build.sh --optional 'the demo through kubectl is'
	@if [ -n "$${KUBEBUILDER_ASSETS:-}" ] || [ -e target/control-plane/kubectl ]; then \
	    cargo run --locked --example demo-kubectl; \
	fi

.PHONY: run
run: certs ## runs the webhook with the development certificate
	cargo run --locked --release -- serve --tls-cert $(CERTS)/tls.crt --tls-key $(CERTS)/tls.key

.PHONY: register
register: certs ## registers `make run` with kubectl's API server, which must run on this machine
	kubectl apply -k manifests/overlays/dev
	kubectl patch -k manifests/overlays/dev --type=json \
	    --patch="[{op: add, path: /webhooks/0/clientConfig/caBundle, value: $$(openssl base64 -A -in $(CERTS)/ca.crt)}]"

.PHONY: certs
certs: ## makes a development CA and certificate in certs-dev, if missing
	$(CERTS)/make.sh

##@ Generate

.PHONY: generate
generate: ## regenerates the CRD, the chart's files, the blocks in README and docs, and with an API server the transcripts
	UPDATE=1 cargo test --locked --quiet --test docs -- the_configuration_file
	UPDATE=1 cargo test --locked --quiet --test manifests -- chart::has
	UPDATE=1 cargo test --locked --quiet --test e2e -- kubectl::
	cargo build --locked --quiet --example demo
	UPDATE=1 cargo test --locked --quiet --test docs

##@ Measure

.PHONY: bench
bench: bench-server ## measures the server over HTTPS against a minimal server; 10 minutes on two idle cores
	cargo bench --locked --quiet --bench https -- latency --server $(BENCH_SERVER)

.PHONY: bench-memory
bench-memory: bench-server ## measures the memory of the server; 3 minutes
	cargo bench --locked --quiet --bench https -- memory --server $(BENCH_SERVER)

.PHONY: bench-start
bench-start: bench-server ## measures the time from exec to the first answered review
	cargo bench --locked --quiet --bench https -- start --server $(BENCH_SERVER)

.PHONY: bench-core
bench-core: ## measures parsing, rules and response without a server
	cargo bench --locked --bench core

.PHONY: bench-worst
bench-worst: ## measures the cost per byte of worst-case bodies against the limits; 15 minutes
	cargo bench --locked --quiet --bench worst

# Measure the release binary: cargo bench would build another one, with features of libraries that only tests need.
.PHONY: bench-server
bench-server:
	cargo build --locked --release
	cp -f target/release/clusterprofile-webhook $(BENCH_SERVER)

.PHONY: instructions
instructions: ## compares instructions per review with the baseline; UPDATE=1 writes it; requires valgrind
	cargo bench --locked --quiet --bench instructions

.PHONY: profile
profile: ## profiles the instructions of a review by function, in target/profile; requires valgrind
	cargo bench --locked --quiet --bench instructions -- profile target/profile
	for file in target/profile/*.callgrind; do \
	    callgrind_annotate --inclusive=yes "$$file" > "$${file%.callgrind}.inclusive.txt"; \
	    callgrind_annotate "$$file" > "$${file%.callgrind}.self.txt"; \
	done

# The tests also run the static binary in an empty root.
##@ Check everything

.PHONY: check
check: export STATIC_BINARY = $(CURDIR)/$(STATIC)
check: lint static sbom test prove-certificates prove-rollout prove-overload instructions ## runs everything that CI runs

.PHONY: fuzz
fuzz: ## fuzzes each target in FUZZ_TARGETS for FUZZ_SECONDS (60); requires nightly Rust and cargo-fuzz
	@cargo +nightly fuzz --version >/dev/null 2>&1 || \
	    { echo 'fuzz: rustup toolchain install nightly && cargo install cargo-fuzz --locked --version 0.13.2' >&2; exit 1; }
	for target in $(FUZZ_TARGETS); do \
	    mkdir -p "fuzz/corpus/$$target"; \
	    cargo +nightly fuzz run "$$target" "fuzz/corpus/$$target" tests/data/admission-reviews -- \
	        -max_total_time=$(FUZZ_SECONDS) -max_len=65536; \
	done
