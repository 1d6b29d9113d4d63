"""Of rows on one side, which row of another side each is nearest to: the evidence of a conflict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageyard.ray_jobs.edges import Edges, Layer

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Nearest:
    """Arrays of shape (rows,)."""

    other: np.ndarray
    """int64: the row it is alike to, -1 if to none."""
    layer: np.ndarray
    """int64: by which layer of the edges."""
    distance: np.ndarray
    """float64, in the unit of the layer."""


def nearest(edges: Edges, of: np.ndarray, to: np.ndarray) -> Nearest:
    """For every row that `of` holds the row that `to` holds with which it makes a pair.

    Both are bool of shape (rows,) and hold no row in common. By the surest tier, then the smallest distance, then the
    smallest row.
    """
    import numpy as np

    rows = len(of)
    other, at = np.full(rows, -1, np.int64), np.full(rows, -1, np.int64)
    distance = np.full(rows, np.nan)
    for number, layer in enumerate(edges.layers):
        one, apart = _by_node(layer, to)
        asking = np.flatnonzero(of & (other < 0) & (layer.node >= 0))
        found = asking[one[layer.node[asking]] >= 0]
        other[found], distance[found] = one[layer.node[found]], apart[layer.node[found]]
        at[found] = number
    return Nearest(other, at, distance)


def _by_node(layer: Layer, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every node the nearest row of `to`, -1 for none, and its distance."""
    import numpy as np

    size = int(layer.node.max(initial=-1)) + 1
    member = np.full(size, -1, np.int64)
    rows = np.flatnonzero(to & (layer.node >= 0))[::-1]
    member[layer.node[rows]] = rows  # the smallest row of a node is written last
    start = np.concatenate([np.arange(size), layer.first, layer.second])
    end = np.concatenate([member, member[layer.second], member[layer.first]])
    apart = np.concatenate([np.zeros(size), layer.distance, layer.distance])
    leads = np.flatnonzero(end >= 0)
    leads = leads[np.lexsort((end[leads], apart[leads], start[leads]))]
    _, begin = np.unique(start[leads], return_index=True)
    best = leads[begin]
    other, distance = np.full(size, -1, np.int64), np.full(size, np.nan)
    other[start[best]], distance[start[best]] = end[best], apart[best]
    return other, distance
