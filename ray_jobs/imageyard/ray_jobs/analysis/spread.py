"""How a number is spread, told from how often each value occurs, so that values need not be held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

BINS = 20


@dataclass(frozen=True)
class Spread:
    """How a number is spread over captions; all 0 where there is none."""

    minimum: int
    median: float
    mean: float
    p95: float
    """The smallest number that at least 95 % of captions do not exceed."""
    maximum: int


@dataclass(frozen=True)
class Bin:
    """A bar of a histogram."""

    lower: int
    """The first number in it."""
    upper: int
    """The last number in it."""
    images: int


def spread(counts: Mapping[int, int]) -> Spread:
    """Of numbers by how often they occur."""
    total = sum(counts.values())
    if not total:
        return Spread(0, 0.0, 0.0, 0, 0)
    mean = sum(number * times for number, times in counts.items()) / total
    return Spread(min(counts), median(counts), mean, _at(counts, -(-19 * total // 20)), max(counts))


def median(counts: Mapping[int, int]) -> float:
    """The middle number, or the mean of the two in the middle; `counts` is not empty."""
    total = sum(counts.values())
    return (_at(counts, (total + 1) // 2) + _at(counts, total // 2 + 1)) / 2


def _at(counts: Mapping[int, int], place: int) -> int:
    """The number at `place`, from 1, of all in rising order."""
    passed = 0
    for number in sorted(counts):
        passed += counts[number]
        if passed >= place:
            return number
    raise ValueError(f"there are {passed} numbers and no number {place}")


def bins(counts: Mapping[int, int], most: int = BINS) -> tuple[Bin, ...]:
    """Bins of equal width (1, 2, 5, 10, 20, 50 …) from a multiple of it, rising, without gaps, at most `most`."""
    if not counts:
        return ()
    low, high = min(counts), max(counts)
    width = next(width for width in _widths() if high // width - low // width + 1 <= most)
    held: Counter[int] = Counter()
    for number, times in counts.items():
        held[number // width] += times
    return tuple(Bin(at * width, at * width + width - 1, held[at]) for at in range(low // width, high // width + 1))


def _widths() -> list[int]:
    return [step * 10**power for power in range(18) for step in (1, 2, 5)]
