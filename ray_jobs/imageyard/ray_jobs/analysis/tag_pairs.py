"""Which tags stand together on images, counted among the most frequent ones so that memory is bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations

MATRIX = 20
PAIRED = 300
"""Pairs are counted among so many of the most frequent tags: at most 45,000."""


@dataclass(frozen=True)
class TagPair:
    """Two tags that stand together."""

    first: str
    second: str
    images: int
    """Images that have both."""
    lift: float
    """P(both) / (P(first) P(second)): 1 where they are independent, above 1 where one attracts the other."""


@dataclass(frozen=True)
class TagMatrix:
    """How often the most frequent tags stand together, for a plot."""

    tags: tuple[str, ...]
    """The MATRIX most frequent, the most frequent first."""
    images: tuple[tuple[int, ...], ...]
    """Rows and columns as `tags`: images that have both; on the diagonal those that have the one."""


Together = Mapping[tuple[str, str], int]
"""Images by (more frequent tag, less frequent tag)."""


def together(images: Iterable[Set[str]], ranked: Sequence[str]) -> Together:
    """How many of `images` have both of two tags, among the first PAIRED of `ranked`."""
    place = {tag: at for at, tag in enumerate(ranked[:PAIRED])}
    counts: Counter[tuple[str, str]] = Counter()
    for tags in images:
        counts.update(combinations(sorted(tags & place.keys(), key=place.__getitem__), 2))
    return counts


def pairs(counts: Together, of: Mapping[str, int], images: int, *, without: Set[str] = frozenset()) -> list[TagPair]:
    """The pairs that occur, less those with a tag of `without`; `of` says on how many images each tag is."""
    return [
        TagPair(first, second, both, both * images / (of[first] * of[second]))
        for (first, second), both in counts.items()
        if first not in without and second not in without
    ]


def matrix(counts: Together, of: Mapping[str, int], ranked: Sequence[str]) -> TagMatrix:
    """The first MATRIX of `ranked` with each other."""
    shown = tuple(ranked[:MATRIX])
    rows = tuple(
        tuple(of[a] if a == b else counts.get((a, b), 0) + counts.get((b, a), 0) for b in shown) for a in shown
    )
    return TagMatrix(shown, rows)
