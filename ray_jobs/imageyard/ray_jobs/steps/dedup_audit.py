"""The audit of duplicates before a commit: what was promised is looked at again, in the final state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from imageyard.manifests.errors import JobError
from imageyard.manifests.sample import Json
from imageyard.ray_jobs.matching.binaries import rows_of
from imageyard.ray_jobs.origin import folders_of, names_of
from imageyard.ray_jobs.state import State, World, class_of
from imageyard.ray_jobs.steps import flags, overrides

if TYPE_CHECKING:
    import numpy as np

    from imageyard.ray_jobs.matching.index import Index
    from imageyard.ray_jobs.steps.dedup import Dedup

SHOWN = 20
"""Label conflicts that are named."""


def certificate(step: Dedup, state: State, world: World) -> dict[str, Json]:
    """Counts and promises; raises JobError, naming the images, if an image is gone without a witness, or two stay.

    The distance to a witness is measured anew from the codes for copies, and looked up among the pairs for others.
    """
    dropped = [row for row, said in enumerate(state.rejections) if said is not None and said.evidence.get("kept")]
    _refuse_unwitnessed(step, state, world, dropped)
    _refuse_kept_twice(step, state)
    conflicts = label_conflicts(state)
    checks = Counter(said.check for said in state.rejections if said is not None and said.step == step.kind)
    return {
        "dropped": len(dropped),
        "witnessed": len(dropped),
        "by_check": dict(sorted(checks.items())),
        "groups": len({group for row, group in enumerate(state.groups) if group != row}),
        "largest_group": max(Counter(state.groups).values(), default=0),
        "label_conflicts": len(conflicts),
        "label_conflicts_named": conflicts[:SHOWN],
        "search": {tier: _search(index) for tier, index in world.indexes.items()},
    }


def _search(index: Index) -> dict[str, Json]:
    """What the searches of all runs of an index promise together."""
    said: dict[str, Any] = {
        "images": len(index.keys),
        "not_compared": index.codes.null_count,
        "pairs": len(index.first),
        "runs": len(index.runs),
    }
    if index.certificates:
        worst = min(index.certificates, key=lambda one: one.exact_to)
        said |= {
            "mode": worst.mode,
            "distance": worst.distance,
            "exact_to": worst.exact_to,
            "recall": {str(at): share for at, share in worst.recall.items()},
            "sampled_pairs": sum(one.sampled_pairs for one in index.certificates),
            "sampled_found": sum(one.sampled_found for one in index.certificates),
            "hot_buckets": sum(one.hot_buckets for one in index.certificates),
        }
    return said


def _refuse_unwitnessed(step: Dedup, state: State, world: World, dropped: list[int]) -> None:
    import numpy as np

    rows = {key: row for row, key in enumerate(state.keys)}
    by_copy: list[tuple[int, int, int]] = []
    for row in dropped:
        said = state.rejections[row]
        assert said is not None  # noqa: S101  # for the type checker
        witness = rows.get(str(said.evidence["kept"]))
        if witness is None or state.rejections[witness] is not None:
            raise JobError(f"{_called(state, row)} was dropped for an image that is not kept; this is a bug: report it")
        if said.evidence.get("tier") == "copy":
            by_copy.append((row, witness, int(str(said.evidence["measured"]))))
    if not by_copy or "copy" not in world.indexes:
        return
    index = world.indexes["copy"]
    row, witness, measured = np.array(by_copy, np.int64).T
    one, other = (_codes(index, [state.keys[at] for at in side.tolist()]) for side in (row, witness))
    apart = np.bitwise_count(one ^ other).sum(axis=1)
    wrong = np.flatnonzero((apart != measured) | (apart > step.within))
    if len(wrong):
        at = int(wrong[0])
        raise JobError(
            f"{_called(state, int(row[at]))} is {int(apart[at])} bits from {_called(state, int(witness[at]))}, not "
            f"{int(measured[at])} as its rejection says; this is a bug: report it"
        )


def _codes(index: Index, keys: list[str]) -> np.ndarray:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    places = pc.index_in(pa.array(keys, pa.large_string()), value_set=index.keys)
    return rows_of(index.codes.take(places)).view(np.uint64)


def _refuse_kept_twice(step: Dedup, state: State) -> None:
    """No two kept images are alike by a tier that drops, unless people put them into different classes, keep
    both, or want one of them kept."""
    apart = {(min(pair), max(pair)) for pair in overrides.named(step, state).apart}
    standing, kept = state.standing, set(overrides.kept(state))
    stands_for = _classes(state)
    for layer in state.edges.of_tiers(step.dropping).layers:
        for one, other, distance in flags.standing_pairs(layer, standing, len(state.keys)):
            differ = stands_for(one) and stands_for(other) and stands_for(one) != stands_for(other)
            if (one, other) not in apart and not differ and not {one, other} & kept:
                raise JobError(
                    f"{_called(state, one)} and {_called(state, other)} are both kept, {distance:g} apart by "
                    f"{layer.tier}; this is a bug: report it"
                )


def _classes(state: State) -> Callable[[int], str]:
    """The class of a row that is kept: its own, or else the one of those that were dropped for it."""
    rows = {key: row for row, key in enumerate(state.keys)}
    of_copies: dict[int, str] = {}
    for row, said in enumerate(state.rejections):
        witness = rows.get(str(said.evidence.get("kept"))) if said is not None else None
        if witness is not None and class_of(state.samples[row]):
            of_copies[witness] = class_of(state.samples[row])
    return lambda row: class_of(state.samples[row]) or of_copies.get(row, "")


def label_conflicts(state: State) -> list[Json]:
    """Copies that people put into different classes, and images that came in two class folders.

    Of the surest tiers alone: that a normal part and a faulty one look much the same is no contradiction.
    """
    by_group: dict[int, list[int]] = {}
    for row, group in enumerate(state.edges.of_tiers(("pixels", "copy")).components().tolist()):
        by_group.setdefault(group, []).append(row)
    found: list[Json] = []
    for group, rows in by_group.items():
        classes = {row: class_of(state.samples[row]) for row in rows} if len(rows) > 1 else {}
        said = sorted({name for name in classes.values() if name})
        if len(said) > 1:
            images = [{"sha256": state.keys[row], "class": name} for row, name in classes.items() if name]
            found.append({"group": state.keys[group], "classes": said, "images": images[:SHOWN]})
    for row, sample in enumerate(state.samples):
        folders = {name.lower() for name in folders_of(sample)}
        if {"normal", "anomaly"} <= folders:
            found.append(
                {"group": state.keys[row], "classes": ["anomaly", "normal"], "images": [{"sha256": state.keys[row]}]}
            )
        sample.forget()
    return found


def _called(state: State, row: int) -> str:
    names = names_of(state.samples[row])
    return f"{names[0]} ({state.keys[row][:12]})" if names else state.keys[row][:12]
