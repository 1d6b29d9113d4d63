"""What there is to do, in a form that travels: items in shards, and what came of a shard."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

from imageyard.ray_jobs.extractors.base import Extractor


@dataclass(frozen=True)
class SideCaption:
    """A text object beside an image in the drop folder."""

    key: str
    etag: str
    size: int


@dataclass(frozen=True)
class Item:
    """One image to be read: an object of the drop folder, or (sha256 known) an image of the dataset."""

    key: str
    size: int
    etag: str = ""
    sha256: str | None = None
    caption: SideCaption | None = None

    @property
    def id(self) -> str:
        """The content's sha256, or, for a drop object, a digest of the event: key and ETag, its caption's too."""
        if self.sha256 is not None:
            return self.sha256
        said = [self.key, self.etag]
        if self.caption is not None:
            said += [self.caption.key, self.caption.etag]
        return hashlib.sha256("\0".join(said).encode()).hexdigest()


@dataclass(frozen=True)
class Shard:
    """Items that lack facts of the same extractors: the unit of work, of retry and of a facts chunk."""

    items: tuple[Item, ...]
    extractors: tuple[Extractor, ...]

    def halves(self) -> tuple[Shard, Shard]:
        middle = len(self.items) // 2
        return Shard(self.items[:middle], self.extractors), Shard(self.items[middle:], self.extractors)


@dataclass(frozen=True)
class Tally:
    """What work was done; tallies add up."""

    images: int = 0
    """Images asked for."""
    read: int = 0
    """Images fetched from the store."""
    read_bytes: int = 0
    ingested: int = 0
    """Images newly stored under their content's name."""
    decoded: int = 0
    """Images decoded to pixels."""
    model_images: int = 0
    """Images that a model has seen, once for each model."""
    model_runs: int = 0
    """Batches run."""
    unreadable: int = 0
    skipped: int = 0
    """Drop objects that changed or went away before they were read; a later job takes them."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})
