"""The tags that the scores of an image give, of one tagger or of several together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from imageyard.ray_jobs.tagging.cutting import RANKED, Thresholds
from imageyard.ray_jobs.tagging.names import Label, Name, Naming, Pick

Combination = Literal["union", "intersection", "difference"]
Mixture = Literal["max", "mean"]

Scores = Sequence[tuple[int, float]]
"""(index, score) of one image by one tagger: by falling score, equal ones by tag."""


class Chooser:
    """What the scores of one tagger choose; what holds for a label is worked out once."""

    def __init__(self, labels: Mapping[int, Label], thresholds: Thresholds, naming: Naming, *, model: int = 0) -> None:
        self._labels = labels
        self._thresholds = thresholds
        self._naming = naming
        self._model = model
        self._limits = {index: thresholds.of(label) for index, label in labels.items()}
        self._ranked = {
            category: frozenset(index for index, label in labels.items() if label.category == category)
            for category in RANKED
        }
        self._names = {index: self.called(label) for index, label in labels.items()}
        forms = [name.form for names in self._names.values() for name in names]
        self.distinct = len(set(forms)) == len(forms)
        """Whether no two labels can have one name."""
        self._fixed = {index: limit for index, (limit, fixed) in self._limits.items() if fixed}

    def chosen(self, scores: Scores) -> list[Pick]:
        """The tags of one image, in the order of its scores."""
        limits = self._fixed
        if len(limits) < len(self._labels):
            limits = self._cut(scores)
        names = self._names
        return [(name, score) for index, score in scores if score >= limits[index] for name in names[index]]

    def ranked(self, scores: Scores, category: int) -> list[tuple[Label, float]]:
        """The labels of one of RANKED that an image has scores of: by falling score, equal ones by index."""
        members = self._ranked[category]
        found = [(self._labels[index], score) for index, score in scores if index in members]
        return sorted(found, key=lambda pair: (-pair[1], pair[0].index))

    def called(self, label: Label) -> tuple[Name, ...]:
        """What one of the labels is called."""
        return self._naming.names(label, self._model)

    def _cut(self, scores: Scores) -> dict[int, float]:
        """The thresholds of the labels of one image, by its own cuts."""
        cuts = self._thresholds.cuts((self._labels[index].category, score) for index, score in scores)
        found = {}
        for index, _ in scores:
            limit, fixed = self._limits[index]
            found[index] = limit if fixed else cuts.get(self._labels[index].category, limit)
        return found


def falling(pick: Pick) -> tuple[float, str]:
    """By which picks stand in falling order of their scores, equal ones in that of the model's names."""
    name, score = pick
    return -score, name.label


def unique(picks: list[Pick]) -> list[Pick]:
    """`picks` without those that an earlier one says already.

    What stays has the highest score of all that say the same, and the model's class if one of them has it.
    """
    if len({name.form for name, _ in picks}) == len(picks):
        return picks
    first: dict[str, Pick] = {}
    for pick in picks:
        name, score = pick
        before = first.setdefault(name.form, pick)
        if before is not pick:
            first[name.form] = (_joined(before[0], name), max(before[1], score))
    return list(first.values())


def _joined(name: Name, other: Name) -> Name:
    if name.index is not None or other.index is None:
        return name
    return replace(other, text=name.text, renamed=False, said=name.said)


def combined(lists: Sequence[list[Pick]], how: Combination, score: Mixture) -> list[Pick]:
    """The tags of one image from the lists of taggers, by falling score; the first names and numbers them.

    `difference`: what only the first says. `mean`: of the taggers that say it.
    """
    if len(lists) == 1:
        return unique(lists[0])
    by_form = [{name.form: (name, score) for name, score in unique(picks)} for picks in lists]
    forms = dict.fromkeys(form for found in by_form for form in found)
    picks = []
    for form in forms:
        having = [found[form] for found in by_form if form in found]
        if how == "intersection" and len(having) < len(lists):
            continue
        if how == "difference" and (form not in by_form[0] or len(having) > 1):
            continue
        scores = [score for _, score in having]
        name, _ = having[0]
        if name.index is not None and form not in by_form[0]:
            name = replace(name, index=None)
        mixed = max(scores) if score == "max" else round(sum(scores) / len(scores), 4)
        picks.append((name, mixed))
    return sorted(picks, key=falling)
