"""What a person says about duplicates in a recipe, and what other datasets say: both win over what is measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import JobError
from imageyard.manifests.sample import CONTENT
from imageyard.manifests.version import ROLES
from imageyard.ray_jobs.origin import called_briefly, names_of
from imageyard.ray_jobs.state import KEEP, Rejection, State, World, verdict_of

if TYPE_CHECKING:
    from imageyard.ray_jobs.edges import Edges
    from imageyard.ray_jobs.matching.against import Overlap
    from imageyard.ray_jobs.steps.dedup import Dedup

SHORTEST = 8
"""Digits of a sha256 that name an image."""


@dataclass(frozen=True)
class Named:
    """Rows that the recipe names."""

    preferred: frozenset[int]
    apart: tuple[tuple[int, int], ...]


def named(step: Dedup, state: State) -> Named:
    """The rows that `prefer` and `keep_both` name. Raises JobError for a name of no image, or of several."""
    names = [*step.prefer, *(name for pair in step.keep_both for name in pair)]
    if not names:
        return Named(frozenset(), ())
    rows: dict[str, set[int]] = {name: set() for name in names}
    digests = [name for name in rows if re.fullmatch(f"[0-9a-f]{{{SHORTEST},64}}", name)]
    for row, sample in enumerate(state.samples):
        for known in names_of(sample):
            if known in rows:
                rows[known].add(row)
        for name in digests:
            if state.keys[row].startswith(name):
                rows[name].add(row)
        sample.forget()
    for name, found in rows.items():
        if len(found) != 1:
            how_many = "no image" if not found else f"{len(found)} images"
            raise JobError(
                f"dedup: the recipe names {name!r}, which is the name of {how_many}; write the name as it was dropped, "
                f"or {SHORTEST} or more digits of the image's sha256"
            )
    row_of = {name: next(iter(found)) for name, found in rows.items()}
    apart = tuple((row_of[one], row_of[other]) for one, other in step.keep_both)
    return Named(frozenset(row_of[name] for name in step.prefer), apart)


def parsed_version(url: str) -> tuple[str, int]:
    """Dataset and number of `s3://bucket/eval@12`. Raises ValueError."""
    dataset, _, number = url.rpartition("@")
    if not dataset or "://" not in dataset or not re.fullmatch("[0-9]{1,18}", number) or int(number) < 1:
        raise ValueError(f"{url!r} names no version of a dataset; write it as s3://bucket/datasets/eval@12")
    return dataset, int(number)


def outside(step: Dedup, state: State, world: World) -> State:
    """The state without the images that are in a version of `against`, or, where they are only flagged, as it is.

    What a person wants kept stays.
    """
    if not step.against or step.contamination != "drop":
        return state
    rejections = list(state.rejections)
    rows = {key: row for row, key in enumerate(state.keys)}
    for found in overlaps(step, world):
        row = rows.get(found.key)
        if row is not None and rejections[row] is None and verdict_of(state.samples[row].forget()) != KEEP:
            rejections[row] = Rejection(
                step.kind,
                "contamination",
                f"{found.distance} of 256 bits from {found.name} of {found.version}, to be kept out of this dataset",
                {
                    "measured": found.distance,
                    "threshold": step.within,
                    "in": found.version,
                    "other": found.other,
                },
            )
    return replace(state, rejections=rejections)


def kept(state: State) -> list[int]:
    """Rows that stand and that a person wants kept."""
    return [row for row in state.standing if verdict_of(state.samples[row].forget()) == KEEP]


def spared(edges: Edges, rows: Sequence[int], place: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """Pairs of `rows`, which are kept, with what is alike and better, or kept too: neither is dropped for the other.

    `place` is the place of a row in the order from best to worst. What is worse is dropped for them as for any other.
    """
    import numpy as np

    protected = set(rows)
    for layer in edges.layers:
        homes = {row: int(layer.node[row]) for row in rows if layer.node[row] >= 0}
        near: dict[int, set[int]] = {home: {home} for home in homes.values()}
        touching = np.isin(layer.first, list(near)) | np.isin(layer.second, list(near))
        for one, other in zip(layer.first[touching].tolist(), layer.second[touching].tolist(), strict=True):
            if one in near:
                near[one].add(other)
            if other in near:
                near[other].add(one)
        wanted = set[int]().union(*near.values())
        members: dict[int, list[int]] = {node: [] for node in wanted}
        for row in np.flatnonzero(np.isin(layer.node, list(wanted))).tolist():
            members[int(layer.node[row])].append(row)
        for row, home in homes.items():
            for other in (other for node in near[home] for other in members[node] if other in place):
                if other != row and row in place and (other in protected or place[other] < place[row]):
                    yield row, other


def overlaps(step: Dedup, world: World) -> Iterator[Overlap]:
    """The nearest image of each other version for every image of this dataset that is a copy of one."""
    for url in step.against:
        for found in world.overlaps.get(url, ()):
            if found.distance <= step.within:
                yield found


def foreign(url: str) -> tuple[Dataset, Sequence[tuple[str, str]]]:
    """The other dataset, and (sha256, name) of all images of the version that are not rejected."""
    address, number = parsed_version(url)
    dataset = Dataset.open(address)
    version = dataset.version(number)
    roles = (role for role in ROLES if role != "rejected")
    samples = (sample for role in roles for sample in dataset.read(version, role))
    images = [(sample.key, called_briefly(sample)) for sample in samples if sample.value(CONTENT)]
    return dataset, images
