"""The ways to read accessed bits, and which is the best that works here for a target."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from vadamon.address_space.clear_refs import DEFAULT_CLEAR_BUDGET
from vadamon.attrs import Attrs
from vadamon.errors import VadamonError, VadamonWarning
from vadamon.recording.header import SCAN

if TYPE_CHECKING:
    from vadamon.clock import Clock
    from vadamon.monitors.base import Monitor

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Options:
    """How to monitor, beside the attributes."""

    follow_children: bool = False
    """Take in descendants too, those of now and those to come."""
    clear_budget: float = DEFAULT_CLEAR_BUDGET
    """Share of one core that may be spent on clearing what can only be cleared all at once."""
    clock: "Clock | None" = None
    flush_budget: float | None = None
    """Share of its time that a target may lose to flushes of its TLB; if not given, as the backend has it."""


Open = Callable[[Sequence[int], Attrs, Options], "Monitor"]


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to read accessed bits.

    ``open(pids, attrs, options)`` gives a monitor, or raises VadamonError in one line that says why one of the
    processes cannot be watched in this way, and what would help; what is in use by others it leaves alone.
    """

    name: str
    shows: str
    """What it finds: the end of a sentence."""
    how: str
    rights: str
    """What it needs instead of full root."""
    open: Open
    samples: bool = True
    """Whether its snapshots are sums of samples, of which some may be late."""
    default_attrs: Attrs = field(default_factory=Attrs)


def _open_page_table(pids: Sequence[int], attrs: Attrs, options: Options) -> "Monitor":
    from vadamon.address_space.page_table import DEFAULT_FLUSH_BUDGET, PageTableAddressSpace
    from vadamon.monitors.live import ProcessMonitor

    return ProcessMonitor(
        pids,
        attrs,
        open_space=partial(
            PageTableAddressSpace,
            clear_budget=options.clear_budget,
            flush_budget=options.flush_budget or DEFAULT_FLUSH_BUDGET,
        ),
        follow_children=options.follow_children,
        clock=options.clock,
    )


def _open_page_idle(pids: Sequence[int], attrs: Attrs, options: Options) -> "Monitor":
    from vadamon.address_space.page_idle import PageIdleAddressSpace
    from vadamon.monitors.live import ProcessMonitor

    return ProcessMonitor(
        pids,
        attrs,
        open_space=PageIdleAddressSpace,
        follow_children=options.follow_children,
        clock=options.clock,
    )


def _open_kernel(pids: Sequence[int], attrs: Attrs, options: Options) -> "Monitor":
    from vadamon.monitors.kernel import KernelMonitor

    return KernelMonitor(pids, attrs, follow_children=options.follow_children, clock=options.clock)


def _open_referenced(pids: Sequence[int], attrs: Attrs, options: Options) -> "Monitor":
    from vadamon.monitors.referenced import ReferencedMonitor

    return ReferencedMonitor(
        pids,
        attrs,
        follow_children=options.follow_children,
        budget=options.clear_budget,
        clock=options.clock,
    )


def _open_scanner(pids: Sequence[int], attrs: Attrs, options: Options, budget: float | None) -> "Monitor":
    from vadamon.monitors.live_scanning import ProcessScanner

    return ProcessScanner(
        pids,
        attrs,
        budget=budget,
        follow_children=options.follow_children,
        clear_budget=options.clear_budget,
        clock=options.clock,
    )


def scanning(budget: float | None) -> Backend:
    """Return the backend that looks at every page, as often as ``budget`` (a share of one core) allows.

    Without a budget, as often as the attributes say.
    """
    return Backend(
        SCAN,
        shows="the heat of every page",
        how="all page tables read by an eBPF walk, cleared by process_madvise",
        rights="what page-table needs",
        open=partial(_open_scanner, budget=budget),
        default_attrs=Attrs(sample_us=100_000, aggr_us=1_000_000, max_nr_regions=100_000),
    )


def _open_comparer(pids: Sequence[int], attrs: Attrs, options: Options) -> "Monitor":
    from vadamon.monitors.live_compared import ProcessComparer

    return ProcessComparer(pids, attrs, clear_budget=options.clear_budget, clock=options.clock)


COMPARING = Backend(
    "page-table",
    shows="what a sample of pages tells, and what all of them do",
    how="all page tables read by an eBPF walk, cleared by process_madvise",
    rights="what page-table needs",
    open=_open_comparer,
)
"""Gives a `ComparedMonitor`."""

