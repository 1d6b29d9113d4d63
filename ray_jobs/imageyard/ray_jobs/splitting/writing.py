"""What a split says on the lines: the side, the conflict that keeps an image out, the fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageyard.manifests.sample import Json, Sample
from imageyard.ray_jobs.splitting.columns import CONFLICT, FOLD, STEP, Columns
from imageyard.ray_jobs.splitting.conflicts import Conflict
from imageyard.ray_jobs.splitting.placing import Placement
from imageyard.ray_jobs.splitting.sides import NONE, SIDES
from imageyard.ray_jobs.state import CUSTOM, SPLIT, Stamp, State, labelled

if TYPE_CHECKING:
    import numpy as np


def written(
    state: State, columns: Columns, placement: Placement, stamp: Stamp, *, fold: np.ndarray, folds: int | None
) -> list[Sample]:
    """The samples with what was decided; lines that say it already are not touched, nor is what a person said.

    A rejected sample keeps its side as it is remembered, or what has become of it. `fold` is int64 of shape (rows,),
    -1 for a row in none.
    """
    import numpy as np

    remembered = columns.standing | (columns.said != NONE)
    differs = remembered & (placement.side != columns.said) & ~columns.by_person
    outdated = columns.standing & columns.conflicted
    outdated[list(placement.conflicts)] = True
    refolded = columns.standing & np.where(fold < 0, columns.folded, fold != columns.fold)
    samples = list(state.samples)
    for row in np.flatnonzero(differs | outdated | refolded).tolist():
        sample = samples[row]
        if differs[row]:
            sample = _placed(sample, int(placement.side[row]), stamp)
        if outdated[row]:
            sample = _explained(sample, placement.conflicts.get(row), state.keys, stamp)
        if refolded[row]:
            sample = _folded(sample, int(fold[row]), folds, stamp)
        samples[row] = sample.forget()
        state.samples[row].forget()
    return samples


def given_to(sample: Sample, side: int, stamp: Stamp) -> Sample:
    """`sample` on a held-out side that its names say, before anything else is decided."""
    return _placed(sample, side, stamp)


def _placed(sample: Sample, side: int, stamp: Stamp) -> Sample:
    return labelled(sample, SPLIT, SIDES[side], stamp.metadata(CUSTOM, STEP)) if side >= 0 else sample.without(SPLIT)


def _explained(sample: Sample, conflict: Conflict | None, keys: Sequence[str], stamp: Stamp) -> Sample:
    if conflict is None:
        return sample.without(CONFLICT)
    value: dict[str, Json] = {
        "with": keys[conflict.other],
        "tier": conflict.tier,
        "distance": None if conflict.distance is None else round(conflict.distance, 6),
        "was": SIDES[conflict.was] if conflict.was != NONE else None,
    }
    return labelled(sample, CONFLICT, value, stamp.metadata(CUSTOM, STEP))


def _folded(sample: Sample, fold: int, folds: int | None, stamp: Stamp) -> Sample:
    if fold < 0:
        return sample.without(FOLD)
    return labelled(sample, FOLD, fold, stamp.metadata(CUSTOM, STEP, folds=folds))
