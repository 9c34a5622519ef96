import time

from vadamon.clock import MonotonicClock, VirtualClock


def test_virtual_time_passes_only_in_sleep():
    clock = VirtualClock(now_ns=5, wall_ns=1_000)
    assert (clock.now_ns(), clock.now_ns(), clock.wall_ns()) == (5, 5, 1_000)
    clock.sleep_until_ns(25)
    assert (clock.now_ns(), clock.wall_ns()) == (25, 1_020)


def test_virtual_time_never_goes_back():
    clock = VirtualClock(now_ns=50)
    clock.sleep_until_ns(20)
    assert clock.now_ns() == 50


def test_monotonic_clock_sleeps_until_the_deadline():
    clock = MonotonicClock()
    deadline = clock.now_ns() + 2_000_000
    clock.sleep_until_ns(deadline)
    assert clock.now_ns() >= deadline
    clock.sleep_until_ns(0)


def test_monotonic_clock_is_the_kernels():
    clock = MonotonicClock()
    before, now, after = time.monotonic_ns(), clock.now_ns(), time.monotonic_ns()
    assert before <= now <= after
    before, wall, after = time.time_ns(), clock.wall_ns(), time.time_ns()
    assert before <= wall <= after
