"""What cannot be on two sides at once: placed images alike across a split, and new ones that bridge it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from imageyard.ray_jobs.edges import Edges
from imageyard.ray_jobs.splitting.columns import Columns
from imageyard.ray_jobs.splitting.nearest import nearest
from imageyard.ray_jobs.splitting.sides import NONE, TEST, TRAIN, VALIDATION
from imageyard.ray_jobs.splitting.ties import GROUPING

if TYPE_CHECKING:
    import numpy as np

GIVEN = 8
"""The bit of a held-out row of a given set, beside the bit 1 << side."""
GROUP = "group"
"""What stands for the tier where two images are alike by no pair, but by a chain of pairs or a user group."""


class Conflict(NamedTuple):
    """Why an image is on no side."""

    other: int
    """The row of a held-out image that it belongs with, or of one that a person has placed."""
    tier: str
    distance: float | None
    was: int
    """The side it was on, NONE for a new one."""


def giving_way(columns: Columns, side: np.ndarray, fixed: np.ndarray, edges: Edges) -> dict[int, Conflict]:
    """Standing rows, and why, that must leave their side: train rows alike to a held-out one, validation rows to test.

    Before that, held-out rows alike to one that a person has put on a weaker side.

    `edges` are those of the audited tiers. `side` is int8 of shape (rows,). Rows that `fixed` holds never leave.
    """
    import numpy as np

    found: dict[int, Conflict] = {}
    left = np.zeros(len(side), np.bool_)
    for weak in (TRAIN, VALIDATION):
        staying = columns.standing & ~left
        pinned = staying & (side == weak) & columns.by_person
        giving = staying & (side > weak) & ~fixed
        for row, conflict in _beside(edges, giving, pinned, side):
            found[row], left[row] = conflict, True
    for weak, strong in ((VALIDATION, TEST), (TRAIN, VALIDATION)):
        staying = columns.standing & ~left
        giving = staying & (side == weak) & ~fixed
        for row, conflict in _beside(edges, giving, staying & (side >= strong), side):
            found[row], left[row] = conflict, True
    return found


def _beside(edges: Edges, giving: np.ndarray, to: np.ndarray, side: np.ndarray) -> list[tuple[int, Conflict]]:
    """The rows of `giving` that are alike to one of `to`."""
    import numpy as np

    near = nearest(edges, giving, to)
    return [
        (
            row,
            Conflict(
                int(near.other[row]),
                edges.layers[int(near.layer[row])].tier,
                float(near.distance[row]),
                int(side[row]),
            ),
        )
        for row in np.flatnonzero(near.other >= 0).tolist()
    ]


def bridging(rows: np.ndarray, side: np.ndarray, edges: Edges, groups: np.ndarray) -> dict[int, Conflict]:
    """Why `rows`, int64 of new ones that belong with more than one side, stay on none: the nearest held-out row.

    `groups`, int64 of shape (all rows,), says what belongs together; of a group whose held-out rows are alike to a
    row only by others, the strongest and then the smallest stands.
    """
    import numpy as np

    grouping = edges.of_tiers(GROUPING)
    asking = np.zeros(len(side), np.bool_)
    asking[rows] = True
    near = nearest(grouping, asking, side > TRAIN)
    held = np.flatnonzero(side > TRAIN)
    held = held[np.lexsort((held, -side[held], groups[held]))]
    of_group, first = np.unique(groups[held], return_index=True)
    found = {}
    for row in rows.tolist():
        if near.other[row] >= 0:
            tier = grouping.layers[int(near.layer[row])].tier
            found[row] = Conflict(int(near.other[row]), tier, float(near.distance[row]), NONE)
        else:
            other = held[first[np.searchsorted(of_group, groups[row])]]
            found[row] = Conflict(int(other), GROUP, None, NONE)
    return found