BACKENDS = {
    backend.name: backend
    for backend in (  # the best first
        Backend(
            "page-table",
            shows="hot and cold memory down to single pages",
            how="read by an eBPF page-table walk, cleared by process_madvise",
            rights="CAP_BPF, CAP_PERFMON and CAP_SYS_NICE; for processes of other users CAP_SYS_PTRACE too; for memory "
            "of theirs that several processes map CAP_DAC_OVERRIDE too",
            open=_open_page_table,
        ),
        Backend(
            "page-idle",
            shows="hot and cold memory down to single pages",
            how="read and cleared through the idle page bitmap",
            rights="CAP_SYS_ADMIN and CAP_DAC_OVERRIDE; for processes of other users CAP_SYS_PTRACE too",
            open=_open_page_idle,
        ),
        Backend(
            "kernel",
            shows="what the kernel's own DAMON finds",
            how="a kdamond of our own, by sysfs and the tracepoint damon_aggregated",
            rights="CAP_DAC_OVERRIDE, which is little less than root; for processes of other users CAP_SYS_PTRACE too",
            open=_open_kernel,
        ),
        Backend(
            "referenced",
            shows="how much of each mapping is used, but not where in it (the coarse mode)",
            how="cleared by clear_refs, read from smaps",
            rights="nothing for your own processes; for those of other users CAP_SYS_PTRACE and CAP_DAC_OVERRIDE",
            open=_open_referenced,
            samples=False,
            # Each interval costs two walks of all that is resident, so intervals are longer.
            default_attrs=Attrs(aggr_us=500_000),
        ),
    )
}
BEST = next(iter(BACKENDS.values()))


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend that works for some processes, and why others, by name, do not."""

    backend: Backend
    refused: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return in one line which it is and why, and what would make the best work."""
        chosen = f"backend {self.backend.name} shows {self.backend.shows}"
        if BEST.name not in self.refused:
            return chosen
        return f"{chosen}; {BEST.name} would show {BEST.shows}, but: {self.refused[BEST.name]}"


def choose(name: str, pids: Sequence[int]) -> Choice:
    """Return the named backend, or for "auto" the best one that works here for these processes, found by trying.

    Raises VadamonError where one of ``pids`` cannot be watched by any means, or no backend works for all of them, and
    ValueError where there is none of this name.
    """
    from vadamon.address_space import procfs

    if name != AUTO and name not in BACKENDS:
        raise ValueError(f"no backend {name!r}: there are {', '.join([AUTO, *BACKENDS])}")
    for pid in pids:
        procfs.check_target(pid)
    if name != AUTO:
        return Choice(BACKENDS[name])
    refused: dict[str, str] = {}
    for backend in BACKENDS.values():
        try:
            backend.open(pids, backend.default_attrs, Options()).close()
        except VadamonError as error:
            refused[backend.name] = str(error)
        else:
            return Choice(backend, refused)
    raise VadamonError(f"{list(refused.values())[-1]} (no backend works here; `vadamon doctor` tells more)")


def monitor(
    pid: int | Sequence[int],
    attrs: Attrs | None = None,
    *,
    backend: str = AUTO,
    follow_children: bool = False,
    clear_budget: float = DEFAULT_CLEAR_BUDGET,
) -> "Monitor":
    """Watch one process or several.

    >>> with vadamon.monitor(pid) as snapshots:     # doctest: +SKIP
    ...     for snapshot in snapshots:
    ...         print(snapshot.nr_accesses, "of", snapshot.nr_samples)

    ``backend`` is one of `BACKENDS`, or "auto": the best that works here for these processes. Where that is not the
    best of all, a VadamonWarning says which it is, and why. Without ``attrs`` the defaults of the backend are taken;
    with an ``intervals_goal`` in them intervals are tuned as it runs, and ``attrs`` of the monitor are those of now.
    ``clear_budget`` is the share of one core that may be spent on clearing memory that can only be cleared all at once.

    Raises VadamonError where one of the processes cannot be watched, saying why and what would help.
    """
    pids = [pid] if isinstance(pid, int) else pid
    choice = choose(backend, pids)
    opened = choice.backend.open(
        pids, attrs or choice.backend.default_attrs, Options(follow_children=follow_children, clear_budget=clear_budget)
    )
    if choice.refused:
        warnings.warn(str(choice), VadamonWarning, stacklevel=2)
    return opened
