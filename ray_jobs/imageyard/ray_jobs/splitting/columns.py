"""What a split reads of every sample, once, as columns."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageyard.manifests.sample import Sample
from imageyard.ray_jobs.origin import names_of
from imageyard.ray_jobs.splitting.group_by import Rule
from imageyard.ray_jobs.splitting.labels import Kind, labels_of
from imageyard.ray_jobs.splitting.sides import HELD_OUT, NONE, OUT, side_of
from imageyard.ray_jobs.state import ORIGIN, SPLIT, State, by_person

if TYPE_CHECKING:
    import numpy as np

CONFLICT = "split-conflict"
FOLD = "fold"
STEP = "split"
"""The step that says all of this."""


@dataclass(frozen=True)
class Tags:
    """Which rows have which labels: pairs of a row and the number of a label."""

    row: np.ndarray
    """int64 of shape (pairs,)."""
    label: np.ndarray
    """int64 of shape (pairs,)."""
    names: tuple[str, ...]
    """Of the labels, in alphabetical order."""
    kinds: tuple[Kind, ...]
    """Of the labels."""

    @property
    def hard(self) -> np.ndarray:
        """bool of shape (labels,): a class or an anomaly type, of which a row has at most one an attribute."""
        import numpy as np

        return np.array([kind != "tag" for kind in self.kinds], np.bool_)


@dataclass(frozen=True)
class Columns:
    """Arrays of shape (rows,), in the order of the state."""

    standing: np.ndarray
    """bool: not rejected."""
    said: np.ndarray
    """int8: the side that the line says, NONE for none, OUT for a person's other word."""
    by_person: np.ndarray
    """bool: a person has said so."""
    was: np.ndarray
    """int8: the side that a conflict took the image from, else NONE."""
    conflicted: np.ndarray
    """bool: the line tells of a conflict."""
    given: np.ndarray
    """int8: the held-out side whose given set the image is of by its names, else NONE."""
    seen: np.ndarray
    """int64: the rank of the date when it was first seen."""
    fold: np.ndarray
    """int64: the fold that the line says among as many folds as are asked for, else -1."""
    folded: np.ndarray
    """bool: the line tells of a fold, whatever of it, and no person says so."""
    tags: Tags
    named: tuple[np.ndarray, np.ndarray]
    """int64 of shape (pairs,) each: rows, and the numbers of the user groups they belong to."""

    @property
    def rows(self) -> int:
        return len(self.standing)


def read(
    state: State, rules: Sequence[Rule], given: Mapping[int, Callable[[Iterable[str]], bool]], folds: int | None
) -> Columns:
    """The columns of `state`; `given` says by held-out side whether names are those of its given set."""
    import numpy as np

    rows = len(state.keys)
    said, was = np.full(rows, NONE, np.int8), np.full(rows, NONE, np.int8)
    by_person, conflicted, folded = (np.zeros(rows, np.bool_) for _ in range(3))
    of_given = np.full(rows, NONE, np.int8)
    fold, seen = np.full(rows, -1, np.int64), np.zeros(rows, np.int64)
    dates: dict[str, int] = {}
    groups: dict[tuple[int, str], int] = {}
    tie_row, tie_group = array("q"), array("q")
    labels = _Labels()
    for row, sample in enumerate(state.samples):
        data = sample.data
        if SPLIT in data:
            said[row], by_person[row] = _said(sample)
        conflict = data.get(CONFLICT)
        if isinstance(conflict, dict):
            conflicted[row], was[row] = True, side_of(conflict.get("was"))
        if FOLD in data:
            fold[row], folded[row] = _fold(sample, folds)
        for side in HELD_OUT if given else ():
            if side in given and of_given[row] == NONE and given[side](names_of(sample)):
                of_given[row] = side
        seen[row] = dates.setdefault(str((sample.metadata(ORIGIN) or {}).get("creation-date", "")), len(dates))
        labels.add(row, labels_of(sample))
        for number, rule in enumerate(rules):
            for name in rule(sample):
                tie_row.append(row)
                tie_group.append(groups.setdefault((number, name), len(groups)))
        sample.forget()
    rank = np.argsort(np.argsort(np.array(list(dates) or [""])))
    return Columns(
        standing=np.array([rejection is None for rejection in state.rejections], np.bool_),
        said=said,
        by_person=by_person,
        was=was,
        conflicted=conflicted,
        given=of_given,
        seen=rank[seen],
        fold=fold,
        folded=folded,
        tags=labels.columns(),
        named=(np.array(tie_row, np.int64), np.array(tie_group, np.int64)),
    )


class _Labels:
    """Labels as they come, numbered in the end by the alphabet."""

    def __init__(self) -> None:
        self._row, self._label = array("q"), array("q")
        self._kind: dict[str, Kind] = {}
        self._number: dict[str, int] = {}

    def add(self, row: int, labels: Mapping[str, Kind]) -> None:
        for name, kind in labels.items():
            self._row.append(row)
            number = self._number.get(name)
            if number is None:
                number = self._number[name] = len(self._number)
                self._kind[name] = kind
            self._label.append(number)

    def columns(self) -> Tags:
        import numpy as np

        names = tuple(sorted(self._number))
        rank = np.zeros(len(names), np.int64)
        for place, name in enumerate(names):
            rank[self._number[name]] = place
        kinds = tuple(self._kind[name] for name in names)
        return Tags(np.array(self._row, np.int64), rank[np.array(self._label, np.int64)], names, kinds)


def _said(sample: Sample) -> tuple[int, bool]:
    value = sample.value(SPLIT)
    pinned, side = by_person(sample, SPLIT), side_of(value)
    return (OUT if pinned and side == NONE else side), pinned


def _fold(sample: Sample, folds: int | None) -> tuple[int, bool]:
    """The fold that stays, and whether it may be taken away: a person's fold and another's pair may not."""
    value, metadata = sample.value(FOLD), sample.metadata(FOLD) or {}
    pinned = metadata.get("human-annotated") == "yes"
    ours = metadata.get("step") == STEP and not pinned
    stays = (
        folds is not None and type(value) is int and 0 <= value < folds and (pinned or metadata.get("folds") == folds)
    )
    return (value if stays else -1), ours
