"""Accuracy of sampling over the workloads that come with vadamon."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from vadamon import Attrs, Recording
from vadamon.accuracy.measure import Accuracy, accuracy
from vadamon.accuracy.truth import read_truth
from vadamon.simulation.run import open_source, shipped_workloads, simulate
from vadamon.units import format_duration, format_size

DEFAULT = Attrs()
FINER = Attrs(min_nr_regions=1000, max_nr_regions=5000)


def measure(workload: str, attrs: Attrs, folder: Path) -> Accuracy:
    recording, truth = folder / "recording", folder / "truth"
    with ExitStack() as stack:
        simulate(open_source(Path(workload), stack), recording, attrs, truth=truth)
    return accuracy(Recording(recording), read_truth(truth), attrs)


def row(name: str, result: Accuracy) -> str:
    seen = [delay for delay in result.delays_ns if delay is not None]
    delay = f", after {format_duration(sum(seen) // len(seen))}" if seen else ""
    cells = [
        name,
        format_size(round(result.hot_bytes)),
        *(percent(share) for share in (result.precision, result.recall, result.f1)),
        format_size(round(result.wss_bytes)),
        percent(result.wss_error),
        percent(result.frequency_error),
        f"{len(seen)} of {len(result.delays_ns)}{delay}" if result.delays_ns else "-",
    ]
    return f"| {' | '.join(cells)} |"


def percent(share: float) -> str:
    return "-" if share != share else f"{100 * share:.1f} %"


def print_table(attrs: Attrs) -> None:
    intervals = " / ".join(format_duration(us * 1000) for us in (attrs.sample_us, attrs.aggr_us, attrs.update_us))
    print(f"{intervals}, {attrs.min_nr_regions} to {attrs.max_nr_regions} regions, seed 0:\n")
    print("| workload | hot | precision | recall | F1 | working set | error | frequency error | changes seen |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for workload in shipped_workloads():
            print(row(workload, measure(workload, attrs, Path(folder))), flush=True)


def main() -> None:
    """Print a table for DAMON's default attributes, and one for more regions."""
    print_table(DEFAULT)
    print()
    print_table(FINER)
