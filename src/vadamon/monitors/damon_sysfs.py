"""A kdamond of our own, through the kernel's sysfs interface for DAMON (``mm/damon/sysfs.c``).

The kernel has one list of kdamonds for all, whose length can only be set anew: that drops those that exist, and fails
while one of them runs. So ours is made only where there is none, or only what a vadamon that was killed has left: it
is known by a number that it bears where the kernel ignores it. Whatever else is there belongs to somebody else, whether
it runs or is only configured, and is left alone.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Sequence
from pathlib import Path

from vadamon.attrs import Attrs
from vadamon.errors import VadamonError

ROOT = Path("/sys/kernel/mm/damon/admin/kdamonds")
MIN_REGION_SIZE = 4096
"""DAMON_MIN_REGION, in bytes."""
_MARK = 0x7661_6461_6D6F_6E
"""Stands in the high watermark of our scheme, which has no metric to be compared with it."""
_WIDEST = {
    "sz": 2**64 - 1,
    "nr_accesses": 2**32 - 1,
    "age": 2**32 - 1,
}
_STOPPING_S = 5.0


class Kdamond:
    """One kdamond that watches processes, from its making until `close`; with ``tells_regions`` it lists its regions.

    Raises VadamonError in one line where the kernel has no such DAMON, where we have no right to it, and where it is
    somebody else's: then nothing is written.
    """

    def __init__(self, pids: Sequence[int], attrs: Attrs, *, tells_regions: bool, root: Path = ROOT) -> None:
        self._root = root
        self._context = root / "0/contexts/0"
        self._lock = _lock(root)
        try:
            _make_room(root)
            self._make()
            self._configure(pids, attrs, tells_regions)
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def is_running(self) -> bool:
        """Whether it still monitors; it ends by itself when its targets have all ended."""
        return _read(self._root / "0/state") == "on"

    @property
    def thread_id(self) -> int:
        """The kernel thread, -1 where it has ended."""
        return int(_read(self._root / "0/pid"))

    def regions(self) -> list[tuple[int, int, int, int]]:
        """Return ``(start, end, nr_accesses, age)`` of all regions, as they are at the end of an aggregation interval.

        It waits for that end. Empty where the kdamond has ended.
        """
        try:
            _write(self._root / "0/state", "update_schemes_tried_regions")
        except OSError:
            return []
        folder = self._context / "schemes/0/tried_regions"
        numbers = sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())
        fields = ("start", "end", "nr_accesses", "age")
        return [tuple(int(_read(folder / str(n) / field)) for field in fields) for n in numbers]  # type: ignore[misc]

    def close(self) -> None:
        """Take the kdamond away: there are none then, as it was before."""
        if self._lock < 0:
            return
        # Once ours has ended by itself, somebody else may have put another in its place.
        if all(_is_ours(self._root, i) for i in range(_nr_kdamonds(self._root))):
            _remove_all(self._root)
        os.close(self._lock)
        self._lock = -1

    def _make(self) -> None:
        _write(self._root / "nr_kdamonds", 1)
        _write(self._root / "0/contexts/nr_contexts", 1)
        _write(self._context / "schemes/nr_schemes", 1)
        _write(_mark_of(self._root, 0), _MARK)

    def _configure(self, pids: Sequence[int], attrs: Attrs, tells_regions: bool) -> None:
        available = _read(self._context / "avail_operations").split()
        if "vaddr" not in available:
            raise VadamonError(
                f"the kernel's DAMON does not watch processes here, only {', '.join(available) or 'nothing'}: "
                "it needs CONFIG_DAMON_VADDR"
            )
        _write(self._context / "operations", "vaddr")
        monitoring = self._context / "monitoring_attrs"
        for name in ("sample_us", "aggr_us", "update_us"):
            _write(monitoring / "intervals" / name, getattr(attrs, name))
        _write(monitoring / "nr_regions/min", attrs.min_nr_regions)
        _write(monitoring / "nr_regions/max", attrs.max_nr_regions)
        _write(self._context / "targets/nr_targets", len(pids))
        for i, pid in enumerate(pids):
            _write(self._context / f"targets/{i}/pid_target", pid)
        _write(self._context / "schemes/0/action", "stat")
        for name, most in _WIDEST.items() if tells_regions else ():
            _write(self._context / "schemes/0/access_pattern" / name / "max", most)

    def _start(self) -> None:
        try:
            _write(self._root / "0/state", "on")
        except OSError as error:
            raise VadamonError(
                f"the kernel's DAMON cannot be started ({error.strerror}): a process has ended, or damon_reclaim or "
                "damon_lru_sort use it (see /sys/module/damon_*/parameters/enabled)"
            ) from error


def _lock(root: Path) -> int:
    """Keep other vadamons out, until the file that is returned is closed."""
    try:
        lock = os.open(root / "nr_kdamonds", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise VadamonError(
            "this kernel has no DAMON to be used: it needs CONFIG_DAMON_VADDR and CONFIG_DAMON_SYSFS"
        ) from error
    except PermissionError as error:
        raise VadamonError("no right to the kernel's DAMON: run as root, or with CAP_DAC_OVERRIDE") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise VadamonError(
            "another vadamon uses the kernel's DAMON: wait for its end, or take another backend"
        ) from error
    return lock


def _make_room(root: Path) -> None:
    """Remove what a vadamon that was killed has left; raises VadamonError, and only reads, for anybody else's."""
    for i in range(_nr_kdamonds(root)):
        if not _is_ours(root, i):
            raise VadamonError(
                f"the kernel's DAMON is somebody else's: {_describe(root, i)}; take another backend, or have whoever "
                f"uses it end it and write 0 to {root / 'nr_kdamonds'}"
            )
    _remove_all(root)


def _nr_kdamonds(root: Path) -> int:
    return int(_read(root / "nr_kdamonds"))


def _mark_of(root: Path, i: int) -> Path:
    return root / str(i) / "contexts/0/schemes/0/watermarks/high"


def _is_ours(root: Path, i: int) -> bool:
    try:
        return int(_read(_mark_of(root, i))) == _MARK
    except FileNotFoundError:
        return False


def _describe(root: Path, i: int) -> str:
    """Return who is in the way; only reads."""
    folder = root / str(i)
    state, thread = _read(folder / "state"), _read(folder / "pid")
    try:
        what = _read(folder / "contexts/0/operations")
    except FileNotFoundError:
        what = "nothing yet"
    running = f"runs (thread {thread})" if state == "on" else "is configured but off"
    return f"kdamond {i} {running} and watches {what}"


def _remove_all(root: Path) -> None:
    """Stop all kdamonds that there are, and remove them: to be called where all are ours."""
    until = time.monotonic() + _STOPPING_S
    nr_kdamonds = _nr_kdamonds(root)
    for i in range(nr_kdamonds):
        with contextlib.suppress(OSError):  # it has ended by itself just now
            if _read(root / str(i) / "state") == "on":
                _write(root / str(i) / "state", "off")
    while nr_kdamonds:
        try:
            _write(root / "nr_kdamonds", 0)
        except OSError:  # one that ends by itself is not gone at once
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _read(path: Path) -> str:
    return path.read_text().strip()


def _write(path: Path, value: int | str) -> None:
    path.write_text(str(value))
