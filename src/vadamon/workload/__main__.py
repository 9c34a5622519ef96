"""The process of a workload: ``python -m vadamon.workload LOG SPEC [PARENT]``.

It says "ready" once all areas are populated, and then runs until it is killed or its parent has ended. PARENT is the
pid of a parent that may have ended already.
"""

import os
import re
import signal
import socket
import sys
import tempfile
from pathlib import Path

from vadamon._native import workload as native
from vadamon.errors import VadamonError
from vadamon.workload import log
from vadamon.workload.spec import Area, Pattern, Sweep, number_patterns, pattern_kind, spec_from_json

_NativePattern = tuple[str, int, int, int, int, int, int, int]

_REMEDIES = {
    "hugetlb": "reserve huge pages with sysctl vm.nr_hugepages",
    "mlocked": "raise the limit with ulimit -l",
}


def main() -> None:
    """Do what the command line says; every failure is one line."""
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python -m vadamon.workload LOG SPEC [PARENT]")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler would wait for run() to return
    try:
        native.die_with_parent(int(sys.argv[3]) if len(sys.argv) == 4 else os.getppid())
        areas = spec_from_json(sys.argv[2])
        log_fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        _run(areas, log_fd)
    except (OSError, ValueError, VadamonError) as error:
        sys.exit(f"workload: {error}")


def _run(areas: list[Area], log_fd: int) -> None:
    # The sibling is forked before there is private memory, which would become shared with it.
    shared = [_place(area) for area in areas if area.kind == "shared"]
    sibling, go = _fork_sibling(shared, areas, log_fd) if shared else (None, None)
    placed = shared + [_place(area) for area in areas if area.kind != "shared"]
    placed.sort(key=lambda area: areas.index(area.area))  # the order of the specification numbers the patterns

    os.write(log_fd, log.header(os.getpid(), sibling, placed))
    for area in placed:
        native.populate(log_fd, area.area.kind, area.start, area.area.size)
        if area.area.kind == "huge":
            _check_huge(area)
    if go is not None:
        go.send(b"g")
        if not go.recv(1):
            raise VadamonError("the second process of the shared areas has ended")
    print("ready", flush=True)
    native.run(log_fd, _native_patterns(areas, placed, of_sibling=False))


def _place(area: Area) -> log.PlacedArea:
    try:
        if area.kind == "file":
            return log.PlacedArea(area, _map_file(area))
        return log.PlacedArea(area, native.map_area(area.kind, area.size))
    except OSError as error:
        remedy = _REMEDIES.get(area.kind, "make it smaller")
        raise VadamonError(
            f"area {area.name!r}: no {area.size} bytes of {area.kind} memory to be had ({error.strerror}): {remedy}"
        ) from error


def _map_file(area: Area) -> int:
    # In /var/tmp, as /tmp may be a tmpfs, whose pages are not those of a file. It has no name any more once it is
    # mapped, so that it goes with the process; it is all hole, so that it takes no space on the disk.
    with tempfile.NamedTemporaryFile(prefix=f"vadamon-{area.name}-".replace("/", "_"), dir="/var/tmp") as file:
        os.ftruncate(file.fileno(), area.size)
        return native.map_area(area.kind, area.size, file.fileno())


def _fork_sibling(shared: list[log.PlacedArea], areas: list[Area], log_fd: int) -> tuple[int, socket.socket]:
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        theirs.close()
        return pid, ours
    ours.close()
    try:
        native.die_with_parent(parent)
        if theirs.recv(1):
            for area in shared:
                native.touch(area.start, area.area.size)
            theirs.send(b"r")
            native.run(log_fd, _native_patterns(areas, shared, of_sibling=True))
    finally:
        os._exit(1)


def _native_patterns(areas: list[Area], placed: list[log.PlacedArea], of_sibling: bool) -> list[_NativePattern]:
    start_of = {area.area.name: area.start for area in placed}
    return [
        _native_pattern(number, area, start_of[area.name], pattern)
        for number, (area, pattern, siblings) in enumerate(number_patterns(areas))
        if siblings == of_sibling
    ]


def _native_pattern(number: int, area: Area, start: int, pattern: Pattern) -> _NativePattern:
    period_ns, stride, move_every_ns, nr_windows = 0, 0, 0, 1
    if isinstance(pattern, Sweep):
        period_ns, stride, nr_windows = pattern.period_us * 1_000, pattern.stride, pattern.nr_windows(area.size)
        move_every_ns = int((pattern.move_every_s or 0) * 1e9)
    place = (start + pattern.offset, pattern.length)
    return (pattern_kind(pattern), number, *place, period_ns, stride, move_every_ns, nr_windows)


def _check_huge(area: log.PlacedArea) -> None:
    smaps = Path("/proc/self/smaps").read_text()
    found = re.search(rf"^{area.start:x}-.*?^AnonHugePages: *(\d+) kB", smaps, re.MULTILINE | re.DOTALL)
    huge = int(found[1]) << 10 if found else 0
    if huge != area.area.size:
        raise VadamonError(
            f"area {area.area.name!r}: only {huge} of {area.area.size} bytes are in huge pages: write madvise to "
            "/sys/kernel/mm/transparent_hugepage/enabled, or make it smaller"
        )


if __name__ == "__main__":
    main()
