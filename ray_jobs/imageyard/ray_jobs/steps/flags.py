"""Flags: what is alike and stays, whyever it does, is said on both samples, so that a person can judge it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imageyard.manifests.sample import Json
from imageyard.ray_jobs.edges import TIERS, Layer
from imageyard.ray_jobs.state import CUSTOM, State, World, labelled
from imageyard.ray_jobs.steps import overrides

if TYPE_CHECKING:
    import numpy as np

    from imageyard.ray_jobs.steps.dedup import Dedup

ALIKE = "alike"
LOOSEST = TIERS[-1]
MOST = 8
"""Likenesses named on one sample, the surest tier and the nearest first."""


def flagged(step: Dedup, state: State, world: World) -> State:
    """The state with a pair ALIKE on every standing sample that is like another one that stands."""
    near = _nearest(state)
    if step.contamination == "flag":
        rows = {state.keys[row]: row for row in state.standing}
        for found in overrides.overlaps(step, world):
            if found.key in rows:
                said = {"sha256": found.other, "tier": "copy", "distance": found.distance, "in": found.version}
                near.setdefault(rows[found.key], []).append(said)
    metadata = world.stamp.metadata(CUSTOM, step.kind)
    samples = list(state.samples)
    for row in range(len(samples)):
        if row in near:
            told = sorted(near[row], key=lambda one: (one["tier"] == LOOSEST, one["distance"], one["sha256"]))
            samples[row] = labelled(samples[row], ALIKE, told[:MOST], metadata).forget()
        elif ALIKE.encode() in samples[row].line:
            samples[row] = samples[row].without(ALIKE).forget()
    return replace(state, samples=samples)


def _nearest(state: State) -> dict[int, list[dict[str, Json]]]:
    """For every standing row that is like others, MOST of those: the semantic ones last, else the nearest first."""
    import numpy as np

    parts = []
    for number, layer in enumerate(state.edges.layers):
        one, other, distance = alike_rows(layer, state.standing, len(state.keys))
        layers = np.full(len(one), number, np.int64)
        parts += [(one, other, distance, layers), (other, one, distance, layers)]
    if not parts:
        return {}
    row, to, away, of_layer = (np.concatenate([part[at] for part in parts]) for at in range(4))
    loosest = np.array([layer.tier == LOOSEST for layer in state.edges.layers])
    order = np.lexsort((to, away, loosest[of_layer], row))
    row, to, away, of_layer = row[order], to[order], away[order], of_layer[order]
    chosen = np.arange(len(row)) - np.searchsorted(row, row) < MOST
    near: dict[int, list[dict[str, Json]]] = {}
    columns = (column[chosen].tolist() for column in (row, to, away, of_layer))
    for mine, theirs, apart, at in zip(*columns, strict=True):
        tier = state.edges.layers[at].tier
        near.setdefault(mine, []).append({"sha256": state.keys[theirs], "tier": tier, "distance": apart})
    return near


def standing_pairs(layer: Layer, standing: list[int], rows: int) -> list[tuple[int, int, float]]:
    """`alike_rows` as a list, in order."""
    one, other, distance = alike_rows(layer, standing, rows)
    return sorted(zip(one.tolist(), other.tolist(), distance.tolist(), strict=True))


def alike_rows(layer: Layer, standing: list[int], rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row, row, distance) of every two standing rows that the layer joins, each pair once, the smaller row first."""
    import numpy as np

    kept = np.zeros(rows, bool)
    kept[standing] = True
    at = np.flatnonzero(kept & (layer.node >= 0))
    at = at[np.argsort(layer.node[at], kind="stable")]
    start = np.searchsorted(layer.node[at], np.arange(layer.nodes + 1))
    count = np.diff(start)
    shared = np.flatnonzero(count > 1)
    first, second = np.concatenate([layer.first, shared]), np.concatenate([layer.second, shared])
    distance = np.concatenate([layer.distance, np.zeros(len(shared))])
    times = count[first] * count[second]
    pair = np.repeat(np.arange(len(first)), times)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(times) - times, times)
    size = count[second[pair]]
    one = at[start[first[pair]] + within // size]
    other = at[start[second[pair]] + within % size]
    proper = (first[pair] != second[pair]) | (one < other)
    one, other, distance = one[proper], other[proper], distance[pair[proper]]
    return np.minimum(one, other), np.maximum(one, other), distance
