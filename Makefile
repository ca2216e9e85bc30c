# The commands of the project. `make help` lists them; CI runs `make test`.
SHELL := /bin/bash
.NOTPARALLEL:
# A toolchain that was installed a moment ago is found without a new login.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
.DEFAULT_GOAL := help

# Both may lie elsewhere: a build writes to nothing else.
target := $(or $(CARGO_TARGET_DIR),target)
build := $(or $(WSSTREAM_BUILD_DIR),build)
export PYTHONDONTWRITEBYTECODE := 1
# Most of the programs wait most of the time.
ctest := ctest --output-on-failure --parallel 4 --no-tests=error --test-dir
# One build for all of them: the C programs run against a library without these.
features := --features wsstream/dump,wsstream/fault-injection,wsstream/count-locked
faults := --test fault_injection --test hostile_faults
# What runs over wss as well. The others look at documents and instructions.
secure := $(addprefix --test ,addresses allocations boundaries bounds closed closing compression ends halves handshake hostile leaks malformed opening polling \
	parts prefixes reading statuses writing writing_many)
figures = scripts/with-server --deadline 600 python3 tests/figures/figures.py $(1) \
	$(build)/test/tests/figures/workload $(build)/cargo/release/libwsstream.so

.PHONY: help
help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 24

.PHONY: demo
demo: ## build the library, start the test server and let the example talk to it
	@scripts/prepare demo
	@$(MAKE) --no-print-directory server
	@scripts/quietly "library and examples" scripts/build-c demo -DWSSTREAM_TESTS=OFF
	@scripts/with-server --deadline 30 sh -c '$(build)/demo/examples/echo "$$WSSTREAM_TEST_URL/echo"'

.PHONY: test
test: ## every test
	@scripts/prepare test
	@scripts/side-by-side '$(MAKE) --no-print-directory test-rust' '$(MAKE) --no-print-directory programs'
	@scripts/side-by-side '$(MAKE) --no-print-directory test-c' '$(MAKE) --no-print-directory check-interface'
	@scripts/side-by-side '$(MAKE) --no-print-directory autobahn' '$(MAKE) --no-print-directory test-sanitized test-thread test-python'
	@$(MAKE) --no-print-directory test-figures

.PHONY: check
check: ## the developer's loop: format, lints, licences, interface, tests of Rust and C
	@scripts/prepare check
	@cargo xtask check
	@scripts/check-docs
	@$(MAKE) --no-print-directory test-rust test-c

.PHONY: server
server: ## build the test server
	@scripts/quietly "test server" cargo build --locked --package wsstream-test-server

.PHONY: test-rust
test-rust: ## the tests of the Rust workspace, those with sockets over ws and over wss
	@cargo test --locked --quiet --no-run --workspace $(features)
	@scripts/side-by-side \
		'WSSTREAM_MODEL_SECONDS=0.5 cargo test --locked --quiet --no-fail-fast --workspace $(features)' \
		'CARGO_TERM_COLOR=never WSSTREAM_TEST_SCHEME=wss \
			cargo test --locked --quiet --no-fail-fast --workspace $(features) $(faults) $(secure)'

.PHONY: check-interface
check-interface: ## compare header, manual, book, symbols, layout and scenarios with what is committed
	@for part in "header --check" "symbols --check" "layout --check" "abi --check" docs-lines example "python --check" \
		"conformance --check" "man --check" scenarios; do \
		scripts/quietly "$$part" cargo xtask $$part || exit; done
	@scripts/curl-source $(build)/curl-source
	@scripts/quietly "documents" scripts/check-docs --all

.PHONY: header
header: ## write the header and the lists made from the source
	@for part in header symbols layout abi python conformance man; do cargo xtask $$part || exit; done

.PHONY: documents
documents: ## put the programs into the book's pages, and check blocks and links of every page
	@scripts/check-docs --write

.PHONY: book
book: ## render docs/book as HTML into build/docs/book
	@scripts/prepare book
	@scripts/quietly "book" mdbook build docs/book

required := -DWSSTREAM_EXAMPLES_REQUIRED=ON
build_test = scripts/quietly "C programs" scripts/build-c test $(required) -DWSSTREAM_MEMCHECK=ON
build_sanitized = scripts/quietly "C programs with sanitizers" scripts/build-c sanitized $(required) -DCMAKE_BUILD_TYPE=Debug -DWSSTREAM_SANITIZE=address
build_thread = scripts/quietly "C programs with ThreadSanitizer" scripts/build-c thread $(required) -DCMAKE_BUILD_TYPE=Debug -DWSSTREAM_SANITIZE=thread

# For the other targets there is nothing left to build then.
.PHONY: programs
programs: ## build the C programs and the libraries that they are linked with
	@$(build_test)
	@$(build_sanitized)
	@$(build_thread)

.PHONY: test-c
test-c: ## the C programs against the release library, plain and under valgrind
	@$(build_test)
	@$(ctest) $(build)/test

.PHONY: test-python
test-python: ## the Python binding: its wheel, types, and tests over ws and wss
	@$(build_test)
	@scripts/test-python

.PHONY: test-sanitized
test-sanitized: ## the C programs under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(build_sanitized)
	@$(ctest) $(build)/sanitized

.PHONY: test-thread
test-thread: ## the C programs and the library under ThreadSanitizer
	@$(build_thread)
	@$(ctest) $(build)/thread

.PHONY: autobahn
autobahn: ## the Autobahn test suite
	@$(build_test)
	@tests/autobahn/run.sh $(build)/test/examples/autobahn_testee

.PHONY: test-figures
test-figures: ## compare the costs of a small message with those recorded
	@$(build_test)
	@$(call figures,compare)

.PHONY: bench
bench: ## measure beside other libraries: docs/performance.md and its drawing
	@scripts/prepare test
	@bench/c/prepare
	@scripts/quietly "library" env WSSTREAM_BUILD_DIR=build scripts/build-c bench-library -DWSSTREAM_TESTS=OFF -DWSSTREAM_EXAMPLES=OFF -DWSSTREAM_STATIC=OFF
	@for part in server rust; do scripts/quietly "bench/$$part" \
		cargo build --locked --release --manifest-path bench/$$part/Cargo.toml --target-dir build/bench/cargo || exit; done
	@scripts/quietly "bench/python" bench/python/prepare
	@scripts/quietly "bench/c" sh -c 'cmake -S bench/c -B build/bench -DCMAKE_BUILD_TYPE=Release && cmake --build build/bench'
	@bench/run.py
	@bench/report.py

.PHONY: figures
figures: ## record the costs of a small message
	@scripts/prepare test
	@$(MAKE) --no-print-directory server
	@$(build_test)
	@$(call figures,record)

.PHONY: clean
clean: ## remove everything that was built
	@rm -rf $(build) $(target)
