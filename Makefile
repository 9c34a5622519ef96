# `make demo` and `make test` are all that a fresh Debian or Ubuntu machine needs.
VENV    := .venv
PY      := $(VENV)/bin/python
SOURCES := $(shell find src -type f -not -name '*.pyc') pyproject.toml meson.build meson.options

.PHONY: demo test lint bench accuracy build clean

demo: build
	scripts/as-root $(VENV)/bin/vadamon demo

test: build lint
	scripts/system-packages chromium
	scripts/as-root $(PY) -m pytest $(PYTEST_ARGS)

lint: build
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: build
	scripts/as-root $(PY) -m benchmarks

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
