"""What lies in a drop folder, and what of it no version has taken in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.store import Store
from imageyard.manifests.version import ROLES, Version
from imageyard.ray_jobs import drop
from imageyard.ray_jobs.origin import DROP, ledger
from imageyard.ray_jobs.recipe import Recipe

Mark = tuple[str, str]
"""An object of a drop folder: its key within the dataset, and its ETag without quotation marks."""


@dataclass(frozen=True)
class Watched:
    """A dataset and the recipe that is run on what arrives."""

    recipe: Recipe
    written: Mapping[str, Any] = field(default_factory=dict)
    """The recipe as it was written, for jobs that are submitted."""
    tenant: str = ""
    """Whose it is, where there are several: what can be done at a time is shared by them."""

    @property
    def url(self) -> str:
        return self.recipe.dataset

    @property
    def place(self) -> tuple[str, str] | None:
        """Bucket and prefix, by which events are known to be of this dataset; None where there are no such events."""
        parts = urlsplit(self.url)
        return (parts.netloc, unquote(parts.path).strip("/")) if parts.scheme in ("s3", "memory") else None


def marks(store: Store) -> frozenset[Mark]:
    """Everything that lies in the drop folder."""
    return frozenset((entry.key, bare(entry.etag)) for entry in store.list("drop") if not entry.key.endswith("/"))


def still_new(store: Store) -> frozenset[Mark]:
    """The images in the drop folder that the newest version does not have inside.

    Its record says so at a glance; every sample is asked only about what that does not know.
    """
    dataset = Dataset(store)
    newest = dataset.newest()
    known = dataset.consumed(newest) if newest else set()
    new = drop.look(store, lambda: known).new
    if not new or newest is None:
        return frozenset((item.key, bare(item.etag)) for item in new)
    inside = _ledger(dataset, newest)
    return frozenset((item.key, bare(item.etag)) for item in new if (item.key, item.etag) not in inside)


def bare(etag: str) -> str:
    """An ETag as events write it."""
    return etag.strip('"')


class Routes:
    """Which dataset an object's key belongs to: the one with the longest prefix in whose drop folder it lies."""

    def __init__(self, watched: list[Watched]) -> None:
        self._urls = {one.place: one.url for one in watched if one.place is not None}

    def find(self, bucket: str, key: str) -> tuple[str, str] | None:
        """URL of the dataset and key within it, or None."""
        at = key.rfind(DROP)
        while at >= 0:
            if at == 0 or key[at - 1] == "/":
                url = self._urls.get((bucket, key[: max(0, at - 1)]))
                if url is not None:
                    return url, key[at:]
            at = key.rfind(DROP, 0, at)
        return None


def _ledger(dataset: Dataset, version: Version) -> set[tuple[str, str]]:
    return {mark for role in ROLES for sample in dataset.read(version, role) for mark in ledger(sample)}
