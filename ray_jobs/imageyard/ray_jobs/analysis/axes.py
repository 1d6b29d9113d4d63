"""The axes of a shot list, counted over images while they pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from imageyard.ray_jobs.analysis.affected import NAMES, Affected, Tally
from imageyard.ray_jobs.analysis.shot_plan import STRAY, AxisPlan, Value

EXAMPLES = 4
EMPTY = 20
"""Empty combinations that are told."""


@dataclass(frozen=True)
class Seen:
    """One value of an axis, such as `behind` of the axis `view`."""

    value: str
    images: int
    share: float
    """Of the images counted, 0 to 1; shares of an axis need not add up to 1."""
    examples: tuple[str, ...]
    """Names of the first few."""
    wanted: tuple[int, int] | None = None
    """How many images the profile wants at least and at most; None where it wants no number."""
    missing: int = 0
    """So many more are needed for the least; 0 where nobody could tell."""
    tellable: bool = True
    """False where taggers have no word for it, so that no images does not mean none."""


@dataclass(frozen=True)
class Excess:
    """A value of which there is too much."""

    value: str
    images: int
    share: float
    threshold: float
    """The share above which it is too much."""


@dataclass(frozen=True)
class Axis:
    """One thing that should vary, or stay the same, over the set."""

    name: str
    """Such as `view`."""
    known: bool
    """Whether its words are ever used; if not, nothing is missing, because nothing is known."""
    said: int
    """Images of which at least one value is known."""
    values: tuple[Seen, ...]
    """The most frequent first; of those without images only the ones that are wanted."""
    distinct: int
    """Values with at least one image."""
    wanted_distinct: int | None
    """So many different ones are wanted; None where no number is."""
    excess: tuple[Excess, ...]
    notes: tuple[str, ...]
    """Plain sentences on what else is amiss, each with its numbers."""
    strays: Affected
    """Where one value should be on all: the images that have another one, once for each."""


@dataclass(frozen=True)
class Cross:
    """Two axes at once, for a plot: which combinations no image shows."""

    first: str
    second: str
    rows: tuple[str, ...]
    """Values of `first` that occur."""
    columns: tuple[str, ...]
    """Values of `second` that occur."""
    images: tuple[tuple[int, ...], ...]
    """For each row, for each column: images that have both."""
    empty: tuple[tuple[str, str], ...]
    """(row, column) without an image, those of the most frequent values first; at most 20."""


class AxisCount:
    """One axis while images pass."""

    def __init__(self, plan: AxisPlan) -> None:
        self.plan = plan
        self._tallies = {value.name: Tally() for value in plan.values}
        self._by_word: dict[str, list[str]] = {}
        for value in plan.values:
            for word in value.said_by:
                self._by_word.setdefault(word, []).append(value.name)
        self.said = 0
        self._faint = False

    def add(self, name: str, words: Set[str], faint: Set[str]) -> tuple[str, ...]:
        """One image; the values that it has."""
        used = self._by_word.keys() & words
        self._faint = self._faint or bool(used) or not self._by_word.keys().isdisjoint(faint)
        if self.plan.solo and "solo" not in words:
            return ()
        values = tuple(dict.fromkeys(value for word in sorted(used) for value in self._by_word[word]))
        self.said += bool(values)
        for value in values:
            self._tallies[value].add(name)
        return values

    def images(self, value: str) -> int:
        return self._tallies[value].images

    def done(self, images: int, *, by_taggers: bool) -> Axis:
        plan = self.plan
        blind = {
            value.name for value in plan.values if by_taggers and not value.taggers and not self.images(value.name)
        }
        values = [self._seen(value, images, blind) for value in plan.values]
        values.sort(key=lambda seen: -seen.images)
        distinct = sum(seen.images > 0 for seen in values)
        return Axis(
            name=plan.name,
            known=self._faint,
            said=self.said,
            values=tuple(seen for seen in values if seen.images or seen.wanted),
            distinct=distinct,
            wanted_distinct=plan.distinct if images >= plan.distinct_from else None,
            excess=tuple(
                Excess(seen.value, seen.images, seen.share, most)
                for seen, most in ((seen, self._most(seen.value)) for seen in values)
                if most is not None and seen.share > most
            )
            if images >= plan.distinct_from
            else (),
            notes=tuple(self._notes(values, blind)),
            strays=self._strays(values),
        )

    def _seen(self, value: Value, images: int, blind: Set[str]) -> Seen:
        affected = self._tallies[value.name].done()
        least = value.wanted[0] if value.wanted and self._faint and value.name not in blind else 0
        return Seen(
            value=value.name,
            images=affected.images,
            share=affected.images / images,
            examples=affected.names[:EXAMPLES],
            wanted=value.wanted,
            missing=max(0, least - affected.images),
            tellable=value.name not in blind,
        )

    def _most(self, value: str) -> float | None:
        own = next(known.most for known in self.plan.values if known.name == value)
        return self.plan.most if own is None else own

    def _notes(self, values: Sequence[Seen], blind: Set[str]) -> list[str]:
        if not self._faint:
            return [f"{self.plan.name}: none of its words is used, so nothing can be said of it"]
        notes = [
            f"{value}: taggers have no word for it, so it cannot be counted"
            for value in (seen.value for seen in values)
            if value in blind
        ]
        if self.plan.constant and self.said:
            rivals = [seen for seen in values if seen.images > STRAY * self.said]
            if len(rivals) > 1:
                told = ", ".join(f"{seen.value} {seen.images}" for seen in rivals)
                notes.append(f"{self.plan.name}: the images disagree: {told} of {self.said}")
        return notes

    def _strays(self, values: Sequence[Seen]) -> Affected:
        """The images of all values but the most frequent, of an axis that should be constant."""
        if not self.plan.constant or not values:
            return Affected()
        others = [self._tallies[seen.value].done() for seen in values[1:] if seen.images]
        names = dict.fromkeys(name for other in others for name in other.names)
        return Affected(sum(other.images for other in others), tuple(names)[:NAMES])


def cross(first: AxisCount, second: AxisCount, both: Mapping[tuple[str, str], int]) -> Cross:
    """Two axes at once; `both` says how many images have a value of each."""
    rows, columns = (
        tuple(value.name for value in count.plan.values if count.images(value.name)) for count in (first, second)
    )
    empty = [(row, column) for row in rows for column in columns if not both.get((row, column))]
    empty.sort(key=lambda pair: -first.images(pair[0]) * second.images(pair[1]))
    return Cross(
        first=first.plan.name,
        second=second.plan.name,
        rows=rows,
        columns=columns,
        images=tuple(tuple(both.get((row, column), 0) for column in columns) for row in rows),
        empty=tuple(empty[:EMPTY]),
    )


class CrossCount:
    """Combinations of two axes while images pass."""

    def __init__(self, first: str, second: str) -> None:
        self.first, self.second = first, second
        self.both: Counter[tuple[str, str]] = Counter()

    def add(self, values: Mapping[str, Sequence[str]]) -> None:
        """The values of one image by axis."""
        self.both.update((row, column) for row in values[self.first] for column in values[self.second])
