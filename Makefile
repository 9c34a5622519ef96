# `make demo` and `make test` are all that a fresh Debian or Ubuntu machine needs.
VENV    := .venv
PY      := $(VENV)/bin/python
SOURCES := $(shell find src -type f -not -name '*.pyc') pyproject.toml meson.build meson.options

.PHONY: demo test test-vm vm-kernel lint bench bench-vm build clean

demo: build
	scripts/as-root $(VENV)/bin/vadamon demo

test: build lint
	scripts/system-packages lab
	scripts/as-root $(PY) -m pytest $(PYTEST_ARGS)

# All tests in all kernels of the lab, under QEMU.
test-vm: build vm-kernel
	VADAMON_VM=all $(PY) -m pytest tests/vm $(PYTEST_ARGS)

# The kernel with the idle page bitmap: about ten minutes, once.
vm-kernel: build
	scripts/system-packages lab kernel
	$(PY) -m tests.vm built

lint: build
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: build
	scripts/as-root $(PY) -m benchmarks

# Side by side with the kernel's own DAMON, in guests: about ten minutes.
bench-vm: build vm-kernel
	$(PY) -m tests.vm --cpus 1 --memory 2048 6.12 $(CURDIR)/$(PY) -m benchmarks _side_by_side
	$(PY) -m tests.vm --cpus 1 --memory 2048 built env VADAMON_BACKENDS="kernel page-idle page-table" $(CURDIR)/$(PY) -m benchmarks _side_by_side

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
