"""From the scores of an image to its tags in order: every rule, in the one order in which they are applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from imageyard.ray_jobs.tag_categories import CHARACTER
from imageyard.ray_jobs.tagging.choosing import Chooser, Combination, Mixture, combined, unique
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


Scores = Sequence[tuple[int, float]]
"""(index, score) of one image by one tagger."""


class Draft(NamedTuple):
    """The tags of an image before anything that depends on other images."""

    picks: Sequence[Pick]
    ruled_out: Sequence[Pick] = ()
    """What conflicts cost it."""


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
    rating: Literal["first", "last", "none"] = "none"

    @property
    def counting(self) -> bool:
        """Whether `finished` needs counts."""
        return self.min_count > 0 or self.order == "frequency"

    def drafted(self, scores: Sequence[Scores], pieces: Sequence[str] = ()) -> Draft:
        """The tags that the `scores` of each tagger give one image, with the `pieces` that a person said."""
        lists = [chooser.chosen(some) for chooser, some in zip(self.choosers, scores, strict=True)]
        picks = combined(lists, self.combine, self.mixture)
        if pieces:
            picks = unique([*(said(piece, place) for place, piece in enumerate(pieces)), *picks])
        if self.drop_traits:
            picks = _without(picks, {pick.name.form for pick in picks if is_trait(pick.name.form)})
        if self.kohya_clean:
            picks = _without(picks, unclear([pick.name.form for pick in picks]))
        ruled_out: list[Pick] = []
        if self.conflicts:
            gone = contradicted(pick.name.form for pick in picks)
            if gone:
                before, picks = picks, _without(picks, gone)
                ruled_out = [pick for pick in before if pick.name.form in gone and pick.name.said is None]
        if self.overlap is not None:
            general = {pick.name.form for pick in picks if pick.name.category != CHARACTER}
            picks = _without(picks, self.overlap(pick.name.form for pick in picks) & general)
        return Draft(picks, ruled_out)

    def finished(self, draft: Draft, rating: Pick | None, counts: Mapping[str, int], images: int) -> list[Pick]:
        """The tags in order; `counts` is in how many of the `images` each normal form stands."""
        picks = draft.picks
        if self.min_count:
            least = self.min_count if self.min_count >= 1 else self.min_count * images
            picks = [pick for pick in picks if pick.name.said is not None or counts[pick.name.form] >= least]
        if self.max_tags is not None:
            picks = _highest(picks, self.max_tags)
        picks = arranged(
            picks, self.order, counts, people_first=self.people_first, characters_first=self.characters_first
        )
        if rating is not None and self.rating != "none":
            picks = [rating, *picks] if self.rating == "first" else [*picks, rating]
        picks = led(picks, self.first, add=self.add_if_missing)
        if self.append:
            by_person = [pick for pick in picks if pick.name.said is not None]
            by_person.sort(key=lambda pick: pick.name.said or 0)
            picks = [*by_person, *(pick for pick in picks if pick.name.said is None)]
        return unique(picks)


def _without(picks: Sequence[Pick], gone: set[str]) -> list[Pick]:
    return [pick for pick in picks if pick.name.said is not None or pick.name.form not in gone]


def _highest(picks: Sequence[Pick], most: int) -> list[Pick]:
    """`picks`, which are by falling score, without the lowest beyond `most`."""
    kept, count = [], 0
    for pick in picks:
        count += pick.name.said is None
        if pick.name.said is not None or count <= most:
            kept.append(pick)
    return kept
