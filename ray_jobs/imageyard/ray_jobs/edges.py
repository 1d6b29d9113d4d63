"""Which samples are alike: pairs by tier, with what was measured between them, over the rows of a state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

TIERS = ("pixels", "copy", "variant", "mirrored", "semantic")
"""From the surest to the loosest: equal pixels, the same picture saved again, the same picture cropped or toned, the
same picture turned or mirrored, a picture of something much the same."""
COMPILED_FROM = 200_000
"""Pairs from which it pays to compile the walk over them: compiling, or loading what was compiled, takes a second."""


@dataclass(frozen=True)
class Layer:
    """The pairs of one tier. Samples with equal codes are one node, so a pair stands for all pairs of its members."""

    tier: str
    node: np.ndarray
    """int64 of shape (rows,): the node of each row, -1 for one that was not compared; rows of a node are 0 apart."""
    first: np.ndarray
    """int64 of shape (pairs,): nodes."""
    second: np.ndarray
    distance: np.ndarray
    """float64 of shape (pairs,): bits of 256 (copy, mirrored), 1 - correlation (variant), 1 - cosine (semantic)."""

    @property
    def nodes(self) -> int:
        """More than any node: of rows, and of pairs, which may be of images that are no rows."""
        return max(int(numbers.max(initial=-1)) for numbers in (self.node, self.first, self.second)) + 1

    def select(self, mask: np.ndarray) -> Layer:
        """The layer with only the pairs that `mask`, bool of shape (pairs,), holds."""
        return Layer(self.tier, self.node, self.first[mask], self.second[mask], self.distance[mask])


@dataclass(frozen=True)
class Crossing:
    """A pair of rows that lie on different sides."""

    tier: str
    first: int
    second: int
    distance: float


@dataclass(frozen=True)
class Leader:
    """Why a row is dropped: the kept row that stands for it, and how they are alike."""

    witness: int
    tier: str
    distance: float


@dataclass(frozen=True)
class Edges:
    """What is alike among `rows` rows, a layer a tier, the surest first."""

    rows: int
    layers: tuple[Layer, ...] = ()

    @classmethod
    def of_pairs(cls, rows: int, pairs: Iterable[tuple[int, int, str, float]]) -> Edges:
        """Edges between single rows: (row, row, tier, distance)."""
        import numpy as np

        by_tier: dict[str, list[tuple[int, int, float]]] = {}
        for first, second, tier, distance in pairs:
            by_tier.setdefault(tier, []).append((first, second, distance))
        layers = []
        for tier in sorted(by_tier, key=TIERS.index):
            a, b, d = zip(*by_tier[tier], strict=True)
            node = np.arange(rows, dtype=np.int64)
            layers.append(Layer(tier, node, np.array(a, np.int64), np.array(b, np.int64), np.array(d, np.float64)))
        return cls(rows, tuple(layers))

    def of_tiers(self, tiers: Sequence[str]) -> Edges:
        """The layers of these tiers."""
        return Edges(self.rows, tuple(layer for layer in self.layers if layer.tier in tiers))

    def only(self, kept: np.ndarray) -> Edges:
        """The same without the rows that `kept`, bool of shape (rows,), does not hold."""
        import numpy as np

        layers = []
        for layer in self.layers:
            node = np.where(kept, layer.node, -1)
            there = np.zeros(layer.nodes, bool)
            there[node[node >= 0]] = True
            pairs = there[layer.first] & there[layer.second]
            layers.append(replace(layer.select(pairs), node=node))
        return Edges(self.rows, tuple(layers))

    def components(self) -> np.ndarray:
        """For every row the smallest row it is connected to by any chain of pairs, itself if by none: int64 (rows,)."""
        import numpy as np
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        starts, ends = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        offset = self.rows
        for layer in self.layers:
            rows = np.flatnonzero(layer.node >= 0)
            starts += [rows, layer.first + offset]
            ends += [layer.node[rows] + offset, layer.second + offset]
            offset += layer.nodes
        start, end = np.concatenate(starts), np.concatenate(ends)
        graph = coo_array((np.ones(len(start), np.int8), (start, end)), shape=(offset, offset))
        _, label = connected_components(graph, directed=False)
        _, smallest, inverse = np.unique(label[: self.rows], return_index=True, return_inverse=True)
        return smallest[inverse].astype(np.int64)

    def crossings(self, side: np.ndarray) -> list[Crossing]:
        """For each tier and each two sides that any of its pairs joins, the nearest such pair; the surest tier first.

        `side` is int64 of shape (rows,), -1 for a row on no side. Nothing crosses if the list is empty.
        """
        import numpy as np

        found: list[Crossing | None] = []
        sides = [int(value) for value in np.unique(side) if value >= 0]
        for layer in self.layers:
            size = layer.nodes
            at = {}
            for value in sides:
                rows = np.flatnonzero((side == value) & (layer.node >= 0))[::-1]
                at[value] = np.full(size, -1, np.int64)
                at[value][layer.node[rows]] = rows  # the smallest row of a node is written last
            found += [_nearest(layer, at[one], at[other]) for one, other in combinations(sides, 2)]
        return [pair for pair in found if pair is not None]

    def leaders(self, order: np.ndarray, kinds: np.ndarray, apart: Iterable[tuple[int, int]] = ()) -> dict[int, Leader]:
        """Quality-ordered greedy leader: for every row of `order` that is dropped, the kept row that stands for it.

        `order` is int64: the rows that take part, best first. A row is kept unless a kept one is alike. Rows whose
        `kinds`, int64 of shape (rows,), differ are never copies unless one is -1, nor are the pairs `apart`; a kept row
        of kind -1 is of the kind of the first that is dropped for it. Of several witnesses the best stands. So every
        dropped row has a kept witness, and no two kept are alike.
        """
        import numpy as np

        from imageyard.ray_jobs.leaders import walk

        if not self.layers:
            return {}
        node = np.full((self.rows, len(self.layers)), -1, np.int64)
        offset, firsts, seconds, distances = 0, [], [], []
        for at, layer in enumerate(self.layers):
            node[:, at] = np.where(layer.node >= 0, layer.node + offset, -1)
            firsts += [layer.first + offset, layer.second + offset]
            seconds += [layer.second + offset, layer.first + offset]
            distances += [layer.distance, layer.distance]
            offset += layer.nodes
        first, second, distance = np.concatenate(firsts), np.concatenate(seconds), np.concatenate(distances)
        sort = np.argsort(first, kind="stable")
        start = np.zeros(offset + 1, np.int64)
        np.cumsum(np.bincount(first, minlength=offset), out=start[1:])
        banned = np.array(sorted({min(p) * self.rows + max(p) for p in apart}), np.int64)
        told = walk(order, kinds, banned, node, start, second[sort], distance[sort], fast=len(first) > COMPILED_FROM)
        witness, layer_of, apart_by = told
        return {
            row: Leader(int(witness[row]), self.layers[int(layer_of[row])].tier, float(apart_by[row]))
            for row in np.flatnonzero(witness >= 0).tolist()
        }


def _nearest(layer: Layer, one: np.ndarray, other: np.ndarray) -> Crossing | None:
    """The nearest pair of which one row is the node's in `one` and the other the node's in `other`."""
    import numpy as np

    both = np.flatnonzero((one >= 0) & (other >= 0))
    if len(both):
        return Crossing(layer.tier, int(one[both[0]]), int(other[both[0]]), 0.0)
    best: Crossing | None = None
    for first, second in ((layer.first, layer.second), (layer.second, layer.first)):
        at = np.flatnonzero((one[first] >= 0) & (other[second] >= 0))
        if len(at):
            pair = at[np.argmin(layer.distance[at])]
            if best is None or layer.distance[pair] < best.distance:
                rows = int(one[first[pair]]), int(other[second[pair]])
                best = Crossing(layer.tier, *rows, float(layer.distance[pair]))
    return best
