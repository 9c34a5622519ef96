"""Run a simulated program under the sampling monitor, and record what it finds."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import IO

import numpy as np

from vadamon import operations
from vadamon.accuracy.truth import TruthWriter
from vadamon.address_space.simulated import Machine, SimulatedAddressSpace
from vadamon.attrs import Attrs
from vadamon.clock import VirtualClock
from vadamon.errors import VadamonError
from vadamon.mappings import Mappings
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.operations.base import Target
from vadamon.recording import header
from vadamon.recording.recorder import Progress, record
from vadamon.recording.writer import RecordingWriter
from vadamon.simulation.config import parse_config
from vadamon.simulation.masim import looks_like_masim, parse_masim
from vadamon.simulation.memory import Memory, TruthKeeper
from vadamon.simulation.source import Source
from vadamon.simulation.traces import INSTRUCTION_NS, Trace, detect_format

TARGET_ID = 1
_BEGINNING = 1 << 20  # bytes that tell what a file is
_LARGEST_CONFIG = 16 << 20


class SimulatedClock(VirtualClock):
    """Time in which a program runs: while somebody sleeps, it does what it does in that time."""

    def __init__(self, source: Source, attrs: Attrs, rng: np.random.Generator, truth: TruthWriter | None) -> None:
        super().__init__()
        self.space = SimulatedAddressSpace(Machine(self))
        self._source = source
        self._truth = None if truth is None else TruthKeeper(TARGET_ID, attrs, truth.write)
        self._memory = Memory(self.space, self._truth)
        source.begin(self._memory, rng)

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Run the program up to ``deadline_ns``; it exits where it ends before that."""
        if self._source.run(deadline_ns, self._memory):
            if self._truth is not None:
                self._truth.end_sample(deadline_ns)
        else:
            if self._truth is not None:
                self._truth.end()
            self._memory.exit()
        super().sleep_until_ns(deadline_ns)


def simulate(
    source: Source,
    output: Path,
    attrs: Attrs | None = None,
    *,
    truth: Path | None = None,
    seed: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Run a program from its beginning to its end, and record it in ``output``; keep the truth in ``truth``.

    The same program, attributes and seed make the same bytes, with the same versions of vadamon, NumPy and zstd: so
    the recording says nothing of this machine, its wall-clock time begins in 1970, and its command line has no paths.

    Raises VadamonError where a file cannot be read or written, or the program ends before the first sample.
    """
    attrs = attrs or Attrs()
    of_source, of_monitor = np.random.SeedSequence(seed).spawn(2)
    with ExitStack() as stack:
        truth_writer = None if truth is None else stack.enter_context(TruthWriter(truth))
        clock = SimulatedClock(source, attrs, np.random.default_rng(of_source), truth_writer)
        head = header.Header(
            attrs,
            (header.Target(TARGET_ID, 0, source.name),),
            backend="simulated",
            command_line=f"vadamon simulate {source.name} --seed {seed}",
            vadamon_version=metadata.version("vadamon"),
        )
        writer = stack.enter_context(RecordingWriter(output, head, clock))
        target = Target(TARGET_ID, clock.space)
        rng = np.random.default_rng(of_monitor)
        monitor = stack.enter_context(SamplingMonitor([target], attrs, operations.get("vaddr"), clock, rng))
        progress = record(monitor, writer, report=report)
    if not progress.nr_snapshots:
        raise VadamonError(
            f"{source.name} ends before the first sample of {attrs.sample_us} us: give a shorter --sample"
        )
    return progress


def open_source(
    path: Path,
    stack: ExitStack,
    form: str = "auto",
    *,
    mappings: Mappings | None = None,
    instruction_ns: int = INSTRUCTION_NS,
) -> Source:
    """Return the program that a file describes; ``-`` is standard input. ``stack`` closes what has to stay open.

    The file is a workload in TOML or in masim's format, or a trace of lackey or of perf script; ``form``, one of
    `FORMATS`, says which, and ``auto`` that its beginning tells. A name of `shipped_workloads` stands for that one,
    unless there is a file of that name.

    Raises VadamonError where the file cannot be read, or is none of these.
    """
    name = "standard input" if str(path) == "-" else path.name
    try:
        file = _open(path, stack)
        beginning = file.read(_BEGINNING)
        if form == "auto":
            form = _detect(path, beginning)
        if form in ("lackey", "perf-script"):
            return Trace(name, file, form, beginning=beginning, mappings=mappings, instruction_ns=instruction_ns)
        text = (beginning + file.read(_LARGEST_CONFIG)).decode()
    except UnicodeDecodeError as error:
        raise VadamonError(f"{path} is no text: expected is UTF-8") from error
    except OSError as error:
        raise VadamonError(f"cannot read {path}: {error.strerror}") from error
    return parse_config(text, str(path)) if form == "toml" else parse_masim(text, str(path))


FORMATS = ("toml", "masim", "lackey", "perf-script")


def shipped_workloads() -> list[str]:
    """Return the names of the workloads that come with vadamon."""
    return sorted(Path(file.name).stem for file in (files("vadamon.simulation") / "workloads").iterdir())


def _open(path: Path, stack: ExitStack) -> IO[bytes]:
    if str(path) == "-":
        return sys.stdin.buffer
    shipped = files("vadamon.simulation") / "workloads" / f"{path}.toml"
    if not path.exists() and path.name == str(path) and shipped.is_file():
        return stack.enter_context(shipped.open("rb"))
    return stack.enter_context(path.open("rb"))


def _detect(path: Path, beginning: bytes) -> str:
    if path.suffix == ".toml":
        return "toml"
    if trace := detect_format(beginning):
        return trace
    text = beginning.decode(errors="replace")
    if looks_like_masim(text):
        return "masim"
    if "[[" in text:
        return "toml"
    raise VadamonError(
        f"{path} is neither a workload nor a memory trace: expected is TOML, or the format of masim, lackey or perf "
        "script; say which with --format"
    )
