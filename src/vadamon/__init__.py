"""Tell which memory of a running process is hot, cold or dead.

DAMON's monitoring of virtual address spaces (Linux ``mm/damon/vaddr.c``) from user space.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vadamon.attrs import Attrs as Attrs
    from vadamon.attrs import IntervalsGoal as IntervalsGoal
    from vadamon.backends import monitor as monitor
    from vadamon.errors import VadamonError as VadamonError
    from vadamon.errors import VadamonWarning as VadamonWarning
    from vadamon.mappings import Mapping as Mapping
    from vadamon.mappings import Mappings as Mappings
    from vadamon.monitors.live_scanning import scan as scan
    from vadamon.monitors.working_set import WorkingSet as WorkingSet
    from vadamon.monitors.working_set import working_set as working_set
    from vadamon.recording.header import Header as Header
    from vadamon.recording.header import Target as Target
    from vadamon.recording.reader import Recording as Recording
    from vadamon.recording.reader import open as open
    from vadamon.recording.writer import RecordingWriter as RecordingWriter
    from vadamon.regions import Regions as Regions
    from vadamon.snapshot import SampleHealth as SampleHealth
    from vadamon.snapshot import Snapshot as Snapshot

# Loaded when first used, so that `vadamon --help` does not wait for NumPy.
_HOME = {
    "Attrs": "vadamon.attrs",
    "IntervalsGoal": "vadamon.attrs",
    "Header": "vadamon.recording.header",
    "Mapping": "vadamon.mappings",
    "Mappings": "vadamon.mappings",
    "Regions": "vadamon.regions",
    "Recording": "vadamon.recording.reader",
    "RecordingWriter": "vadamon.recording.writer",
    "SampleHealth": "vadamon.snapshot",
    "Snapshot": "vadamon.snapshot",
    "Target": "vadamon.recording.header",
    "VadamonError": "vadamon.errors",
    "monitor": "vadamon.backends",
    "WorkingSet": "vadamon.monitors.working_set",
    "working_set": "vadamon.monitors.working_set",
    "scan": "vadamon.monitors.live_scanning",
    "VadamonWarning": "vadamon.errors",
    "open": "vadamon.recording.reader",
}

# Without `open`: `from vadamon import *` must not hide Python's own.
__all__ = sorted(_HOME.keys() - {"open"})


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'vadamon' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
