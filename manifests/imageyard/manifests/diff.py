"""What differs between two versions: samples that came, went, moved between roles, or say something else."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from imageyard.manifests.chunks import Chunks
from imageyard.manifests.dataset import Dataset
from imageyard.manifests.finding import Lines
from imageyard.manifests.lines import split
from imageyard.manifests.sample import Json, Sample
from imageyard.manifests.version import ROLES, Role, Version

Placed = tuple[str, Role, Sample]
BUDGET = 16 * 1024 * 1024
"""Bytes of both versions together that one part of a difference reads, of which what is the same costs little."""


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


@dataclass(frozen=True)
class Part:
    """A run of changes."""

    changes: tuple[Change, ...]
    following: str | None
    """The key from which `diff_part` goes on; None at the end."""


def diff(dataset: Dataset, older: Version, newer: Version) -> Iterator[Change]:
    """Changes from `older` to `newer`, in order of key, by one pass over both: memory does not grow with them.

    Manifests that both versions name are not read, and lines that are the same bytes are not parsed.
    """
    for event in _events(dataset, older, newer, _Walk()):
        change = _change(event)
        if change is not None:
            yield change


def diff_part(
    dataset: Dataset,
    older: Version,
    newer: Version,
    *,
    start: str = "",
    most: int = 100,
    budget: int = BUDGET,
    chunks: Chunks | None = None,
) -> Part:
    """At most `most` changes of samples whose key is not before `start`, read with about `budget` bytes.

    There may be fewer, even none, and yet more to come.
    """
    found: list[Change] = []
    for event in _events(dataset, older, newer, _Walk(start, budget, chunks or Chunks())):
        if event.old is None and event.new is None:
            return Part(tuple(found), event.key)
        if len(found) == most:
            return Part(tuple(found), event.key)
        change = _change(event)
        if change is not None:
            found.append(change)
    return Part(tuple(found), None)


@dataclass(frozen=True)
class _Walk:
    """From where, and how far."""

    start: str = ""
    budget: int | None = None
    chunks: Chunks = field(default_factory=Chunks)


class _Event(NamedTuple):
    """A key whose lines differ in some manifest; with neither side, that reading stopped before it."""

    key: str
    old: tuple[Role, Sample] | None
    new: tuple[Role, Sample] | None


def _change(event: _Event) -> Change | None:
    key, old, new = event
    if old is None:
        assert new is not None  # noqa: S101  # for the type checker
        return Change(key, None, new[0], {}, new[1])
    if new is None:
        return Change(key, old[0], None, {}, old[1], old[1])
    members = differing(old[1], new[1])
    return Change(key, old[0], new[0], members, new[1], old[1]) if members or old[0] != new[0] else None


def _events(dataset: Dataset, older: Version, newer: Version, walk: _Walk) -> Iterator[_Event]:
    """Of all roles, in order of key, each key once; a stop is the last, and no event before it is missing."""
    roles = [role for role in ROLES if _entry(older, role) != _entry(newer, role)]
    budget = walk.budget // max(len(roles), 1) if walk.budget is not None else None
    streams = [_of_role(dataset, older, newer, role, replace(walk, budget=budget)) for role in roles]
    waiting: _Event | None = None
    for event in heapq.merge(*streams, key=lambda event: event.key):
        if waiting is not None and waiting.key == event.key and (event.old or event.new):
            waiting = _Event(event.key, waiting.old or event.old, waiting.new or event.new)
            continue
        if event.old is None and event.new is None:
            # At the key of the stop itself another role may still have something: both come in the next part.
            if waiting is not None and waiting.key < event.key:
                yield waiting
            yield event
            return
        if waiting is not None:
            yield waiting
        waiting = event
    if waiting is not None:
        yield waiting


def _entry(version: Version, role: Role) -> str | None:
    entry = version.manifests.get(role)
    return entry.key if entry is not None else None


def _of_role(dataset: Dataset, older: Version, newer: Version, role: Role, walk: _Walk) -> Iterator[_Event]:
    """What differs between two manifests; after `budget` bytes of lines that are the same, a stop."""
    left, right = (_lines(dataset, version, role, walk) for version in (older, newer))
    a, b = next(left, None), next(right, None)
    read = 0
    while a is not None or b is not None:
        if a is not None and b is not None and a == b:
            read += 2 * len(a)
            if walk.budget is not None and read > walk.budget and Sample(a).key > walk.start:
                yield _Event(Sample(a).key, None, None)
                return
            a, b = next(left, None), next(right, None)
            continue
        one, other = (Sample(line) if line is not None else None for line in (a, b))
        read += len(a or b"") + len(b or b"")
        first = min(sample.key for sample in (one, other) if sample is not None)
        if walk.budget is not None and read > walk.budget and first > walk.start:
            yield _Event(first, None, None)
            return
        old = (role, one) if one is not None and one.key == first else None
        new = (role, other) if other is not None and other.key == first else None
        yield _Event(first, old, new)
        a = next(left, None) if old is not None else a
        b = next(right, None) if new is not None else b


def _lines(dataset: Dataset, version: Version, role: Role, walk: _Walk) -> Iterator[bytes]:
    entry = version.manifests.get(role)
    if entry is None:
        return iter(())
    if walk.budget is None:
        return split(dataset.blocks(entry))
    lines = Lines(dataset.store, entry, walk.chunks)
    return (line.sample.line for line in lines.following(lines.place(walk.start)))


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
