import dataclasses

import numpy as np
import pytest

from vadamon import SampleHealth, Snapshot


def snapshot(n: int) -> Snapshot:
    addresses = np.arange(n + 1, dtype=np.uint64)
    counts = np.zeros(n, dtype=np.uint32)
    return Snapshot(7, 0, 100, addresses[:-1], addresses[1:], counts, counts, 20, np.zeros(n, dtype=np.bool_))


def test_length_is_the_number_of_regions():
    assert [len(snapshot(n)) for n in (0, 1, 5)] == [0, 1, 5]


def test_a_snapshot_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot(1).nr_samples = 3


def test_without_a_word_about_it_samples_were_healthy():
    assert snapshot(1).health == SampleHealth(0, 0, 0, 0, 0)
