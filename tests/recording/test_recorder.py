"""From a monitor to a file."""

import numpy as np
import pytest

import vadamon
from vadamon import Attrs, Header, RecordingWriter, VadamonError, operations
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.operations.base import Target
from vadamon.recording.header import Target as Described
from vadamon.recording.recorder import record
from vadamon.workload import Area, Sweep
from vadamon.workload.simulated import SimulatedWorkload

MIB = 1 << 20


@pytest.mark.parametrize("nr_targets", [1, 3])
def test_all_targets_have_all_snapshots_of_the_duration(tmp_path, nr_targets):
    clock = SimulatedWorkload([Area("a", size=4 * MIB, patterns=[Sweep(length=MIB)])])
    targets = [Target(i, clock.space) for i in range(1, nr_targets + 1)]
    path = tmp_path / "x"
    head = Header(Attrs(), tuple(Described(t.target_id, t.target_id, "x") for t in targets))
    monitor = SamplingMonitor(targets, Attrs(), operations.get("vaddr"), clock, np.random.default_rng(1))
    with monitor, RecordingWriter(path, head) as writer:
        progress = record(monitor, writer, duration_ns=500_000_000)
    ids = [snapshot.target_id for snapshot in vadamon.open(path)]
    assert [ids.count(target.target_id) for target in targets] == [5] * nr_targets
    assert all(snapshot.nr_samples == 20 for snapshot in vadamon.open(path))
    assert progress.elapsed_ns == 500_000_000


def test_a_monitor_that_only_makes_whole_intervals_is_stopped_after_the_last(tmp_path):
    class Whole:
        """Lacks `duration_ns`."""

        def __init__(self, monitor):
            self.monitor, self.attrs, self.targets = monitor, monitor.attrs, monitor.targets

        def stop(self):
            self.monitor.stop()

        def __iter__(self):
            return self.monitor

    clock = SimulatedWorkload([Area("a", size=4 * MIB, patterns=[Sweep(length=MIB)])])
    sampling = SamplingMonitor(
        [Target(1, clock.space)], Attrs(), operations.get("vaddr"), clock, np.random.default_rng(1)
    )
    with sampling, RecordingWriter(tmp_path / "x", Header(Attrs())) as writer:
        record(Whole(sampling), writer, duration_ns=250_000_000)
    whole = [s for s in vadamon.open(tmp_path / "x") if s.nr_samples == 20]
    assert len(whole) == 3
    assert clock.now_ns() <= 310_000_000


def test_a_duration_without_a_sample_is_refused(tmp_path):
    clock = SimulatedWorkload([Area("a", size=4 * MIB)])
    monitor = SamplingMonitor(
        [Target(1, clock.space)], Attrs(), operations.get("vaddr"), clock, np.random.default_rng(1)
    )
    with (
        monitor,
        RecordingWriter(tmp_path / "x", Header(Attrs())) as writer,
        pytest.raises(VadamonError, match="within 4 ms"),
    ):
        record(monitor, writer, duration_ns=4_000_000)
