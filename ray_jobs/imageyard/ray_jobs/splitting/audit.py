"""Whether a split held: measured anew from the edges and what the lines say, before the commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageyard.manifests.errors import JobError
from imageyard.manifests.sample import Json
from imageyard.ray_jobs.edges import Crossing
from imageyard.ray_jobs.origin import called
from imageyard.ray_jobs.splitting.group_by import rule
from imageyard.ray_jobs.splitting.sides import NONE, SIDES, side_of
from imageyard.ray_jobs.state import SPLIT, State, by_person

if TYPE_CHECKING:
    import numpy as np


def leaks(state: State, audit: Sequence[str]) -> dict[str, Json]:
    """For each tier that was looked for, how many standing images were compared, how many pairs of codes are alike, and
    the nearest across each two sides; beside them the audited tiers that no step looked for.

    Raises JobError if a pair of a tier in `audit` lies across: then the same picture is trained on and tested with.
    Where a person has put both where they are, the nearest such pair of each two sides is told as `pinned-apart`.
    """
    import numpy as np

    standing = np.array([rejection is None for rejection in state.rejections], np.bool_)
    side, pinned = np.full(len(state.keys), NONE, np.int64), np.zeros(len(state.keys), np.bool_)
    for row, sample in enumerate(state.samples):
        side[row] = side_of(sample.value(SPLIT)) if standing[row] else NONE
        pinned[row] = side[row] != NONE and by_person(sample, SPLIT)
        sample.forget()
    told: list[Json] = []
    for crossing in state.edges.crossings(np.where(pinned, side + len(SIDES), side)):
        rows = (crossing.first, crossing.second)
        if crossing.tier not in audit or side[rows[0]] == side[rows[1]]:
            continue
        if not (pinned[rows[0]] and pinned[rows[1]]):
            raise JobError(_leak(state, side, crossing))
        told.append({"tier": crossing.tier, **_across(state, side, crossing)})
    crossings = state.edges.crossings(side)
    layers = {layer.tier: layer for layer in state.edges.layers}
    tiers: dict[str, Json] = {}
    for tier, layer in layers.items():
        nearest = [_across(state, side, crossing) for crossing in crossings if crossing.tier == tier]
        compared = int(np.count_nonzero((layer.node >= 0) & standing))
        tiers[tier] = {"compared": compared, "pairs": len(layer.first), "nearest": nearest}
    missing = [tier for tier in audit if tier not in layers]
    return {"tiers": tiers, "not-looked-for": missing, **({"pinned-apart": told} if told else {})}


def _across(state: State, side: np.ndarray, crossing: Crossing) -> dict[str, Json]:
    rows = (crossing.first, crossing.second)
    return {
        "sides": [SIDES[side[row]] for row in rows],
        "images": [state.keys[row] for row in rows],
        "distance": round(crossing.distance, 6),
    }


def _leak(state: State, side: np.ndarray, crossing: Crossing) -> str:
    one, other = (f"{called(state.samples[row])} ({SIDES[side[row]]})" for row in (crossing.first, crossing.second))
    return (
        f"{one} and {other} are alike ({crossing.tier}, {crossing.distance:g} apart), so the split leaks; nothing was "
        "committed. Let `split` be the last step, give both images one split if a person or `given` placed them, or "
        f"leave {crossing.tier} out of its `audit`"
    )


def groups_told(state: State, rules: Sequence[str]) -> dict[str, Json]:
    """For each rule of `group_by` how many groups it makes of the standing images, the largest, and how many lie on
    several sides: old ones, from before the rule was written."""
    told: dict[str, Json] = {}
    for text in rules:
        sides: dict[str, set[int]] = {}
        sizes: dict[str, int] = {}
        of = rule(text)
        for sample, rejection in zip(state.samples, state.rejections, strict=True):
            for name in of(sample) if rejection is None else ():
                sizes[name] = sizes.get(name, 0) + 1
                sides.setdefault(name, set()).add(side_of(sample.value(SPLIT)))
            sample.forget()
        told[text] = {
            "groups": len(sizes),
            "largest": max(sizes.values(), default=0),
            "astride": sum(len(found - {NONE}) > 1 for found in sides.values()),
        }
    return told
