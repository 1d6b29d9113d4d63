"""The tags that the scores of an image give, of one tagger or of several together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from imageyard.ray_jobs.tag_categories import RATING
from imageyard.ray_jobs.tagging.cutting import Thresholds
from imageyard.ray_jobs.tagging.names import Label, Name, Naming, Pick

Combination = Literal["union", "intersection", "difference"]
Mixture = Literal["max", "mean"]


class _Known(NamedTuple):
    limit: float
    fixed: bool
    category: int
    names: tuple[Name, ...]


class Chooser:
    """What the scores of one tagger choose; what holds for a label is worked out once."""

    def __init__(self, labels: Mapping[int, Label], thresholds: Thresholds, naming: Naming, *, model: int = 0) -> None:
        self._labels = labels
        self._thresholds = thresholds
        self._naming = naming
        self._model = model
        self._known: dict[int, _Known] = {index: self._looked_up(label) for index, label in labels.items()}
        self._ratings = {index for index, label in labels.items() if label.category == RATING}
        self._cutting = any(not known.fixed for known in self._known.values())

    def chosen(self, scores: Sequence[tuple[int, float]]) -> list[Pick]:
        """The tags of one image, from its (index, score): by falling score, equal ones by the model's name."""
        known = self._known
        picks = []
        if self._cutting:
            cuts = self._thresholds.cuts((known[index].category, score) for index, score in scores)
            for index, score in scores:
                limit, fixed, category, names = known[index]
                if names and score >= (limit if fixed else cuts.get(category, limit)):
                    picks += [Pick(name, score) for name in names]
        else:
            for index, score in scores:
                limit, _, _, names = known[index]
                if score >= limit:
                    picks += [Pick(name, score) for name in names]
        picks.sort(key=_falling)
        return picks

    def ratings(self, scores: Sequence[tuple[int, float]]) -> list[tuple[Label, float]]:
        """The ratings of one image with their scores."""
        return [(self._labels[index], score) for index, score in scores if index in self._ratings]

    def called(self, label: Label) -> tuple[Name, ...]:
        """What one of the labels is called."""
        return self._naming.names(label, self._model)

    def _looked_up(self, label: Label) -> _Known:
        if label.category == RATING:
            return _Known(float("inf"), True, RATING, ())
        return _Known(*self._thresholds.of(label), label.category, self.called(label))


def _falling(pick: Pick) -> tuple[float, str]:
    return -pick.score, pick.name.label


def unique(picks: Iterable[Pick]) -> list[Pick]:
    """`picks` without those that an earlier one says already.

    What stays has the highest score of all that say the same, and the model's class if one of them has it.
    """
    first: dict[str, Pick] = {}
    for pick in picks:
        name, score = pick
        before = first.setdefault(name.form, pick)
        if before is not pick:
            first[name.form] = Pick(_joined(before.name, name), max(before.score, score))
    return list(first.values())


def _joined(name: Name, other: Name) -> Name:
    if name.index is not None or other.index is None:
        return name
    return Name(name.text, name.form, other.index, other.category, other.label, other.place, name.said)


def combined(lists: Sequence[Sequence[Pick]], how: Combination, score: Mixture) -> list[Pick]:
    """The tags of one image from the lists of several taggers, by falling score; the first names and numbers them.

    `difference`: what only the first says. `mean`: of the taggers that say it.
    """
    if len(lists) == 1:
        return unique(lists[0])
    by_form = [{pick.name.form: pick for pick in unique(picks)} for picks in lists]
    forms = dict.fromkeys(form for found in by_form for form in found)
    picks = []
    for form in forms:
        having = [found[form] for found in by_form if form in found]
        if how == "intersection" and len(having) < len(lists):
            continue
        if how == "difference" and (form not in by_form[0] or len(having) > 1):
            continue
        scores = [pick.score for pick in having]
        name = having[0].name
        if name.index is not None and form not in by_form[0]:
            name = Name(name.text, form, None, name.category, name.label, name.place)
        mixed = max(scores) if score == "max" else round(sum(scores) / len(scores), 4)
        picks.append(Pick(name, mixed))
    return sorted(picks, key=_falling)
