"""Which scores make a tag: thresholds by tag and category, or the maximum cut of each image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from imageyard.ray_jobs.tag_categories import CHARACTER, GENERAL, QUALITY, RATING
from imageyard.ray_jobs.tag_text import normal, wild
from imageyard.ray_jobs.tagging.names import Label

CHARACTER_CUT = 0.15
"""What the maximum cut of characters is raised to: that of the reference Space."""
RANKED = frozenset([RATING, QUALITY])
"""Categories of which an image has the one label with the highest score, whatever its threshold."""
OFF = 1.0
"""A category whose threshold is above this is switched off, whatever its cut."""


def mcut(scores: Iterable[float]) -> float | None:
    """The middle of the first largest gap between neighbours of the sorted scores; None for fewer than two.

    MCut of Largeron, Moulin and Géry, 2012. Gaps are compared to six decimals.
    """
    falling = sorted(scores, reverse=True)
    if len(falling) < 2:
        return None
    gaps = [round(high - low, 6) for high, low in pairwise(falling)]
    at = gaps.index(max(gaps))
    return (falling[at] + falling[at + 1]) / 2


@dataclass(frozen=True)
class Thresholds:
    """From which score on, that one included, a tag is written."""

    categories: Mapping[int, float]
    """By category; those that are not named have GENERAL's."""
    tags: Mapping[str, float] = field(default_factory=dict)
    """By name or pattern; a name wins over patterns, of those the longest."""
    mcut: Container[int] = ()
    """The categories that are cut image by image."""
    floor: float = 0.0
    """The score below which none was recorded. The gap down to it counts for the cut, as what lies below could
    otherwise be nowhere; so it protects from cuts between scores that are all low."""

    def of(self, label: Label) -> tuple[float, bool]:
        """The threshold of a label, and whether no image's cut takes its place; no label of RANKED reaches it."""
        if label.category in RANKED:
            return float("inf"), True
        own = self._own(label.tag)
        if own is not None:
            return own, True
        limit = self.categories.get(label.category, self.categories[GENERAL])
        return limit, limit > OFF or label.category not in self.mcut

    def cuts(self, scores: Iterable[tuple[int, float]]) -> dict[int, float]:
        """The cuts of one image, from its (category, score), for the categories that have one."""
        lists: dict[int, list[float]] = defaultdict(list)
        for category, score in scores:
            if category in self.mcut:
                lists[category].append(score)
        found = {}
        for category, some in lists.items():
            if len(some) > 1:
                cut = mcut([*some, self.floor] if self.floor else some) or 0.0
                found[category] = max(cut, CHARACTER_CUT) if category == CHARACTER else cut
        return found

    def _own(self, tag: str) -> float | None:
        form = normal(tag)
        if form in self._named:
            return self._named[form]
        return next((limit for matches, limit in self._patterns if matches(form)), None)

    @cached_property
    def _named(self) -> dict[str, float]:
        return {normal(text): limit for text, limit in self.tags.items() if wild(text) is None}

    @cached_property
    def _patterns(self) -> list[tuple[Callable[[str], bool], float]]:
        falling = sorted(self.tags.items(), key=lambda item: (-len(item[0]), item[0]))
        return [(matches, limit) for text, limit in falling if (matches := wild(text))]
