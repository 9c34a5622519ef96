"""``vadamon record``: watch processes, or a command to start, and keep what is seen."""

import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vadamon.attrs import IntervalsGoal
from vadamon.backends import AUTO, BACKENDS, BEST, COMPARING, scanning
from vadamon.cli.options import Duration, Share
from vadamon.cli.progress import ProgressLine, in_words
from vadamon.errors import VadamonError

if TYPE_CHECKING:
    import subprocess

    from vadamon.attrs import Attrs
    from vadamon.backends import Backend, Choice, Options
    from vadamon.mappings import Mappings
    from vadamon.monitors.base import Monitor
    from vadamon.recording.header import Header
    from vadamon.recording.recorder import Progress
    from vadamon.snapshot import Snapshot


_NR_SCANS = 10
"""In an aggregation interval, where only the sample interval is given."""


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
@click.option("--sample", type=Duration(), metavar="TIME", help="Sample interval.  [default: 5ms]")
@click.option("--aggr", type=Duration(), metavar="TIME",
              help="Aggregation interval: one snapshot each.  [default: 100ms; 500ms in the coarse mode]")  # fmt: skip
@click.option("--update", type=Duration(), metavar="TIME",
              help="How often to look at the mappings again.  [default: 1s]")  # fmt: skip
@click.option("--min-regions", type=int, metavar="N", help="At least 3.  [default: 10]")
@click.option("--max-regions", type=int, metavar="N", help="Bounds the cost.  [default: 1000]")
@click.option("--backend", type=click.Choice([AUTO, *BACKENDS]), default=AUTO, show_default=True,
              help="How to read accessed bits; auto is the best that works. See `vadamon doctor`.")  # fmt: skip
@click.option("--scan", is_flag=True,
              help="Look at every page, not at a sample; without --sample, as often as --budget allows.")  # fmt: skip
@click.option("--budget", type=Share(), default="1%", show_default=True, metavar="SHARE",
              help="With --scan and without --sample: of one core, to spend on it all.")  # fmt: skip
@click.option("--auto", is_flag=True,
              help="Tune the intervals as it runs, until 4 % of what could be accessed is seen to be.")  # fmt: skip
@click.option("--truth", type=click.Path(path_type=Path), metavar="FILE",
              help="Look at every page at each sample, and keep that in FILE, to compare with.")  # fmt: skip
@click.option("--include-children", is_flag=True, help="Watch descendants too, those to come as well.")
@click.option("--clear-budget", type=Share(), default="5%", show_default=True, metavar="SHARE",
              help="Of one core, to spend on clearing what can only be cleared all at once.")  # fmt: skip
