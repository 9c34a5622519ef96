# `make demo` and `make test` are all that a fresh Debian or Ubuntu machine needs.
VENV    := .venv
PY      := $(VENV)/bin/python
SOURCES := $(shell find src -type f -not -name '*.pyc') pyproject.toml meson.build meson.options
# What boots other kernels under QEMU, and what builds one (tests/vm).
LAB_PACKAGES          := qemu-system-x86 busybox-static cpio e2fsprogs
KERNEL_BUILD_PACKAGES := make flex bison bc libssl-dev dwarves xz-utils

.PHONY: demo test test-vm vm-kernel lint bench bench-vm bench-vm-ways bench-vm-6.12 bench-vm-built accuracy build clean

demo: build
	scripts/as-root $(VENV)/bin/vadamon demo

test: build lint
	scripts/system-packages file less  # damo needs them
	scripts/system-packages chromium
	scripts/system-packages $(LAB_PACKAGES)
	scripts/as-root $(PY) -m pytest $(PYTEST_ARGS)

# All tests in all kernels of the lab, under QEMU.
test-vm: build vm-kernel
	VADAMON_VM=all $(PY) -m pytest tests/vm $(PYTEST_ARGS)

# The kernel with the idle page bitmap: about ten minutes, once.
vm-kernel: build
	scripts/system-packages $(LAB_PACKAGES) $(KERNEL_BUILD_PACKAGES)
	$(PY) -m tests.vm built

lint: build
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: build
	scripts/as-root $(PY) -m benchmarks

# Side by side with the kernel's own DAMON, in guests, as many at a time as there are processors: most of an hour.
BENCH_VM := $(PY) -m tests.vm --timeout 7200 --cpus 1 --memory 2048
bench-vm: build vm-kernel
	$(MAKE) -j$$(nproc) -O bench-vm-ways bench-vm-6.12 bench-vm-built

bench-vm-ways: build
	$(BENCH_VM) 6.12 env VADAMON_MIB=1024 VADAMON_ROUNDS=1 VADAMON_SWEEP_US=2500 $(CURDIR)/$(PY) -m benchmarks ways

bench-vm-6.12: build
	$(BENCH_VM) 6.12 $(CURDIR)/$(PY) -m benchmarks _side_by_side

bench-vm-built: build
	$(BENCH_VM) built env VADAMON_BACKENDS="kernel page-idle page-table" $(CURDIR)/$(PY) -m benchmarks _side_by_side

accuracy: build  # the tables of docs/accuracy.md
	$(PY) -m benchmarks accuracy

build: $(VENV)/installed

$(VENV)/tools: pyproject.toml scripts/system-packages
	scripts/system-packages
	python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade 'pip>=25.1'
	$(PY) -m pip install --quiet --group build --group test
	touch $@

$(VENV)/installed: $(VENV)/tools $(SOURCES)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m pip install --quiet --no-build-isolation -C build-dir=build/$(notdir $(VENV)) .
	touch $@

clean:
	rm -rf $(VENV) build
