"""Pairing: which of the things here are those there."""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

T = TypeVar("T")


def pair(left: Sequence[T], right: Sequence[T], keys: Sequence[Callable[[T], Hashable]]) -> list[tuple[int, int]]:
    """Return indices of what belongs together: what has the same key, in order, by the strictest of ``keys`` first."""
    pairs = []
    here, there = list(range(len(left))), list(range(len(right)))
    for key in keys:
        waiting: dict[Hashable, list[int]] = {}
        for j in there:
            waiting.setdefault(key(right[j]), []).append(j)
        for i in here.copy():
            if found := waiting.get(key(left[i])):
                j = found.pop(0)
                pairs.append((i, j))
                here.remove(i)
                there.remove(j)
    return pairs
