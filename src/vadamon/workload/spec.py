"""What a workload is to do: areas of memory, and the patterns in which they are accessed."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PAGE_SIZE = 4096
HUGE_PAGE_SIZE = 2 << 20
KINDS = ("private", "huge", "shared", "file", "hugetlb", "mlocked")


def _require_multiple(what: str, value: int, unit: int = PAGE_SIZE, at_least: int | None = None) -> None:
    at_least = unit if at_least is None else at_least
    if not isinstance(value, int) or value % unit or value < at_least:
        raise ValueError(f"{what} must be a multiple of {unit} and at least {at_least}, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Read one byte of every ``stride`` bytes of ``[offset, offset + length)`` of the area, once each ``period_us``.

    The sweeps are scheduled on absolute times; periods that were missed are left out. With ``move_every_s``, what is
    swept moves on by ``length`` that often, and begins again at ``offset`` where another ``length`` does not fit in the
    area.

    Raises ValueError where offset, length or stride are not whole pages, or a time is not positive.
    """

    offset: int = 0
    length: int
    period_us: int = 1_000
    stride: int = PAGE_SIZE
    move_every_s: float | None = None

    def __post_init__(self) -> None:
        _require_multiple("offset", self.offset, at_least=0)
        _require_multiple("length", self.length)
        _require_multiple("stride", self.stride)
        if not isinstance(self.period_us, int) or self.period_us < 1:
            raise ValueError(f"period_us must be a whole number of microseconds, at least 1, not {self.period_us!r}")
        if self.move_every_s is not None and not self.move_every_s >= 1e-3:
            raise ValueError(f"move_every_s must be at least 0.001, not {self.move_every_s!r}")

    def expected_nr_accesses(self, sample_us: int, nr_samples: int) -> float:
        """Return the mean nr_accesses that perfect monitoring finds, for pages that each sweep touches.

        A sample sees a page young if a sweep came by between mkold and check, however often. So of sweeps that come
        more often than samples every sample sees one, and of slower ones ``sample_us / period_us`` of the samples do:
        at 5 ms and 20 samples, 20 for a period of 1 ms, 5 for one of 20 ms, 0.5 for one of 200 ms.
        """
        return nr_samples * min(1.0, sample_us / self.period_us)

    def nr_windows(self, area_size: int) -> int:
        """Return how many different ranges are swept in an area of this size: 1 if it does not move."""
        return 1 if self.move_every_s is None else (area_size - self.offset) // self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Read ``[offset, offset + length)`` of the area in address order, again and again, one load a cache line.

    It takes all the time that the sweeps of its workload leave. Each load is an operation.
    """

    offset: int = 0
    length: int

    def __post_init__(self) -> None:
        _require_multiple("offset", self.offset, at_least=0)
        _require_multiple("length", self.length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """Read random cache lines of ``[offset, offset + length)`` of the area, each load waiting for the one before it.

    It takes all the time that the sweeps of its workload leave. Each load is an operation.
    """

    offset: int = 0
    length: int

    def __post_init__(self) -> None:
        _require_multiple("offset", self.offset, at_least=0)
        _require_multiple("length", self.length)


Pattern = Sweep | Stream | Random
_PATTERNS: dict[str, type[Sweep] | type[Stream] | type[Random]] = {"sweep": Sweep, "stream": Stream, "random": Random}


def pattern_kind(pattern: Pattern) -> str:
    """Return "sweep", "stream" or "random"."""
    return type(pattern).__name__.lower()


@dataclass(frozen=True, slots=True)
class Area:
    """One mapping of the workload, of ``size`` bytes, every page of which is touched once at the start.

    ``kind`` is one of

    - private: anonymous memory, in pages of 4 KiB
    - huge: anonymous memory, all of it in transparent huge pages of 2 MiB
    - shared: anonymous memory that a second process, the sibling, has mapped and touched as well
    - file: a shared mapping of a file, in the page cache
    - hugetlb: huge pages of 2 MiB that were reserved by ``vm.nr_hugepages``
    - mlocked: private memory, locked

    ``patterns`` is what the workload goes on to do with it, nothing if there are none. ``sibling_patterns``, of shared
    areas only, is what the sibling does with it, in time with the workload or not.

    Raises ValueError for what cannot be.
    """

    name: str
    kind: str = "private"
    size: int = dataclasses.field(kw_only=True)
    patterns: Sequence[Pattern] = ()
    sibling_patterns: Sequence[Pattern] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"area {self.name!r}: kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        unit = HUGE_PAGE_SIZE if self.kind in ("huge", "hugetlb") else PAGE_SIZE
        _require_multiple(f"area {self.name!r}: size", self.size, unit)
        if self.sibling_patterns and self.kind != "shared":
            raise ValueError(f"area {self.name!r}: only a shared area has sibling_patterns, not a {self.kind} one")
        for pattern in (*self.patterns, *self.sibling_patterns):
            self._check_fits(pattern)

    def _check_fits(self, pattern: Pattern) -> None:
        end = pattern.offset + pattern.length
        if end > self.size:
            raise ValueError(f"area {self.name!r}: a {pattern_kind(pattern)} ends at {end}, the area at {self.size}")
        if isinstance(pattern, Sweep) and pattern.move_every_s is not None and pattern.nr_windows(self.size) < 2:
            raise ValueError(f"area {self.name!r}: there is no room to move a sweep of {pattern.length} bytes")


def check_spec(areas: Sequence[Area]) -> None:
    """Raise ValueError where areas cannot be those of one workload."""
    if not areas:
        raise ValueError("a workload needs at least one area")
    names = [area.name for area in areas]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two areas are named {name!r}: name them differently")


def number_patterns(areas: Sequence[Area]) -> list[tuple[Area, Pattern, bool]]:
    """Return each pattern with its area, and whether it is the sibling's; a log numbers the patterns in this order."""
    return [
        (area, pattern, of_sibling)
        for area in areas
        for of_sibling, patterns in ((False, area.patterns), (True, area.sibling_patterns))
        for pattern in patterns
    ]


