"""Benchmarks: ratios side by side in one run, as Markdown tables. `make bench` runs them all."""
