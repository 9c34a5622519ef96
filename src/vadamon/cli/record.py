"""``vadamon record``: watch processes, or a command to start, and keep what is seen."""

import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vadamon.cli.options import Duration, Share
from vadamon.cli.progress import ProgressLine, in_words
from vadamon.errors import VadamonError

if TYPE_CHECKING:
    import subprocess

    from vadamon.attrs import Attrs
    from vadamon.clock import MonotonicClock
    from vadamon.monitors.sampling import SamplingMonitor
    from vadamon.recording.recorder import Progress


class _Command(click.Command):
    """Takes what stands behind ``--`` as the command to start."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta["command"] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


@click.command(cls=_Command, options_metavar="[OPTIONS]")
@click.option("-o", "--output", type=click.Path(path_type=Path), default="recording.vadamon", show_default=True,
              metavar="FILE", help="Where to; a file that is there is kept as FILE.old.")  # fmt: skip
@click.option("--duration", type=Duration("s"), metavar="TIME", help="End after this time; 10 means 10s.")
@click.option("--sample", type=Duration(), default="5ms", show_default=True, metavar="TIME", help="Sample interval.")
@click.option("--aggr", type=Duration(), default="100ms", show_default=True, metavar="TIME",
              help="Aggregation interval: one snapshot each.")  # fmt: skip
@click.option("--update", type=Duration(), default="1s", show_default=True, metavar="TIME",
              help="How often to look at the mappings again.")  # fmt: skip
@click.option("--min-regions", type=int, default=10, show_default=True, metavar="N", help="At least 3.")
@click.option("--max-regions", type=int, default=1000, show_default=True, metavar="N", help="Bounds the cost.")
@click.option("--backend", type=click.Choice(["auto", "page-table"]), default="auto", show_default=True,
              help="How accessed bits are read; see `vadamon doctor`.")  # fmt: skip
@click.option("--scan", is_flag=True,
              help="Look at every page, not at a sample; without --sample, as often as --budget allows.")  # fmt: skip
@click.option("--budget", type=Share(), default="1%", show_default=True, metavar="SHARE",
              help="With --scan and without --sample: of one core, to spend on it all.")  # fmt: skip
@click.option("--include-children", is_flag=True, help="Watch descendants too, those to come as well.")
@click.option("--clear-budget", type=Share(), default="5%", show_default=True, metavar="SHARE",
              help="Of one core, to spend on clearing memory that several processes map.")  # fmt: skip
@click.argument("pids", nargs=-1, type=int, metavar="(PID... | -- COMMAND [ARG...])")
@click.pass_context
def record(
    ctx: click.Context,
    pids: tuple[int, ...],
    output: Path,
    duration: int | None,
    sample: int,
    aggr: int,
    update: int,
    min_regions: int,
    max_regions: int,
    backend: str,
    scan: bool,
    budget: float,
    include_children: bool,
    clear_budget: float,
) -> int:
    """Watch processes, or a command to start, and keep what is seen in a file.

    Ends with the processes, after --duration, or on Ctrl-C or SIGTERM; all that was seen up to then is in the file.
    A command is started as the user who called sudo, and its exit status is passed on.
    """
    command: list[str] = ctx.meta.get("command", [])
    if bool(pids) == bool(command):
        raise click.UsageError("give the pids to watch, or -- and a command to start")
    from vadamon.attrs import Attrs

    intervals = sample, aggr
    if scan:
        intervals, max_regions = _for_scanning(ctx, *intervals, max_regions)
    try:
        attrs = Attrs(intervals[0] // 1000, intervals[1] // 1000, update // 1000, min_regions, max_regions)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    session = _Session(attrs, output, duration, include_children, clear_budget)
    if scan:
        session.scan_budget = budget if _is_default(ctx, "sample") else None
        session.scan = True
    return session.run_command(command) if command else session.run(list(pids))


def _is_default(ctx: click.Context, option: str) -> bool:
    return ctx.get_parameter_source(option) is click.core.ParameterSource.DEFAULT


def _for_scanning(ctx: click.Context, sample: int, aggr: int, max_regions: int) -> tuple[tuple[int, int], int]:
    """Return intervals and bound for scanning, where the defaults are others than for sampling."""
    from vadamon.monitors.scanning import DEFAULT_MAX_REGIONS, DEFAULT_NR_SCANS

    if _is_default(ctx, "aggr"):
        aggr = DEFAULT_NR_SCANS * sample
    elif _is_default(ctx, "sample"):
        raise click.UsageError("with --scan, --aggr needs --sample: else both intervals follow from --budget")
    return (sample, aggr), DEFAULT_MAX_REGIONS if _is_default(ctx, "max_regions") else max_regions


class _Session:
    """One run of the command."""

    scan = False
    scan_budget: float | None = None

    def __init__(
        self, attrs: "Attrs", output: Path, duration_ns: int | None, include_children: bool, clear_budget: float
    ) -> None:
        self.attrs = attrs
        self.output = output
        self.duration_ns = duration_ns
        self.include_children = include_children
        self.clear_budget = clear_budget

    def run(self, pids: list[int]) -> int:
        """Watch processes that run already."""
        from vadamon.recording.writer import check_writable

        check_writable(self.output)
        ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        with self._monitor(pids) as (monitor, stop), _handlers(dict.fromkeys(ends, lambda _: stop())):
            self._record(monitor)
        return 0

    def run_command(self, command: list[str]) -> int:
        """Start a command, watch it, and return its exit status."""
        from vadamon import launch
        from vadamon.address_space.page_table import PageTableAddressSpace
        from vadamon.recording.writer import check_writable

        # What may fail, fails before the command runs.
        check_writable(self.output)
        PageTableAddressSpace(os.getpid()).close()
        process = launch.start(command)
        with _handlers({number: lambda number: _forward(number, process) for number in launch.FORWARDED}):
            failed = self._watch(process, command[0])
            status = launch.exit_status(process.wait())
        return status or int(failed)

    def _watch(self, process: "subprocess.Popen[bytes]", name: str) -> bool:
        try:
            with self._monitor([process.pid]) as (monitor, _):
                self._record(monitor, lambda: process.poll() is not None)
        except VadamonError as error:
            # The command is not ours to end: it runs on, and its status is still passed on.
            ended = process.poll() is not None
            click.echo(f"vadamon: {f'{name} ended before it could be watched' if ended else error}", err=True)
            return not ended
        return False

    @contextlib.contextmanager
    def _monitor(self, pids: list[int]) -> Iterator[tuple["SamplingMonitor", Callable[[], None]]]:
        from vadamon.clock import MonotonicClock

        clock = MonotonicClock()
        with (self._open_scanner if self.scan else self._open_sampler)(pids, clock) as monitor:

            def stop() -> None:
                monitor.stop()
                clock.interrupt()

            # Its intervals may be long: do not wait for the end of one.
            late_s = monitor.attrs.sample_us / 1e6
            timer = threading.Timer((self.duration_ns or 0) / 1e9 + late_s, stop)
            timer.daemon = True
            if self.scan and self.duration_ns is not None:
                timer.start()
            yield monitor, stop
            timer.cancel()

    def _open_sampler(self, pids: list[int], clock: "MonotonicClock") -> "SamplingMonitor":
        from vadamon.monitors.live import ProcessMonitor

        return ProcessMonitor(
            pids, self.attrs, follow_children=self.include_children, clear_budget=self.clear_budget, clock=clock
        )

    def _open_scanner(self, pids: list[int], clock: "MonotonicClock") -> "SamplingMonitor":
        from vadamon.monitors.live_scanning import ProcessScanner
        from vadamon.units import format_duration

        scanner = ProcessScanner(
            pids,
            self.attrs,
            budget=self.scan_budget,
            follow_children=self.include_children,
            clear_budget=self.clear_budget,
            clock=clock,
        )
        if self.scan_budget is not None:
            click.echo(
                f"vadamon: every page is looked at each {format_duration(scanner.attrs.sample_us * 1000)}, "
                f"to stay within {100 * self.scan_budget:g} % of a core; a snapshot each "
                f"{format_duration(scanner.attrs.aggr_us * 1000)}",
                err=True,
            )
        return scanner

    def _record(self, monitor: "SamplingMonitor", is_over: Callable[[], bool] = lambda: False) -> None:
        from vadamon.recording.header import Header
        from vadamon.recording.recorder import describe, record
        from vadamon.recording.writer import RecordingWriter

        header = Header.here(
            monitor.attrs,
            describe([target.target_id for target in monitor.targets]),
            backend="page-table",
            command_line=shlex.join(["vadamon", *sys.argv[1:]]),
        )
        line = ProgressLine()

        def report(progress: "Progress") -> None:
            line.show(progress)
            if is_over():
                monitor.stop()

        with RecordingWriter(self.output, header) as writer, line:
            progress = record(monitor, writer, duration_ns=self.duration_ns, report=report)
        click.echo(
            f"vadamon: {in_words(progress)}; see: vadamon report heatmap {shlex.quote(str(self.output))}", err=True
        )
        lost = getattr(monitor, "detail_lost", None)
        if lost:
            click.echo(f"vadamon: {lost}; a higher --max-regions keeps more", err=True)


def _forward(number: int, process: "subprocess.Popen[bytes]") -> None:
    """Pass a signal on to the command, unless the terminal has sent it to the command as well."""
    if number in (signal.SIGINT, signal.SIGQUIT) and _is_in_foreground():
        return
    process.send_signal(number)


def _is_in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


@contextlib.contextmanager
def _handlers(handlers: dict[signal.Signals, Callable[[int], None]]) -> Iterator[None]:
    def as_handler(handle: Callable[[int], None]) -> Callable[[int, Any], None]:
        return lambda number, _: handle(number)

    before = {number: signal.signal(number, as_handler(handle)) for number, handle in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
