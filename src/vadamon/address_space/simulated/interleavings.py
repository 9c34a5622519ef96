"""All the ways in which a few threads can come in between each other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vadamon.address_space.simulated.locking import Condition, LockingError, Steps

Program = Callable[[], Mapping[str, Steps[Any]]]
"""Makes the threads of one run, by name, each time from a fresh state."""


def explore(program: Program, check: Callable[[], None] = lambda: None) -> int:
    """Run a program in every interleaving of its steps, and ``check`` after each; return how many there are.

    Their number grows exponentially: it is for two or three threads of a few steps.

    Raises LockingError where one of them breaks the rules, or the threads wait for each other. A note tells the
    interleaving.
    """
    nr_interleavings = 0
    choices: list[tuple[int, int]] = []
    while True:
        choices = _run(program(), [choice for choice, _ in choices])
        check()
        nr_interleavings += 1
        while choices and choices[-1][0] == choices[-1][1] - 1:
            choices.pop()
        if not choices:
            return nr_interleavings
        choice, nr_runnable = choices.pop()
        choices.append((choice + 1, nr_runnable))


def _run(program: Mapping[str, Steps[Any]], prefix: Sequence[int]) -> list[tuple[int, int]]:
    """Run once: make the choices of ``prefix``, then always the first.

    Returns for each step which of how many threads was chosen.
    """
    threads = dict(program)
    waits_for: dict[str, Condition | None] = dict.fromkeys(threads)
    choices: list[tuple[int, int]] = []
    schedule: list[str] = []
    try:
        while threads:
            runnable = [name for name in threads if (condition := waits_for[name]) is None or condition()]
            if not runnable:
                raise LockingError(f"deadlock: {' and '.join(threads)} wait for each other")
            choice = prefix[len(choices)] if len(choices) < len(prefix) else 0
            choices.append((choice, len(runnable)))
            name = runnable[choice]
            schedule.append(name)
            try:
                waits_for[name] = next(threads[name])
            except StopIteration:
                del threads[name]
    except LockingError as error:
        error.add_note(f"in the interleaving {', '.join(schedule)}")
        raise
    return choices
