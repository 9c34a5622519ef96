import subprocess
import sys

import numpy as np
import pytest

from vadamon import Attrs, Regions, VadamonError, operations
from vadamon.clock import VirtualClock
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.operations.base import Target
from vadamon.operations.vaddr import VirtualAddressOperations


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(operations, "_registered", {})


class BlockOperations:
    """A user's operations: blocks of a file, of which a counter tells how often each was read."""

    def __init__(self, nr_blocks):
        self.nr_reads = np.zeros(nr_blocks, dtype=np.uint64)
        self.resets = 0
        self.cleaned_up = []

    def init(self, target, attrs):
        target.regions = Regions.from_ranges([(0, len(self.nr_reads))])

    def update(self, target):
        pass

    def prepare_access_checks(self, target, rng):
        target.sampling_addresses = rng.integers(target.regions.start, target.regions.end, dtype=np.uint64)
        target.reads_before = self.nr_reads[target.sampling_addresses]
        self.nr_reads[300:400] += 1  # what the users of the file do meanwhile

    def check_accesses(self, target):
        target.regions.count(self.nr_reads[target.sampling_addresses] > target.reads_before)

    def reset_aggregated(self, target):
        self.resets += 1

    def target_valid(self, target):
        return self.nr_reads[300] < 1000

    def cleanup(self, target):
        self.cleaned_up.append(target.target_id)


def test_operations_of_a_user_drive_the_same_loop():
    blocks = BlockOperations(1000)
    operations.register("blocks", blocks)
    attrs = Attrs(min_region_size=1)
    target = Target(3, address_space=None)
    monitor = SamplingMonitor([target], attrs, operations.get("blocks"), VirtualClock(), np.random.default_rng(1))
    snapshots = list(monitor)
    assert len(snapshots) == 50  # 999 samples: 49 whole intervals, and one of 19
    assert [s.nr_samples for s in snapshots] == [20] * 49 + [19]
    last = snapshots[-2]
    found = np.concatenate([np.arange(a, b) for a, b, n in zip(last.start, last.end, last.nr_accesses) if n >= 10])  # noqa: B905
    assert np.isin(found, np.arange(300, 400)).mean() > 0.9
    assert np.isin(np.arange(300, 400), found).mean() > 0.9
    assert blocks.resets == 49
    assert blocks.cleaned_up == [3]


def test_an_id_is_registered_once():
    operations.register("blocks", BlockOperations(1))
    with pytest.raises(ValueError, match="'blocks' are registered already"):
        operations.register("blocks", BlockOperations(1))


def test_vaddr_is_there_and_taken():
    assert isinstance(operations.get("vaddr"), VirtualAddressOperations)
    assert operations.get("vaddr") is operations.get("vaddr")
    with pytest.raises(ValueError, match="vaddr"):
        operations.register("vaddr", BlockOperations(1))


def test_an_unknown_id_names_those_that_are_known():
    operations.register("blocks", BlockOperations(1))
    with pytest.raises(VadamonError, match="'paddr': use one of blocks, vaddr, or register"):
        operations.get("paddr")


def test_the_registry_loads_no_numpy():
    code = "import sys, vadamon.operations; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
