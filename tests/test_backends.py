"""Which backend is chosen, and what is said of it."""

import os
import re
import subprocess
import sys

import pytest

import vadamon
from vadamon import VadamonError
from vadamon.backends import AUTO, BACKENDS, Choice, choose


@pytest.mark.parametrize("name", BACKENDS)
def test_a_named_backend_is_taken_as_it_is(name):
    choice = choose(name, [os.getpid()])
    assert choice.backend is BACKENDS[name]
    assert str(choice) == f"backend {name} shows {BACKENDS[name].shows}"


def test_what_would_be_better_is_said_in_one_line():
    choice = Choice(BACKENDS["referenced"], {"page-table": "no right: run as root"})
    said = str(choice)
    assert re.fullmatch("backend referenced shows .*; page-table would show .*, but: no right: run as root", said)


def test_auto_takes_one_that_works_for_a_process_of_ours():
    with subprocess.Popen(["sleep", "60"]) as process:
        choice = choose(AUTO, [process.pid])
        assert choice.backend.name in BACKENDS
        assert choice.backend.name not in choice.refused
        process.kill()


def test_a_name_that_is_none_is_refused():
    with pytest.raises(ValueError, match="no backend 'tea-leaves': there are auto, page-table"):
        vadamon.monitor(os.getpid(), backend="tea-leaves")


@pytest.mark.parametrize("name", [AUTO, *BACKENDS])
def test_what_is_no_target_is_named(name, zombie):
    for pid, message in ((999999999, "no process 999999999"), (2, "kernel thread"), (zombie, "is a zombie")):
        with pytest.raises(VadamonError, match=message):
            choose(name, [os.getpid(), pid])


def test_choosing_leaves_nothing_open():
    choose(AUTO, [os.getpid()])  # loads what is kept
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    choose(AUTO, [os.getpid()])
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_monitor_takes_the_defaults_of_the_backend():
    with vadamon.monitor(os.getpid(), backend="referenced") as snapshots:
        assert snapshots.attrs == vadamon.Attrs(aggr_us=500_000)
    with vadamon.monitor(os.getpid(), vadamon.Attrs(), backend="referenced") as snapshots:
        assert snapshots.attrs == vadamon.Attrs()


def test_the_list_of_backends_loads_no_array_library():
    code = "import sys, vadamon.backends; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
