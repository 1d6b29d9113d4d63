"""The things that are often in a stream, found in bounded memory (Misra and Gries, 1982)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Heavy(Generic[T]):
    """After n things, all that came more than n / (`most` + 1) times are among `candidates`; others may be too."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[T, int] = {}

    def add(self, things: Iterable[T]) -> None:
        counts = self._counts
        for thing in things:
            if thing in counts:
                counts[thing] += 1
            elif len(counts) < self._most:
                counts[thing] = 1
            else:
                self._counts = counts = {other: left - 1 for other, left in counts.items() if left > 1}

    @property
    def candidates(self) -> frozenset[T]:
        """To be counted in a second pass."""
        return frozenset(self._counts)
