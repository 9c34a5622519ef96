"""Other kernels: test modules that run in guests. ``make test`` runs the short form, ``make test-vm`` all of it."""

import os
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vm import guest, kernels

RUNS_ALL = os.environ.get("VADAMON_VM") == "all"
PYTHON = str(Path(sys.prefix) / "bin/python")
FIVE_LEVELS, FOUR_LEVELS = "max", "max,la57=off"

SHORT = (
    "tests/live/test_page_table.py::test_just_the_pages_that_are_touched_are_young",
    "tests/live/test_page_table.py::test_young_is_what_was_touched_since_mkold_and_nothing_else",
    "tests/live/test_scanned_pages.py::test_huge_pages_are_found_as_such_and_never_split",
    "tests/vm/inside/test_kernel.py::test_hot_and_cold_memory_are_told_apart[True]",
    "tests/vm/inside/test_kernel.py::TestSomebodyElses",
    "tests/vm/inside/test_kernel.py::TestHoweverItEnds::test_by_kill_9",
)
PAGES = ("tests/live/test_page_table.py", "tests/live/test_rounds.py")
SCANNING = ("tests/live/test_scanned_pages.py", "tests/live/test_scanning.py")
HOT_AND_COLD = ("tests/live/test_accuracy.py",)
HAVE_DAMON = ("6.12", kernels.BUILT)
PAGE_IDLE = ("tests/vm/inside/test_page_idle.py",)


@dataclass(frozen=True)
class Run:
    """Test modules in one guest."""

    name: str
    kernel: str
    tests: tuple[str, ...]
    cpu: str = FIVE_LEVELS
    backend: str = "page-table"
    is_short: bool = False


RUNS = (
    Run("short", "6.12", SHORT, is_short=True),
    *(Run("the kernel's DAMON", kernel, ("tests/vm/inside/test_kernel.py",)) for kernel in HAVE_DAMON),
    *(Run("rights", kernel, ("tests/vm/inside/test_rights.py",)) for kernel in HAVE_DAMON),
    *(Run("nothing is left", kernel, ("tests/vm/inside/test_nothing_left.py",)) for kernel in kernels.NAMES),
    Run("page-idle", kernels.BUILT, PAGE_IDLE, backend="page-idle"),
    Run("page-idle, hot and cold", kernels.BUILT, HOT_AND_COLD, backend="page-idle"),
    *(
        Run(f"{what}, {'5' if cpu == FIVE_LEVELS else '4'} levels", kernel, tests, cpu)
        for kernel in kernels.NAMES
        for cpu in (FIVE_LEVELS, FOUR_LEVELS)
        for what, tests in (("pages", PAGES), ("scanning", SCANNING), ("hot and cold", HOT_AND_COLD))
        if (kernel, cpu) != (kernels.BUILT, FOUR_LEVELS)  # Debian's of the same version tells that
    ),
)
WANTED = [run for run in RUNS if run.is_short or RUNS_ALL]


def run_modules(run: Run) -> tuple[kernels.Kernel, guest.Result]:
    """Run test modules in a guest."""
    kernel = kernels.get(run.kernel)
    there = shlex.join([PYTHON, "-m", "pytest", "-o", "cache_dir=/tmp/cache", "--durations=5", *run.tests])
    # Where places are drawn at random a monitor may miss by bad luck: tests that failed get a second chance.
    command = ["sh", "-c", f"export VADAMON_BACKEND={run.backend}; {there} || {there} --last-failed"]
    return kernel, guest.run(kernel, command, cpu=run.cpu, timeout_s=1500)


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[dict[Run, Future[tuple[kernels.Kernel, guest.Result]]]]:
    """Run all guests that are asked for, as many at a time as there are processors."""
    wanted = [item.callspec.params["run"] for item in request.session.items if item.name.startswith("test_in_a_guest[")]
    try:
        guest.check_tools()
        for kernel in {run.kernel for run in wanted}:
            kernels.get(kernel)
        guest.root_image()
    except kernels.LabError as error:
        pytest.skip(str(error))
    pool = ThreadPoolExecutor(os.cpu_count())
    yield {run: pool.submit(run_modules, run) for run in wanted}
    pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("run", WANTED, ids=lambda run: f"{run.kernel}: {run.name}")
def test_in_a_guest(run, running):
    """Fail with what the modules said, where they fail."""
    kernel, result = running[run].result()
    print(result.output)
    assert result.status == 0, f"in Linux {kernel.version}:\n{result.output}"
