"""Flags: what is alike and stays, whyever it does, is said on both samples, so that a person can judge it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imageyard.manifests.sample import Json
from imageyard.ray_jobs.edges import Layer
from imageyard.ray_jobs.state import CUSTOM, State, World, labelled
from imageyard.ray_jobs.steps import overrides

if TYPE_CHECKING:
    import numpy as np

    from imageyard.ray_jobs.steps.dedup import Dedup

ALIKE = "alike"
MOST = 8
"""Likenesses named on one sample, the surest tier and the nearest first."""


def flagged(step: Dedup, state: State, world: World) -> State:
    """The state with a pair ALIKE on every standing sample that is like another one that stands."""
    near: dict[int, list[dict[str, Json]]] = {}
    standing = state.standing
    for layer in state.edges.layers:
        for one, other, distance in standing_pairs(layer, standing, len(state.keys)):
            for row, to in ((one, other), (other, one)):
                said: dict[str, Json] = {"sha256": state.keys[to], "tier": layer.tier, "distance": distance}
                near.setdefault(row, []).append(said)
    if step.contamination == "flag":
        rows = {state.keys[row]: row for row in standing}
        for found in overrides.overlaps(step, world):
            if found.key in rows:
                said = {"sha256": found.other, "tier": "copy", "distance": found.distance, "in": found.version}
                near.setdefault(rows[found.key], []).append(said)
    metadata = world.stamp.metadata(CUSTOM, step.kind)
    samples = list(state.samples)
    for row in range(len(samples)):
        if row in near:
            told = sorted(near[row], key=lambda one: (one["tier"] == "semantic", one["distance"], one["sha256"]))
            samples[row] = labelled(samples[row], ALIKE, told[:MOST], metadata).forget()
        elif ALIKE.encode() in samples[row].line:
            samples[row] = samples[row].without(ALIKE).forget()
    return replace(state, samples=samples)


def standing_pairs(layer: Layer, standing: list[int], rows: int) -> list[tuple[int, int, float]]:
    """(row, row, distance) of every two standing rows that the layer joins, each pair once, the smaller row first."""
    import numpy as np

    kept = np.zeros(rows, bool)
    kept[standing] = True
    at = np.flatnonzero(kept & (layer.node >= 0))
    nodes = layer.node[at]
    paired = np.bincount(nodes, minlength=layer.nodes) > 1
    paired[layer.first] = paired[layer.second] = True
    at = at[paired[nodes]]
    by_node: dict[int, list[int]] = {}
    for row, node in zip(at.tolist(), layer.node[at].tolist(), strict=True):
        by_node.setdefault(node, []).append(row)
    pairs = [
        (one, other, 0.0)
        for members in by_node.values()
        for place, one in enumerate(members)
        for other in members[place + 1 :]
    ]
    there = _held(layer, by_node)
    columns = (layer.first[there].tolist(), layer.second[there].tolist(), layer.distance[there].tolist())
    for first, second, distance in zip(*columns, strict=True):
        pairs += [(min(one, other), max(one, other), distance) for one in by_node[first] for other in by_node[second]]
    return sorted(pairs)


def _held(layer: Layer, by_node: dict[int, list[int]]) -> np.ndarray:
    """The pairs of which both nodes have standing rows."""
    import numpy as np

    nodes = np.array(sorted(by_node), np.int64)
    return np.flatnonzero(np.isin(layer.first, nodes) & np.isin(layer.second, nodes))
