"""Tell which memory of a running process is hot, cold or dead.

DAMON's monitoring of virtual address spaces (Linux ``mm/damon/vaddr.c``) from user space.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vadamon.attrs import Attrs as Attrs
    from vadamon.errors import VadamonError as VadamonError
    from vadamon.mappings import Mapping as Mapping
    from vadamon.mappings import Mappings as Mappings
    from vadamon.regions import Regions as Regions
    from vadamon.snapshot import SampleHealth as SampleHealth
    from vadamon.snapshot import Snapshot as Snapshot

# Loaded when first used, so that `vadamon --help` does not wait for NumPy.
_HOME = {
    "Attrs": "vadamon.attrs",
    "Mapping": "vadamon.mappings",
    "Mappings": "vadamon.mappings",
    "Regions": "vadamon.regions",
    "SampleHealth": "vadamon.snapshot",
    "Snapshot": "vadamon.snapshot",
    "VadamonError": "vadamon.errors",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'vadamon' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
