"""The budget of clear_refs, and its file."""

import mmap
import os
import re
from pathlib import Path

import pytest

from vadamon.address_space.clear_refs import ClearRefsBudget, ClearRefsFile

MS = 1_000_000


def test_clearings_cost_no_more_than_the_budget():
    budget = ClearRefsBudget(0.05)
    now, spent = 0, 0
    while now < 10_000 * MS:
        if budget.is_due(now):
            budget.spend(3 * MS, now, share=1.0)
            spent += 3 * MS
        now += 5 * MS
    assert 0.045 <= spent / now <= 0.05 + 3 * MS / now


@pytest.mark.parametrize(("share", "wait_ms"), [(1.0, 60), (0.1, 60), (0.05, 120), (0.01, 600)])
def test_where_few_samples_need_it_less_is_spent(share, wait_ms):
    budget = ClearRefsBudget(0.05)
    budget.spend(3 * MS, 0, share)
    assert not budget.is_due((wait_ms - 1) * MS)
    assert budget.is_due((wait_ms + 1) * MS)


def test_without_a_budget_nothing_is_ever_due():
    assert not ClearRefsBudget(0).is_due(10**18)


@pytest.mark.parametrize("budget", [-0.1, 1.1])
def test_a_budget_is_a_share(budget):
    with pytest.raises(ValueError, match="from 0 to 1"):
        ClearRefsBudget(budget)


def referenced(name):
    """Return the bytes referenced in mappings of this name, by smaps."""
    smaps = Path("/proc/self/smaps").read_text()
    entries = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", smaps, flags=re.MULTILINE)
    return sum(
        int(re.search(r"Referenced: +(\d+)", entry)[1]) << 10 for entry in entries if name in entry.split("\n")[0]
    )


def test_the_file_clears_mappings_of_files_alone_if_asked(tmp_path):
    path = tmp_path / "some-file-of-ours"
    path.write_bytes(b"x" * (1 << 20))
    file = ClearRefsFile(os.getpid())
    with path.open("r+b") as opened, mmap.mmap(opened.fileno(), 1 << 20) as shared:
        shared[::4096]
        assert referenced(path.name) == 1 << 20
        file.clear(files=False, others=True)
        assert referenced(path.name) == 1 << 20
        assert file.clear(files=True, others=False) > 0
        assert referenced(path.name) == 0
    file.close()
