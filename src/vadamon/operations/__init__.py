"""Monitoring operations: what the DAMON loop asks of a kind of memory.

A registry, as in the kernel (``damon_register_ops``): bring operations of your own with `register`.
"""

import importlib
from typing import TYPE_CHECKING, cast

from vadamon.errors import VadamonError

if TYPE_CHECKING:
    from vadamon.operations.base import MonitoringOperations

# Loaded when first asked for, so that the command line does not wait for NumPy.
_BUILT_IN = {"vaddr": ("vadamon.operations.vaddr", "VirtualAddressOperations")}
_registered: "dict[str, MonitoringOperations]" = {}


def register(id: str, ops: "MonitoringOperations") -> None:
    """Make ``ops`` known as ``id``; ValueError where that id is taken."""
    if id in _BUILT_IN or id in _registered:
        raise ValueError(f"monitoring operations {id!r} are registered already")
    _registered[id] = ops


def get(id: str) -> "MonitoringOperations":
    """Return the operations known as ``id``; VadamonError where there are none."""
    if id in _BUILT_IN and id not in _registered:
        module, name = _BUILT_IN[id]
        _registered[id] = cast("MonitoringOperations", getattr(importlib.import_module(module), name)())
    if id not in _registered:
        known = ", ".join(sorted({*_BUILT_IN, *_registered}))
        raise VadamonError(f"no monitoring operations {id!r}: use one of {known}, or register them first")
    return _registered[id]
