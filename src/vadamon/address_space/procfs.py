"""What /proc tells about a process."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from vadamon.errors import VadamonError
from vadamon.mappings import Mappings

_PF_KTHREAD = 0x00200000
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


class _Stat:
    """The fields of /proc/PID/stat that matter here."""

    def __init__(self, text: bytes) -> None:
        # The name in parentheses may hold anything, so the fields are counted from its last one.
        fields = text[text.rindex(b")") + 2 :].split()
        self.state = fields[0].decode()
        self.ppid = int(fields[1])
        self.flags = int(fields[6])

    @property
    def ended(self) -> bool:
        return self.state in "ZX"


def _stat(path: Path) -> _Stat | None:
    try:
        return _Stat((path / "stat").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return None


def threads(pid: int) -> list[int]:
    """Return the ids of the threads of a process that still run, its main thread first if it is among them."""
    tasks = Path("/proc") / str(pid) / "task"
    try:
        tids = sorted(int(task.name) for task in tasks.iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [tid for tid in tids if (stat := _stat(tasks / str(tid))) and not stat.ended]


def check_target(pid: int) -> int:
    """Return the id of a thread of a process: its main thread, if that still runs.

    Raises VadamonError where there is no such process, or it has no memory of its own to watch.
    """
    process = Path("/proc") / str(pid)
    stat = _stat(process)
    if stat is None:
        raise _no_process(pid)
    if stat.flags & _PF_KTHREAD:
        raise VadamonError(f"process {pid} ({name(pid)}) is a kernel thread: it has no address space of its own")
    for tid in threads(pid):
        return tid
    raise VadamonError(f"process {pid} ({name(pid)}) is a zombie: it has ended, and its memory is gone")


def open_target(pid: int) -> tuple[int, int]:
    """Return a pidfd of a process, and the id of a thread of it; raises VadamonError as `check_target`."""
    tid = check_target(pid)
    try:
        return os.pidfd_open(pid), tid
    except ProcessLookupError as error:  # it has just ended
        raise _no_process(pid) from error


def _no_process(pid: int) -> VadamonError:
    return VadamonError(f"no process {pid}: see `ps -e` for those that run")


def parent(pid: int) -> int:
    """Return the parent of a process, 0 where it has ended."""
    stat = _stat(Path("/proc") / str(pid))
    return stat.ppid if stat else 0


def name(pid: int) -> str:
    """Return the name of a process, "?" where it has ended."""
    try:
        return (Path("/proc") / str(pid) / "comm").read_text(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return "?"


def command_line(pid: int) -> list[str]:
    """Return the arguments a process was started with; empty where it has ended."""
    try:
        text = (Path("/proc") / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [os.fsdecode(word) for word in text.split(b"\0")[:-1]]


def resident(pid: int) -> int:
    """Return how many bytes of a process are in memory, 0 where it has ended."""
    # Once the main thread has ended, only the others tell.
    nr_pages = _nr_resident_pages(pid) or next(map(_nr_resident_pages, threads(pid)), 0)
    return nr_pages * _PAGE_SIZE


def _nr_resident_pages(tid: int) -> int:
    try:
        statm = os.open(f"/proc/{tid}/statm", os.O_RDONLY)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    try:
        return int(os.read(statm, 256).split()[1])
    except ProcessLookupError:
        return 0
    finally:
        os.close(statm)


def uids(pid: int) -> list[int]:
    """Return the real, the effective and the saved user id of a process; none where it has ended."""
    try:
        text = (Path("/proc") / str(pid) / "status").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(uid) for uid in text.partition("\nUid:")[2].split()[:3]]


def children(pid: int) -> Iterator[int]:
    """Yield the children of a process, and theirs, as far as they run now."""
    waiting = [pid]
    while waiting:
        for child in _own_children(waiting.pop()):
            yield child
            waiting.append(child)


def _own_children(pid: int) -> list[int]:
    found: list[int] = []
    for tid in threads(pid):
        path = Path("/proc") / str(pid) / "task" / str(tid) / "children"
        try:
            found += map(int, path.read_text().split())
        except ProcessLookupError:
            continue
        except FileNotFoundError:  # the thread has ended, or the kernel is built without CONFIG_PROC_CHILDREN
            found += _children_by_search(pid) if path.parent.exists() else []
    return list(dict.fromkeys(found))


def _children_by_search(pid: int) -> list[int]:
    stats = ((process, _stat(process)) for process in Path("/proc").iterdir() if process.name.isdigit())
    return [int(process.name) for process, stat in stats if stat and stat.ppid == pid and not stat.ended]


class Newcomers:
    """Descendants of processes that have not been seen before."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._seen = set(pids)

    def of(self, pids: Iterable[int]) -> Iterator[int]:
        """Yield the descendants of ``pids`` that run now, each only once ever."""
        for pid in pids:
            for child in children(pid):
                if child not in self._seen:
                    self._seen.add(child)
                    yield child


class MapsFile:
    """The mappings of a process, parsed again only when they changed."""

    def __init__(self) -> None:
        self._text = b""
        self._mappings = Mappings()

    def read(self, tid: int) -> Mappings:
        """Return the mappings that one thread sees; none where it has ended.

        Raises VadamonError where the caller may not read them.
        """
        try:
            text = (Path("/proc") / str(tid) / "maps").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            text = b""
        except PermissionError as error:
            raise VadamonError(
                f"process {tid} ({name(tid)}): no right to read its mappings: "
                "run as its owner, as root, or with CAP_SYS_PTRACE"
            ) from error
        if text != self._text:
            self._text, self._mappings = text, Mappings.from_maps(text)
        return self._mappings
