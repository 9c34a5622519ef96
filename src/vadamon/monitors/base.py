"""What all monitors have in common."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from vadamon.attrs import Attrs
from vadamon.mappings import Mappings
from vadamon.snapshot import Snapshot


class MonitoredTarget(Protocol):
    """One target, as whoever takes the snapshots sees it."""

    @property
    def target_id(self) -> int:
        """The id its snapshots carry; of processes, the pid."""

    @property
    def mappings(self) -> Mappings:
        """Its mappings when they were last looked up."""


@runtime_checkable
class EndsOnTime(Protocol):
    """A monitor that can end within an aggregation interval.

    Optional beside `Monitor`: one that lacks it is stopped after the interval in which its time is over.
    """

    duration_ns: int | None
    """For how long to monitor; None is as long as there are targets. To be set before the first snapshot is taken."""


class Monitor(Protocol):
    """An iterator of `Snapshot`, and a context manager that lets go of the targets at its end."""

    @property
    def attrs(self) -> Attrs:
        """The attributes it keeps to now."""

    @property
    def targets(self) -> Sequence[MonitoredTarget]:
        """Those that are still monitored."""

    def stop(self) -> None:
        """End soon, with what was seen; to be called from anywhere, a signal handler too."""

    def close(self) -> None:
        """Let go of all targets; there are no more snapshots."""

    def __iter__(self) -> Iterator[Snapshot]: ...

    def __next__(self) -> Snapshot: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class SnapshotIterator(ABC):
    """What makes a `Monitor` of a generator, ``_snapshots``: an iterator, and a context manager that closes it."""

    _snapshots: Generator[Snapshot]

    @abstractmethod
    def close(self) -> None:
        """Let go of all targets; there are no more snapshots."""

    def __iter__(self) -> Iterator[Snapshot]:
        return self

    def __next__(self) -> Snapshot:
        return next(self._snapshots)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
