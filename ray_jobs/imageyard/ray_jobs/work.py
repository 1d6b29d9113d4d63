"""What there is to do, in a form that travels: items in shards, and what came of a shard."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from imageyard.ray_jobs.extractors.base import Extractor, ModelExtractor


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

    @property
    def needs_model(self) -> bool:
        """Whether any of its extractors runs a model."""
        return any(isinstance(extractor, ModelExtractor) for extractor in self.extractors)


def needed(shards: Iterable[Shard]) -> tuple[Extractor, ...]:
    """The extractors of `shards`, each once."""
    asked = dict.fromkeys(shard.extractors for shard in shards)
    return tuple({extractor.identity(): extractor for extractors in asked for extractor in extractors}.values())


@dataclass(frozen=True)
class Tally:
    """What work was done; tallies add up. Seconds are wall time, to the millisecond, summed over the workers."""

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

    model_seconds: float = 0
    """That models were at work, from a batch put together to its rows; of runs side by side, once."""
    padding_seconds: float = 0
    """Of the model seconds, the share of the empty places of short batches."""
    loading_seconds: float = 0
    """That models took to load."""
    waited_for_shard_seconds: float = 0
    """That loaded models had nothing to do until their worker was given a shard."""
    waited_for_store_seconds: float = 0
    """That models had nothing to do until an image was downloaded."""
    waited_for_decode_seconds: float = 0
    """That models had nothing to do while the next image, there in bytes, was decoded and measured."""
    decoding_seconds: float = 0
    """That threads took to decode and measure, and to make models' inputs: beside the models, but with one CPU."""
    writing_seconds: float = 0
    """That facts took to write, beside the next shard."""

    def __add__(self, other: Tally) -> Tally:
        def total(name: str) -> Any:
            value = getattr(self, name) + getattr(other, name)
            return round(value, 3) if isinstance(value, float) else value

        return Tally(**{f.name: total(f.name) for f in fields(self)})