@click.argument("pids", nargs=-1, type=int, metavar="(PID... | -- COMMAND [ARG...])")
@click.pass_context
def record(
    ctx: click.Context,
    pids: tuple[int, ...],
    output: Path,
    duration: int | None,
    sample: int | None,
    aggr: int | None,
    update: int | None,
    min_regions: int | None,
    max_regions: int | None,
    backend: str,
    scan: bool,
    budget: float,
    auto: bool,
    truth: Path | None,
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
    if auto and scan:
        raise click.UsageError("--auto is for sampling: with --scan, the interval follows from --budget")
    if truth and (auto or scan or include_children or backend != AUTO):
        raise click.UsageError("--truth does not go with --auto, --scan, --include-children or --backend")
    if truth and truth.absolute() == output.absolute():
        raise click.UsageError("--truth is the recording itself: give it another name")
    given: dict[str, Any] = {
        "sample_us": _to_us(sample),
        "aggr_us": _to_us(aggr),
        "update_us": _to_us(update),
        "min_nr_regions": min_regions,
        "max_nr_regions": max_regions,
        "intervals_goal": IntervalsGoal() if auto else None,
    }
    if scan:
        if aggr and not sample:
            raise click.UsageError("with --scan, --aggr needs --sample: else both intervals follow from --budget")
        if sample and not aggr:
            given["aggr_us"] = _NR_SCANS * sample // 1000
    session = _Session(
        {name: value for name, value in given.items() if value is not None},
        output,
        duration,
        backend,
        include_children,
        clear_budget,
        scanning(None if sample else budget) if scan else COMPARING if truth else None,
        truth,
    )
    return session.run_command(command) if command else session.run(list(pids))


def _to_us(ns: int | None) -> int | None:
    return None if ns is None else ns // 1000


class _Session:
    """One run of the command; ``attrs`` are those that were given, of others a backend has its defaults."""

    def __init__(
        self,
        attrs: dict[str, Any],
        output: Path,
        duration_ns: int | None,
        backend: str,
        include_children: bool,
        clear_budget: float,
        every_page: "Backend | None",
        truth: Path | None,
    ) -> None:
        self.attrs = attrs
        self.output = output
        self.duration_ns = duration_ns
        self.backend = backend
        self.include_children = include_children
        self.clear_budget = clear_budget
        self.every_page = every_page
        self.truth = truth
        self._attrs_for(every_page or BACKENDS.get(backend, BEST))  # wrong usage is found before anything is done

    def _attrs_for(self, backend: "Backend") -> "Attrs":
        try:
            return replace(backend.default_attrs, **self.attrs)
        except ValueError as error:
            raise click.UsageError(str(error)) from error

    def _open(self, backend: "Backend", pids: list[int], options: "Options") -> "Monitor":
        try:
            return backend.open(pids, self._attrs_for(backend), options)
        except ValueError as error:
            raise click.UsageError(str(error)) from error

    def _choose(self, pids: list[int]) -> "Choice":
        from vadamon.backends import Choice, choose

        return Choice(self.every_page) if self.every_page else choose(self.backend, pids)

    def _check_writable(self) -> None:
        from vadamon.recording.writer import check_writable

        check_writable(self.output)
        if self.truth:
            check_writable(self.truth)

    def run(self, pids: list[int]) -> int:
        """Watch processes that run already."""
        self._check_writable()
        ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        with self._monitor(pids) as (monitor, backend, stop), _handlers(dict.fromkeys(ends, lambda _: stop())):
            self._record(monitor, backend)
        return 0

    def run_command(self, command: list[str]) -> int:
        """Start a command, watch it, and return its exit status."""
        from vadamon import launch
        from vadamon.backends import Options

        # What may fail, fails before the command runs.
        self._check_writable()
        ourselves = [os.getpid()]
        backend = self._choose(ourselves).backend
        self._open(backend, ourselves, Options(clear_budget=self.clear_budget)).close()
        process = launch.start(command)
        with _handlers({number: lambda number: _forward(number, process) for number in launch.FORWARDED}):
            failed = self._watch(process, command[0])
            status = launch.exit_status(process.wait())
        return status or int(failed)

    def _watch(self, process: "subprocess.Popen[bytes]", name: str) -> bool:
        try:
            with self._monitor([process.pid]) as (monitor, backend, _):
                self._record(monitor, backend, lambda: process.poll() is not None)
        except VadamonError as error:
            # The command is not ours to end: it runs on, and its status is still passed on.
            ended = process.poll() is not None
            click.echo(f"vadamon: {f'{name} ended before it could be watched' if ended else error}", err=True)
            return not ended
        return False

    @contextlib.contextmanager
    def _monitor(self, pids: list[int]) -> Iterator[tuple["Monitor", "Backend", Callable[[], None]]]:
        from vadamon.backends import Options
        from vadamon.clock import MonotonicClock

        clock = MonotonicClock()
        choice = self._choose(pids)
        options = Options(self.include_children, self.clear_budget, clock)
        with self._open(choice.backend, pids, options) as monitor:
            if self.every_page:
                click.echo(f"vadamon: every page is looked at {_describe_intervals(monitor.attrs)}", err=True)
            elif self.backend == AUTO:
                click.echo(f"vadamon: {choice}", err=True)

            def stop() -> None:
                monitor.stop()
                clock.interrupt()

            yield monitor, choice.backend, stop

    @contextlib.contextmanager
    def _truth_kept(self, monitor: "Monitor", header: "Header") -> Iterator[None]:
        """Write what a monitor finds of every page beside what it samples, if it does."""
        if self.truth is None:
            yield
            return
        from vadamon.monitors.compared import ComparedMonitor
        from vadamon.recording.header import SCAN
        from vadamon.recording.writer import RecordingWriter

        assert isinstance(monitor, ComparedMonitor)
        with RecordingWriter(self.truth, replace(header, backend=SCAN)) as writer:

            def keep(snapshot: "Snapshot", mappings: "Mappings") -> None:
                writer.write_mappings(snapshot.target_id, snapshot.end_ns, mappings)
                writer.write_snapshot(snapshot)

            monitor.keep = keep
            yield

    def _record(self, monitor: "Monitor", backend: "Backend", is_over: Callable[[], bool] = lambda: False) -> None:
        from vadamon.recording.header import Header
        from vadamon.recording.recorder import describe, record
        from vadamon.recording.writer import RecordingWriter

        header = Header.here(
            monitor.attrs,
            describe([target.target_id for target in monitor.targets]),
            backend=backend.name,
            command_line=shlex.join(["vadamon", *sys.argv[1:]]),
        )
        line = ProgressLine(backend.samples)

        def report(progress: "Progress") -> None:
            line.show(progress)
            if is_over():
                monitor.stop()

        with RecordingWriter(self.output, header) as writer, self._truth_kept(monitor, header), line:
            progress = record(monitor, writer, duration_ns=self.duration_ns, report=report)
        if lost := getattr(monitor, "detail_lost", None):
            click.echo(f"vadamon: {lost}; a higher --max-regions keeps more", err=True)
        if header.attrs.intervals_goal is not None:
            tuned = _describe_intervals(monitor.attrs)
            click.echo(f"vadamon: the intervals were tuned: at last a sample {tuned}", err=True)
        words = in_words(progress, backend.samples)
        click.echo(f"vadamon: {words}; see: vadamon report heatmap {shlex.quote(str(self.output))}", err=True)


def _describe_intervals(attrs: "Attrs") -> str:
    from vadamon.units import format_duration

    sample, aggr = format_duration(attrs.sample_us * 1000), format_duration(attrs.aggr_us * 1000)
    return f"each {sample}, a snapshot each {aggr}"


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
