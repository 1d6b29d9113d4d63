"""What differs between two versions: samples that came, went, moved between roles, or say something else."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.sample import Json, Sample
from imageyard.manifests.version import ROLES, Role, Version

Placed = tuple[str, Role, Sample]


@dataclass(frozen=True)
class Change:
    """One sample that is not the same in both versions."""

    key: str
    before: Role | None
    after: Role | None
    members: dict[str, tuple[Json, Json]]
    """Members whose value changed, with both values; None where there was none. Provenance alone is no change."""
    sample: Sample
    """As it is in the newer version, or was in the older one if it went."""
    was: Sample | None = None
    """As it was in the older version, None if it came."""

    @property
    def kind(self) -> str:
        """One of added, removed, moved, changed."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "moved" if self.before != self.after else "changed"


def diff(dataset: Dataset, older: Version, newer: Version) -> Iterator[Change]:
    """Changes from `older` to `newer`, in order of key, by one pass over both: memory does not grow with them."""
    left, right = walk(dataset, older), walk(dataset, newer)
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a[0] < b[0]):
            assert a is not None  # noqa: S101  # for the type checker
            yield Change(a[0], a[1], None, {}, a[2], a[2])
            a = next(left, None)
        elif a is None or b[0] < a[0]:
            yield Change(b[0], None, b[1], {}, b[2])
            b = next(right, None)
        else:
            members = differing(a[2], b[2])
            if members or a[1] != b[1]:
                yield Change(b[0], a[1], b[1], members, b[2], a[2])
            a, b = next(left, None), next(right, None)


def walk(dataset: Dataset, version: Version) -> Iterator[Placed]:
    """Every sample of a version, of all roles, in order of key."""
    streams = [_role(dataset, version, role) for role in ROLES]
    return heapq.merge(*streams, key=lambda placed: placed[0])


def _role(dataset: Dataset, version: Version, role: Role) -> Iterator[Placed]:
    for sample in dataset.read(version, role):
        yield sample.key, role, sample


def differing(before: Sample, after: Sample) -> dict[str, tuple[Json, Json]]:
    """What two samples say differently, by member: class names and not numbers, None where there is nothing."""
    if before.line == after.line:
        return {}
    names = [name for name in {**before.data, **after.data} if not name.endswith("-metadata")]
    found = {}
    for name in names:
        old, new = _said(before, name), _said(after, name)
        if old != new:
            found[name] = (old, new)
    return found


def _said(sample: Sample, name: str) -> Json:
    """What a member says to a reader: class names instead of class numbers where there are any."""
    value, metadata = sample.value(name), sample.metadata(name) or {}
    if isinstance(metadata.get("class-map"), dict) and isinstance(value, list):
        return [metadata["class-map"].get(str(index), index) for index in value]
    return metadata.get("class-name", value)
