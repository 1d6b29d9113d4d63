"""Folds of the training set for cross-validation: groups stay whole, labels are spread, images stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageyard.ray_jobs.splitting.candidates import Candidates, by_rarity, candidates
from imageyard.ray_jobs.splitting.columns import Columns
from imageyard.ray_jobs.splitting.ties import Ties

if TYPE_CHECKING:
    import numpy as np


def folds_of(
    columns: Columns, ties: Ties, train: np.ndarray, keys: Sequence[str], *, folds: int | None, salt: str
) -> np.ndarray:
    """The fold, from 0, of the rows `train`, -1 for the others: int64 of shape (rows,). A person's fold stays."""
    import numpy as np

    fold = np.full(columns.rows, -1, np.int64)
    if folds is None or not len(train):
        return fold
    group = np.full(columns.rows, -1, np.int64)
    group[train] = ties.groups()[train]
    groups = candidates(columns, group, keys, salt)
    number = np.full(columns.rows, -1, np.int64)
    number[groups.part] = np.arange(len(groups))
    there = train[columns.fold[train] >= 0]
    standing = np.zeros((len(groups), folds), np.int64)
    np.add.at(standing, (number[group[there]], columns.fold[there]), 1)
    totals = groups.having(len(columns.tags.names))
    fold[train] = _folded(groups, standing, totals, folds)[number[group[train]]]
    said = there[~columns.folded[there]]
    fold[said] = columns.fold[said]
    return fold


def _folded(groups: Candidates, standing: np.ndarray, totals: np.ndarray, folds: int) -> np.ndarray:
    """A fold, from 0, for every group: int64 of shape (groups,).

    `standing`, int64 of shape (groups, folds), counts the members that are in a fold already: a group goes where most
    of it is, the lower fold of two, so groups that have grown together become whole again. The others, the rarest
    label first and the large before the small, go where their labels are scarcest, then where images are.
    `totals`, int64 of shape (labels,), says how many rows have each label.
    """
    import numpy as np

    fold = np.where(standing.any(axis=1), standing.argmax(axis=1), -1)
    start, label, count, size = (
        groups.start.tolist(),
        groups.label.tolist(),
        groups.count.tolist(),
        groups.size.tolist(),
    )
    scarce = (1 / np.maximum(1, totals)).tolist()
    have = [[0] * len(totals) for _ in range(folds)]
    rows = [0] * folds

    def put(at: int, chosen: int) -> None:
        rows[chosen] += size[at]
        for pair in range(start[at], start[at + 1]):
            have[chosen][label[pair]] += count[pair]

    def fullness(at: int, chosen: int) -> tuple[float, int, int]:
        there = have[chosen]
        pairs = range(start[at], start[at + 1])
        return sum(count[p] * there[label[p]] * scarce[label[p]] for p in pairs), rows[chosen], chosen

    for at in np.flatnonzero(fold >= 0).tolist():
        put(at, int(fold[at]))
    for at in by_rarity(groups, totals, largest_first=True).tolist():
        if fold[at] < 0:
            fold[at] = min(range(folds), key=lambda chosen: fullness(at, chosen))
            put(at, int(fold[at]))
    return fold
