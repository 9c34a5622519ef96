"""Run all benchmarks, or those that are named: ``python -m benchmarks [NAME...]``."""

import importlib
import pkgutil
import sys

import benchmarks

names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")]
for name in sys.argv[1:] or names:
    module = importlib.import_module(f"benchmarks.{name}")
    print(f"## {module.__doc__.splitlines()[0].rstrip('.')}\n", flush=True)
    module.main()
    print(flush=True)