def spec_to_json(areas: Sequence[Area]) -> str:
    """Return areas as one line of JSON, for `spec_from_json`."""
    return json.dumps([area_to_dict(area) for area in areas])


def spec_from_json(text: str) -> list[Area]:
    """Return the areas that `spec_to_json` was given; ValueError in one line where the text does not describe any."""
    try:
        areas = [area_from_dict(fields) for fields in json.loads(text)]
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not the description of a workload: {error}") from error
    check_spec(areas)
    return areas


def area_to_dict(area: Area) -> dict[str, Any]:
    """Return an area as JSON's own types."""
    return {
        "name": area.name,
        "kind": area.kind,
        "size": area.size,
        "patterns": [_pattern_to_dict(pattern) for pattern in area.patterns],
        "sibling_patterns": [_pattern_to_dict(pattern) for pattern in area.sibling_patterns],
    }


def area_from_dict(fields: dict[str, Any]) -> Area:
    """Return the area that `area_to_dict` was given."""
    return Area(
        fields["name"],
        fields.get("kind", "private"),
        size=fields["size"],
        patterns=tuple(_pattern_from_dict(p) for p in fields.get("patterns", ())),
        sibling_patterns=tuple(_pattern_from_dict(p) for p in fields.get("sibling_patterns", ())),
    )


def _pattern_to_dict(pattern: Pattern) -> dict[str, Any]:
    return {"kind": pattern_kind(pattern), **dataclasses.asdict(pattern)}


def _pattern_from_dict(fields: dict[str, Any]) -> Pattern:
    parameters = dict(fields)
    kind = parameters.pop("kind")
    if kind not in _PATTERNS:
        raise ValueError(f"a pattern is one of {', '.join(_PATTERNS)}, not {kind!r}")
    return _PATTERNS[kind](**parameters)
