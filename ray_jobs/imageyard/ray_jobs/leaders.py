"""The walk of the greedy leader: rows from best to worst, each kept unless one that is kept stands for it."""

from __future__ import annotations

import numpy as np


def walk(*arrays: np.ndarray, fast: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Witness (-1 where kept), layer and distance of every row: int64, int64 and float64 of shape (rows,).

    `arrays`: `order` (rows that take part, best first), `kinds` (rows,), `banned` (sorted row * rows + row),
    `node` (rows, layers), and the neighbours of each node as CSR: `start` (nodes + 1,), `neighbour`, `distance`.
    Compiling, or loading what was compiled, takes a second; it pays from some 100,000 neighbours.
    """
    function = _walk
    if fast:
        from imageyard.ray_jobs.compiled import compiled

        function = compiled(_walk)
    return function(*arrays)


def _walk(
    order: np.ndarray,
    kinds: np.ndarray,
    banned: np.ndarray,
    node: np.ndarray,
    start: np.ndarray,
    neighbour: np.ndarray,
    distance: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Plain Python that numba compiles as it stands.

    Kept rows hang on their nodes as linked lists: `head` of a node, `following` of a row in a layer.
    """
    rows, layers = node.shape
    kinds = kinds.copy()
    witness, layer_of, apart = np.full(rows, -1, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.float64)
    rank, head = np.full(rows, rows, np.int64), np.full(len(start), -1, np.int64)
    following = np.full((rows, layers), -1, np.int64)
    for at in range(len(order)):
        rank[order[at]] = at
    for at in range(len(order)):
        row = order[at]
        best, best_layer, best_distance = -1, 0, 0.0
        for layer in range(layers):
            home = node[row, layer]
            if home < 0:
                continue
            for step in range(start[home] - 1, start[home + 1]):
                near = home if step < start[home] else neighbour[step]
                away = 0.0 if step < start[home] else distance[step]
                other = head[near]
                while other >= 0:
                    same_kind = kinds[row] == kinds[other] or kinds[row] < 0 or kinds[other] < 0
                    pair = min(row, other) * rows + max(row, other)
                    place = np.searchsorted(banned, pair)
                    free = place == len(banned) or banned[place] != pair
                    if same_kind and free:
                        ahead = best < 0 or rank[other] < rank[best]
                        if ahead or (other == best and layer == best_layer and away < best_distance):
                            best, best_layer, best_distance = other, layer, away
                    other = following[other, layer]
        if best >= 0:
            if kinds[best] < 0:
                kinds[best] = kinds[row]
            witness[row], layer_of[row], apart[row] = best, best_layer, best_distance
            continue
        for layer in range(layers):
            home = node[row, layer]
            if home >= 0:
                following[row, layer] = head[home]
                head[home] = row
    return witness, layer_of, apart
