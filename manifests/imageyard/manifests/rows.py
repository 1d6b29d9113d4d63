"""The rows of a role that are trained on: every line of its manifest, or those that a condition keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ManifestError, VersionError
from imageyard.manifests.order import Place
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import ManifestEntry, Role, Version


@dataclass(frozen=True)
class Rows:
    """Lines of one manifest, counted within each of its ranges."""

    entry: ManifestEntry
    kept: list[NDArray[np.uint32]] | None
    """The lines of each range, from 0; None if they are all of them."""
    counts: list[int]
    """How many rows each range has."""

    @classmethod
    def of(cls, dataset: Dataset, version: Version, role: Role, keep: Callable[[Sample], bool] | None) -> Rows:
        """Those of `role` that pass `keep`, for which the whole manifest is read; without it, all.

        Raises VersionError if the version has no such role, ManifestError if its manifest is not as committed.
        """
        entry = _entry(dataset, version, role)
        if keep is None:
            return cls(entry, None, _lines(entry))
        kept = _kept(dataset.read(version, role), entry, keep)
        return cls(entry, kept, [len(rows) for rows in kept])

    def __len__(self) -> int:
        return sum(self.counts)

    def line(self, place: Place) -> int:
        """The line, within its range, of the row at `place`."""
        return place.row if self.kept is None else int(self.kept[place.range][place.row])

    def digest(self, *, role: Role, window: int) -> str:
        """sha256 of what positions refer to that count these rows: role, manifest, window, and what was kept."""
        digest = hashlib.sha256(f"{role} {self.entry.sha256} {window} {_lines(self.entry)}".encode())
        for rows in self.kept or ():
            digest.update(len(rows).to_bytes(8, "little") + rows.astype("<u4").tobytes())
        return digest.hexdigest()


def _entry(dataset: Dataset, version: Version, role: Role) -> ManifestEntry:
    entry = version.manifests.get(role)
    if entry is None:
        have = ", ".join(version.manifests) or "none"
        raise VersionError(f"{dataset.url}: version {version.number} has no role {role!r}; it has {have}")
    size = dataset.store.head(entry.key).size
    if size != entry.bytes:
        raise ManifestError(
            f"{dataset.store.address(entry.key)}: {size:,} bytes, but the version says {entry.bytes:,}; "
            "the object was changed after its commit"
        )
    return entry


def _kept(samples: Iterable[Sample], entry: ManifestEntry, keep: Callable[[Sample], bool]) -> list[NDArray[np.uint32]]:
    """Rows of each range that pass `keep`."""
    lines = iter(samples)
    return [
        np.array([row for row, sample in enumerate(islice(lines, part.lines)) if keep(sample)], dtype=np.uint32)
        for part in entry.ranges
    ]


def _lines(entry: ManifestEntry) -> list[int]:
    return [part.lines for part in entry.ranges]
