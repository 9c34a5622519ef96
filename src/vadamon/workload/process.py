"""A workload in a process of its own, as its parent sees it."""

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType

from vadamon.errors import VadamonError
from vadamon.workload.log import Log, PlacedArea
from vadamon.workload.spec import Area, check_spec, spec_to_json


class Workload:
    """Start a process with these areas; on return all of them are populated and the patterns run.

    Use it as a context manager, or call `close`: the process, its sibling and their memory are gone then, and the log
    stays readable. They are gone too as soon as the thread that made the workload has ended, however it ended.

    The process is a Python interpreter without NumPy, of about 10 MB beside its areas. Where there are shared areas it
    has a sibling, forked from it, with which it shares the interpreter's memory as well.

    Raises ValueError for areas that cannot be, VadamonError where the process cannot have one of them.
    """

    def __init__(self, areas: Sequence[Area]) -> None:
        check_spec(areas)
        log_fd = os.memfd_create("vadamon-workload-log")
        try:
            self._process = _start(log_fd, spec_to_json(areas))
        except BaseException:
            os.close(log_fd)
            raise
        self.log = Log(log_fd)
        self._sibling = None if self.log.sibling is None else os.pidfd_open(self.log.sibling)

    @property
    def pid(self) -> int:
        """The process to watch."""
        return self.log.pid

    @property
    def areas(self) -> dict[str, PlacedArea]:
        """Where the areas are, by their names."""
        return self.log.areas

    def close(self) -> None:
        """Kill the process, and wait until nothing is left of it."""
        self._process.kill()
        self._process.wait()
        if self._sibling is not None:
            select.select([self._sibling], [], [])  # the kernel kills it as its parent ends
            os.close(self._sibling)
            self._sibling = None
        self.log.close()

    def __enter__(self) -> "Workload":
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _start(log_fd: int, spec: str) -> "subprocess.Popen[bytes]":
    # Without the current directory on its path (-P). In a session of its own: Ctrl-C is for the parent to handle.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "vadamon.workload", f"/proc/self/fd/{log_fd}", spec, str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[log_fd],
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            said = process.stdout.readline()
            if said == b"ready\n":
                return process
            lines = (said + process.stdout.read()).decode(errors="replace").strip().splitlines()
        except BaseException:
            process.kill()
            process.wait()
            raise
    status = process.wait()
    raise VadamonError(lines[-1] if lines else f"the workload ended at its start, with status {status}")
