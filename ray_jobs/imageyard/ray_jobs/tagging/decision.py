"""From the scores of an image to its tags in order: every rule, in the one order in which they are applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from imageyard.ray_jobs.tag_categories import CHARACTER, QUALITY, RATING
from imageyard.ray_jobs.tagging.choosing import Chooser, Combination, Mixture, Scores, combined, falling, unique
from imageyard.ray_jobs.tagging.conflicts import contradicted
from imageyard.ray_jobs.tagging.kohya_clean import unclear
from imageyard.ray_jobs.tagging.names import Label, Name, Pick, said
from imageyard.ray_jobs.tagging.ordering import Order, arranged, led
from imageyard.ray_jobs.tagging.traits import is_trait


class Vocabulary(NamedTuple):
    """What a tagger knows: labels by index, its own thresholds by category, the lowest score it records."""

    labels: Mapping[int, Label]
    defaults: Mapping[int, float]
    floor: float = 0.0


Place = Literal["first", "last", "none"]


class Draft(NamedTuple):
    """The tags of an image before anything that depends on other images, by falling score."""

    picks: list[Pick]
    ruled_out: Sequence[Pick] = ()
    """What conflicts cost it."""
    rating: Pick | None = None
    quality: Pick | None = None
    """What has the highest score of its kind, if it is to be among the tags."""


@dataclass(frozen=True)
class Decision:
    """The rules of one recipe. Nothing drops what a person said."""

    choosers: Sequence[Chooser]
    combine: Combination = "union"
    mixture: Mixture = "max"
    drop_traits: bool = False
    kohya_clean: bool = False
    conflicts: bool = False
    overlap: Callable[[Iterable[str]], set[str]] | None = None
    """Which of some normal forms others say already."""
    min_count: float = 0
    max_tags: int | None = None
    order: Order = "score"
    people_first: bool = False
    characters_first: bool = False
    first: Sequence[Name] = ()
    add_if_missing: bool = False
    append: bool = False
    """Whether what a person said stands before everything else, in its own order."""
    rating: Place = "none"
    quality: Place = "none"

    @property
    def counting(self) -> bool:
        """Whether `finished` needs counts."""
        return self.min_count > 0 or self.order == "frequency"

    def drafted(self, scores: Sequence[Scores], pieces: Sequence[str] = (), rated: str | None = None) -> Draft:
        """The tags that the `scores` of each tagger give one image, with the `pieces` that a person said.

        `rated` is the rating that a person gave, which counts and not the tagger's.
        """
        lists = [chooser.chosen(some) for chooser, some in zip(self.choosers, scores, strict=True)]
        clear = len(lists) == 1 and self.choosers[0].distinct
        picks = lists[0] if clear else combined(lists, self.combine, self.mixture)
        if pieces:
            picks = unique([*(said(piece, place) for place, piece in enumerate(pieces)), *picks])
            picks.sort(key=falling)
        if self.drop_traits:
            picks = _without(picks, {name.form for name, _ in picks if is_trait(name.form)})
        if self.kohya_clean:
            picks = _without(picks, unclear([name.form for name, _ in picks]))
        ruled_out: list[Pick] = []
        if self.conflicts:
            gone = contradicted(name.form for name, _ in picks)
            if gone:
                before, picks = picks, _without(picks, gone)
                ruled_out = [(name, score) for name, score in before if name.form in gone and name.said is None]
        if self.overlap is not None:
            general = {name.form for name, _ in picks if name.category != CHARACTER}
            picks = _without(picks, self.overlap(name.form for name, _ in picks) & general)
        rating = self._best(scores[0], RATING, rated) if self.rating != "none" else None
        quality = self._best(scores[0], QUALITY) if self.quality != "none" else None
        return Draft(picks, ruled_out, rating, quality)

    def _best(self, scores: Scores, category: int, said: str | None = None) -> Pick | None:
        """The label of a category with the highest score, or the one `said`; None if the recipe bans its name."""
        found = self.choosers[0].ranked(scores, category)
        ranked = [(label, score) for label, score in found if said in (None, label.tag)]
        names = self.choosers[0].called(ranked[0][0]) if ranked else ()
        return (names[0], ranked[0][1]) if names else None

    def finished(self, draft: Draft, counts: Mapping[str, int], images: int) -> list[Pick]:
        """The tags in order; `counts` is in how many of the `images` each normal form stands."""
        picks = draft.picks
        if self.min_count:
            least = self.min_count if self.min_count >= 1 else round(self.min_count * images, 6)
            picks = _without(picks, {name.form for name, _ in picks if counts[name.form] < least})
        if self.max_tags is not None:
            picks = _highest(picks, self.max_tags)
        picks = arranged(
            picks, self.order, counts, people_first=self.people_first, characters_first=self.characters_first
        )
        ahead = [pick for pick, place in self._placed(draft) if place == "first"]
        behind = [pick for pick, place in self._placed(draft) if place == "last"]
        if ahead or behind:
            picks = unique([*ahead, *picks, *behind])
        if self.first:
            picks = led(picks, self.first, add=self.add_if_missing)
        if self.append:
            picks = sorted(picks, key=lambda pick: len(picks) if pick[0].said is None else pick[0].said)
        return picks

    def _placed(self, draft: Draft) -> list[tuple[Pick, Place]]:
        both = ((draft.rating, self.rating), (draft.quality, self.quality))
        return [(pick, place) for pick, place in both if pick is not None]


def _without(picks: Sequence[Pick], gone: set[str]) -> list[Pick]:
    return [pick for pick in picks if pick[0].said is not None or pick[0].form not in gone]


def _highest(picks: Sequence[Pick], most: int) -> list[Pick]:
    """`picks`, which are by falling score, without the lowest beyond `most`."""
    kept, count = [], 0
    for pick in picks:
        by_person = pick[0].said is not None
        count += not by_person
        if by_person or count <= most:
            kept.append(pick)
    return kept
