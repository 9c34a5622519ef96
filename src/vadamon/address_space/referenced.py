"""How many bytes of each mapping a process uses, for which its owner needs no privileges."""

import contextlib
import os
import pwd
import re
import select
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vadamon.address_space import procfs
from vadamon.address_space.clear_refs import ClearRefsFile
from vadamon.errors import VadamonError
from vadamon.mappings import Mappings

_REFERENCED = re.compile(rb"^Referenced: +(\d+) kB$", re.MULTILINE)
_FLAGS = re.compile(rb"^VmFlags: ([a-z0-9? ]*)$", re.MULTILINE)

_ROOT_OR_CAPABILITIES = "as root, or with CAP_SYS_PTRACE and CAP_DAC_OVERRIDE"


@dataclass(frozen=True, slots=True, eq=False)
class ReferencedBytes:
    """The mappings of a process, and of each the ``size`` (uint64[n]) in bytes of its pages that were accessed.

    ``unknown`` (bool[n]) is set for those of hugetlb pages, of which the kernel does not tell.
    """

    mappings: Mappings
    size: NDArray[np.uint64]
    unknown: NDArray[np.bool_]

    @classmethod
    def from_smaps(cls, text: bytes) -> "ReferencedBytes":
        """Parse the text of /proc/PID/smaps."""
        mappings = Mappings.from_maps(text)
        n = len(mappings)  # [vsyscall], which is none of them, comes last
        sizes = [int(kib) << 10 for kib in _REFERENCED.findall(text)[:n]]
        unknown = [b"ht" in flags.split() for flags in _FLAGS.findall(text)[:n]]
        return cls(mappings, np.array(sizes, dtype=np.uint64), np.array(unknown, dtype=np.bool_))


class ReferencedProcess:
    """A process whose accessed bits are cleared all at once, and counted by mapping.

    /proc/PID/clear_refs clears them (and PG_referenced, see `clear_refs_write` of ``fs/proc/task_mmu.c``), and
    ``Referenced:`` of /proc/PID/smaps tells how many bytes have been accessed since. Marks that the kernel makes itself
    count as well: a page of a file that some process read() is one that was accessed.

    Raises VadamonError where the process cannot be watched this way, saying why and what would help.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd, self._tid = procfs.open_target(pid)
        self._poll = select.poll()
        self._poll.register(self._pidfd, select.POLLIN)
        try:
            self._smaps().open("rb").close()  # the right to read it is asked for here
            self._clear_refs = ClearRefsFile(self._tid)
        except OSError as error:
            os.close(self._pidfd)
            raise _no_right(pid, error) from error

    def clear(self) -> None:
        """Clear all accessed bits of the process."""
        try:
            self._clear_refs.clear(files=True, others=True)
        except ProcessLookupError:
            self._look_again()

    def read(self) -> ReferencedBytes | None:
        """Return what has been accessed since `clear`; None where nothing can be said.

        That is so after the end of the process, and once after the end of the thread that it was looked at through.
        Raises VadamonError where a program was executed that may not be looked at.
        """
        try:
            text = self._smaps().read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            text = b""
        except PermissionError as error:
            raise _no_right(self.pid, error) from error
        if not self.is_alive():
            return None
        if not text:
            self._look_again()
            return None
        return ReferencedBytes.from_smaps(text)

    def resident(self) -> int:
        """Return how many bytes are in memory now; 0 once the process has ended."""
        return procfs.resident(self.pid)

    def is_alive(self) -> bool:
        """Tell whether the process still runs."""
        return not self._poll.poll(0)

    def close(self) -> None:
        """Let go of the process. Nothing is left behind in it."""
        self._clear_refs.close()
        os.close(self._pidfd)

    def _smaps(self) -> Path:
        return Path("/proc") / str(self.pid) / "task" / str(self._tid) / "smaps"

    def _look_again(self) -> None:
        """Look at the process through another thread: the main thread may end before others."""
        for tid in procfs.threads(self.pid)[:1]:
            with contextlib.suppress(OSError):  # it has ended, or may not be looked at: seen at the next read
                clear_refs = ClearRefsFile(tid)
                self._clear_refs.close()
                self._clear_refs, self._tid = clear_refs, tid


def _no_right(pid: int, error: OSError) -> VadamonError:
    name = procfs.name(pid)
    if not isinstance(error, PermissionError):
        return VadamonError(f"process {pid} ({name}): {error.filename}: {error.strerror}")
    rights = "with CAP_SYS_PTRACE and CAP_DAC_OVERRIDE" if os.geteuid() == 0 else _ROOT_OR_CAPABILITIES
    uids = procfs.uids(pid)
    if os.getuid() in uids:
        why = "is yours, but not dumpable (it has more rights than you, or hides its memory): run"
    else:
        why = f"belongs to {_user_name(uids[1]) if uids else 'somebody else'}: run as its owner,"
    return VadamonError(f"process {pid} ({name}) {why} {rights}")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
