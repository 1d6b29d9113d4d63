"""What ties rows together, by equal codes, likeness or user groups, and the parts they form between what is placed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageyard.ray_jobs.edges import TIERS, Edges, Layer

if TYPE_CHECKING:
    import numpy as np

GROUPING = tuple(tier for tier in TIERS if tier != "semantic")
"""Tiers whose pairs make groups: what is only of a kind stays apart."""


@dataclass(frozen=True)
class Ties:
    """Rows hang on knots, and knots on each other: a bipartite graph is small where cliques are large."""

    rows: int
    knots: int
    row: np.ndarray
    """int64 of shape (ties,): rows."""
    knot: np.ndarray
    """int64 of shape (ties,): the knots that those rows hang on."""
    first: np.ndarray
    """int64 of shape (links,): knots."""
    second: np.ndarray

    def groups(self) -> np.ndarray:
        """For every row the smallest row that it is tied to by any chain, itself if to none: int64 of shape (rows,)."""
        import numpy as np

        ends = np.concatenate([self.knot, self.second]) + self.rows
        label = _components(self.rows + self.knots, np.concatenate([self.row, self.first + self.rows]), ends)
        _, smallest, inverse = np.unique(label[: self.rows], return_index=True, return_inverse=True)
        return smallest[inverse].astype(np.int64)


@dataclass(frozen=True)
class Parts:
    """Rows that are still to be placed, in connected parts, as if what is placed were cut out."""

    of: np.ndarray
    """int64 of shape (rows,): the part of each open row, -1 for the others."""
    touched: np.ndarray
    """uint8 of shape (parts,): what the placed rows that a part is tied to say, or-ed."""


def tie(groups: np.ndarray, edges: Edges, named: tuple[np.ndarray, np.ndarray]) -> Ties:
    """Ties by the edges of grouping tiers, by the user groups `named` (rows, numbers), and by `groups`.

    `groups`, int64 of shape (rows,), holds the first row of each row's group. Where edges and user groups say of a
    group what holds it together they are taken at their word; else all its rows hang on one knot.
    """
    import numpy as np

    rows = len(groups)
    ties = _hung(rows, named, [_linked(layer) for layer in edges.of_tiers(GROUPING).layers])
    known = ties.groups()
    unexplained = known[groups] != known
    if not unexplained.any():
        return ties
    members = np.flatnonzero(np.isin(groups, np.unique(groups[unexplained])))
    _, number = np.unique(groups[members], return_inverse=True)
    return Ties(
        rows,
        ties.knots + int(number.max()) + 1,
        np.concatenate([ties.row, members]),
        np.concatenate([ties.knot, number + ties.knots]),
        ties.first,
        ties.second,
    )


def parts(ties: Ties, open_: np.ndarray, bits: np.ndarray) -> Parts:
    """The parts of the rows that `open_`, bool of shape (rows,), holds; `bits`, uint8, is what each other row says."""
    import numpy as np

    says, knot_open = np.zeros(ties.knots, np.uint8), np.zeros(ties.knots, np.bool_)
    inside = open_[ties.row]
    np.bitwise_or.at(says, ties.knot, np.where(inside, 0, bits[ties.row]).astype(np.uint8))
    knot_open[ties.knot[inside]] = True
    both = knot_open[ties.first] & knot_open[ties.second]
    label = _components(
        ties.rows + ties.knots,
        np.concatenate([ties.row[inside], ties.first[both] + ties.rows]),
        np.concatenate([ties.knot[inside], ties.second[both]]) + ties.rows,
    )
    of = np.full(ties.rows, -1, np.int64)
    found, number = np.unique(label[: ties.rows][open_], return_inverse=True)
    of[open_] = number
    touched = np.zeros(len(found), np.uint8)
    knots = np.flatnonzero(knot_open)
    part = np.full(ties.knots, -1, np.int64)
    part[knots] = np.searchsorted(found, label[ties.rows + knots])
    np.bitwise_or.at(touched, part[knots], says[knots])
    for one, other in ((ties.first, ties.second), (ties.second, ties.first)):
        out = knot_open[one]
        np.bitwise_or.at(touched, part[one[out]], says[other[out]])
    return Parts(of, touched)


def _linked(layer: Layer) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows and nodes of the layer that are tied to anything, then its pairs of nodes."""
    import numpy as np

    compared = np.flatnonzero(layer.node >= 0)
    node = layer.node[compared]
    size = int(layer.node.max(initial=-1)) + 1
    shared = np.bincount(node, minlength=size) > 1
    shared[layer.first] = True
    shared[layer.second] = True
    tied = shared[node]
    return compared[tied], node[tied], layer.first, layer.second


def _hung(
    rows: int,
    named: tuple[np.ndarray, np.ndarray],
    layers: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
) -> Ties:
    import numpy as np

    row, knot = [named[0]], [named[1]]
    first, second = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    knots = int(named[1].max(initial=-1)) + 1
    for of, node, one, other in layers:
        row.append(of)
        knot.append(node + knots)
        first.append(one + knots)
        second.append(other + knots)
        knots += int(max(node.max(initial=-1), one.max(initial=-1), other.max(initial=-1))) + 1
    return Ties(rows, knots, *(np.concatenate(arrays) for arrays in (row, knot, first, second)))


def _components(size: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """A number for every vertex, equal where a path leads: int32 of shape (size,)."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(start), np.int8), (start, end)), shape=(size, size))
    label: np.ndarray = connected_components(graph, directed=False)[1]
    return label
