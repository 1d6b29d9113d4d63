"""How many images of each label a held-out side should get, and how many of the new ones at most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageyard.ray_jobs.splitting.candidates import Candidates, luck_of
from imageyard.ray_jobs.splitting.columns import Tags

if TYPE_CHECKING:
    import numpy as np

CATCHING_UP = 1.6
"""A side that lags behind takes so many times its share of what is new at most: a test set that was enlarged is not
made of the newest images alone."""


@dataclass(frozen=True)
class Ask:
    """What a recipe asks of one held-out side."""

    amount: float
    """A share (a float below 1) or a number of images (an int)."""
    minimum: Mapping[int, int]
    """By label, how many images of it are asked for at least."""
    salt: str
    first: bool
    """Whether the side is drawn for the first time, and so from everything that is not held out."""


@dataclass(frozen=True)
class Turnout:
    """Who takes part, which is who stands and is kept out of no side; who of them the side has already; and who it
    could have, since the other held-out side has not. Arrays are int64 of shape (labels,), how many have each."""

    rows: int
    labels: np.ndarray
    held: int
    held_labels: np.ndarray
    free: int
    free_labels: np.ndarray


@dataclass(frozen=True)
class Want:
    """What a side should get. Arrays are of shape (labels,)."""

    size: int
    """Rows, of all labels together."""
    need: np.ndarray
    """int64: rows of each label."""
    share: np.ndarray
    """float64: what the side should have in all, exactly."""
    lack: np.ndarray
    """float64: the share less what the side has."""
    planned: np.ndarray
    """bool: classes, types, and tags of which the side should have one at least; rarer ones are left to luck."""


def rows_asked(amount: float, rows: int, free: int) -> int:
    """A share of `rows` or a number of them, as rows.

    A number takes half of the `free` ones at most: the rest comes as the dataset grows, and training is left something.
    """
    return min(amount, free // 2) if isinstance(amount, int) else math.floor(amount * rows + 0.5)


def least(minimum: Mapping[int, int], free_labels: np.ndarray) -> np.ndarray:
    """int64 of shape (labels,): how many are asked for at least, but never more than half of the free ones."""
    import numpy as np

    wanted = np.zeros(len(free_labels), np.int64)
    for label, number in minimum.items():
        wanted[label] = number
    capped: np.ndarray = np.minimum(wanted, free_labels // 2)
    return capped


def want(ask: Ask, turnout: Turnout, tags: Tags, new: Candidates) -> Want:
    """What the side should get of the candidates `new`.

    Its classes, attribute by attribute, share what it lacks by largest remainder, so that together they are the
    share that was asked for, however small the classes are.
    """
    import numpy as np

    total = rows_asked(ask.amount, turnout.rows, turnout.free)
    ratio = total / max(1, turnout.rows) if isinstance(ask.amount, int) else ask.amount
    share = ratio * turnout.labels
    lack = share - turnout.held_labels
    families, hard = _families(tags), tags.hard
    beyond = np.maximum(0, np.minimum(turnout.held_labels, least(ask.minimum, turnout.free_labels)) - share)
    extra = max((float(beyond[family].sum()) for family in families), default=0.0) if ask.minimum else 0.0
    coming = int(new.size.sum())
    size = max(0, min(total + math.floor(extra + 0.5) - turnout.held, coming))
    if not ask.first:
        caused = total - rows_asked(ask.amount, turnout.rows - coming, turnout.free - coming)
        lucky = int(new.size[new.luck < CATCHING_UP * ratio].sum())
        size = min(size, max(caused, math.floor(CATCHING_UP * ratio * coming) or lucky))
    available = new.having(len(share))
    need = np.maximum(0, np.floor(lack + 0.5)).astype(np.int64)
    for family in families:
        if hard[family[0]]:
            luck = np.array([luck_of(ask.salt, tags.names[label]) for label in family.tolist()])
            rest = _rest(turnout, family, ratio, coming - int(available[family].sum()))
            shortage = np.append(np.clip(lack[family], 0, available[family]), rest)
            need[family] = _apportioned(shortage, size, np.append(luck, 1.0))[:-1]
    return Want(size, need, share, lack, hard | (share >= 1))


def _families(tags: Tags) -> list[np.ndarray]:
    """The labels of each attribute, hard ones and tags apart."""
    import numpy as np

    families: dict[tuple[bool, str], list[int]] = {}
    for label, (name, hard) in enumerate(zip(tags.names, tags.hard.tolist(), strict=True)):
        families.setdefault((hard, name.partition("=")[0]), []).append(label)
    return [np.array(family, np.int64) for family in families.values()]


def _rest(turnout: Turnout, family: np.ndarray, ratio: float, available: int) -> float:
    """What the side lacks of rows that have no label of `family`."""
    without = turnout.rows - int(turnout.labels[family].sum())
    held = turnout.held - int(turnout.held_labels[family].sum())
    return min(max(0.0, ratio * without - held), available)


def _apportioned(shortage: np.ndarray, size: int, luck: np.ndarray) -> np.ndarray:
    """Whole numbers next to `shortage` that sum to `size` at most: int64 of the same shape. Ties go by `luck`."""
    import numpy as np

    total = shortage.sum()
    exact = shortage * (size / total) if total > size else shortage
    parts = np.floor(exact + 1e-9)
    rest = exact - parts
    order = np.lexsort((luck, -np.round(rest, 9)))
    order = order[shortage[order] > parts[order]][: max(0, size - int(parts.sum()))]
    parts[order] += 1
    return parts.astype(np.int64)
