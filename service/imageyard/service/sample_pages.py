"""Pages of a version's samples, by role and condition: each reads no more than it must, wherever it begins."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from imageyard.manifests.chunks import Chunks
from imageyard.manifests.errors import RecipeError
from imageyard.manifests.finding import Lines
from imageyard.manifests.sample import Sample
from imageyard.manifests.store import Store
from imageyard.manifests.version import Role, Version
from imageyard.ray_jobs.selecting import condition

BUDGET = 2 * 1024 * 1024
"""Bytes of lines that one page looks at; a condition that few samples meet makes short pages."""
_CURSOR = re.compile(r"([0-4])\.(0|[1-9][0-9]{0,17})\.([0-9a-f]{32})")


class CursorError(ValueError):
    """A cursor that no page of this list has given."""


@dataclass(frozen=True)
class Asked:
    """Which samples of a version."""

    roles: tuple[Role, ...]
    """In this order."""
    where: str | None = None
    """A condition; see `selecting`."""

    def matches(self) -> Callable[[Sample], bool] | None:
        """The condition, none for none. Raises RecipeError for one that is not understood."""
        if self.where is None:
            return None
        try:
            return condition(self.where).matches
        except ValueError as error:
            raise RecipeError(f"where: {error}") from error


class Placed(NamedTuple):
    """A sample of a page."""

    role: Role
    sample: Sample


@dataclass(frozen=True)
class Page:
    """A run of samples."""

    samples: tuple[Placed, ...]
    following: str | None
    """The cursor of the next page, None at the end; a page may be short, even empty, and have one."""


class _Place(NamedTuple):
    """Where a page begins."""

    nth: int
    """Of the roles that were asked for."""
    offset: int


def page(
    store: Store,
    version: Version,
    asked: Asked,
    *,
    cursor: str | None,
    most: int,
    chunks: Chunks,
    budget: int = BUDGET,
) -> Page:
    """At most `most` samples from `cursor` on, found among about `budget` bytes of lines.

    Raises CursorError for a cursor of another version, of other roles or another condition, or of no line.
    """
    matches = asked.matches()
    place = _parsed(store, version, asked, cursor, chunks) if cursor is not None else _Place(0, 0)
    found: list[Placed] = []
    read = 0
    for at, role, sample in _following(store, version, asked, place, chunks):
        if len(found) == most or read >= budget:
            return Page(tuple(found), _written(version, asked, at))
        read += len(sample.line) + 1
        if matches is None or matches(sample):
            found.append(Placed(role, sample))
    return Page(tuple(found), None)


def _following(
    store: Store, version: Version, asked: Asked, place: _Place, chunks: Chunks
) -> Iterator[tuple[_Place, Role, Sample]]:
    for nth in range(place.nth, len(asked.roles)):
        role = asked.roles[nth]
        entry = version.manifests.get(role)
        if entry is None:
            continue
        for line in Lines(store, entry, chunks).following(place.offset if nth == place.nth else 0):
            yield _Place(nth, line.offset), role, line.sample


def _written(version: Version, asked: Asked, place: _Place) -> str:
    return f"{place.nth}.{place.offset}.{_digest(version, asked)}"


def _parsed(store: Store, version: Version, asked: Asked, cursor: str, chunks: Chunks) -> _Place:
    parts = _CURSOR.fullmatch(cursor)
    if parts is None or parts[3] != _digest(version, asked) or int(parts[1]) >= len(asked.roles):
        raise CursorError("of another list, or of none; take `next` of the page before and ask for the same")
    place = _Place(int(parts[1]), int(parts[2]))
    entry = version.manifests.get(asked.roles[place.nth])
    if entry is None or place.offset >= entry.bytes or not Lines(store, entry, chunks).begins(place.offset):
        raise CursorError("of no line of this version; take `next` of the page before")
    return place


def _digest(version: Version, asked: Asked) -> str:
    """What binds a cursor to its list."""
    said = "\n".join([version.transaction, str(version.number), *asked.roles, "", asked.where or ""])
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32]
