"""How a training set covers what a model must see: views, framings, expressions … and what to shoot next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imageyard.ray_jobs.analysis.affected import Affected

ProfileName = Literal["character", "style", "concept"]
Source = Literal["scores", "tags", "captions"]
"""Raw scores of the version's tagger, the pair `tags`, or pieces and words of training texts."""


@dataclass(frozen=True)
class Seen:
    """One value of an axis, such as `from behind` of the axis `view`."""

    value: str
    images: int
    share: float
    """Of the images counted, 0 to 1; shares of an axis need not add up to 1."""
    examples: tuple[str, ...]
    """Names of the first few."""
    wanted: tuple[int, int] | None = None
    """How many images the profile wants at least and at most; None where it wants no number."""
    missing: int = 0
    """So many more are needed for the least."""


@dataclass(frozen=True)
class Excess:
    """A value of which there is too much."""

    value: str
    images: int
    share: float
    threshold: float
    """The share above which it is too much."""


@dataclass(frozen=True)
class Axis:
    """One thing that should vary, or stay the same, over the set."""

    name: str
    """Such as `view`."""
    said: int
    """Images of which at least one value is known."""
    values: tuple[Seen, ...]
    """All that the profile knows, the most frequent first; of those without images only the ones that are wanted."""
    distinct: int
    """Values with at least one image."""
    wanted_distinct: int | None
    """So many different ones are wanted; None where no number is."""
    excess: tuple[Excess, ...]
    notes: tuple[str, ...]
    """Plain sentences on what else is amiss, each with its numbers."""


@dataclass(frozen=True)
class Cross:
    """Two axes at once, for a plot: which combinations no image shows."""

    first: str
    second: str
    rows: tuple[str, ...]
    """Values of `first` that occur."""
    columns: tuple[str, ...]
    """Values of `second` that occur."""
    images: tuple[tuple[int, ...], ...]
    """For each row, for each column: images that have both."""
    empty: tuple[tuple[str, str], ...]
    """(row, column) without an image, those of the most frequent values first."""


@dataclass(frozen=True)
class Outlier:
    """An image that looks unlike the set."""

    name: str
    distance: float
    """1 - cosine to the mean of the set."""


@dataclass(frozen=True)
class Looks:
    """How many different looks there are, by embeddings."""

    extractor: str
    """The extractor whose facts were read, such as `embedding`."""
    images: int
    """Images that have a vector."""
    threshold: float
    """Images whose cosine is at least this are one look."""
    clusters: int
    """Different looks: the effective size of the set."""
    sizes: tuple[int, ...]
    """Images of the largest looks, falling; at most 20."""
    largest_share: float
    """Of the largest, of `images`."""
    largest: Affected
    """The images of the largest."""
    limit: float
    """The distance from which an image is an outlier: mean + 3 standard deviations."""
    outliers: tuple[Outlier, ...]
    """The farthest first; at most 20."""


@dataclass(frozen=True)
class Size:
    """Whether there are enough images."""

    images: int
    """Images counted."""
    effective: int | None
    """Different looks among them; None where the version has no embeddings."""
    least: int
    most: int
    """What the profile wants."""
    severity: Literal["error", "warning", "info"] | None
    """None where the number is right."""
    reason: str
    """A sentence."""


@dataclass(frozen=True)
class Shot:
    """One thing to shoot or find next."""

    sentence: str
    """What, and why in numbers: `from behind: no picture (1 to 2 wanted)`."""
    axis: str
    value: str | None
    """None where any other value of the axis will do."""
    have: int
    need: int
    """Pictures to add, at least."""


@dataclass(frozen=True)
class Coverage:
    """All of it, of the images of the roles that were asked for."""

    profile: ProfileName
    images: int
    source: Source | None
    """Where values were read from; None where there is nothing to read."""
    model: str | None
    """The tagger, where `source` is scores."""
    matched: int
    """Images of which at least one axis is known."""
    usable: bool
    """Whether enough is known to say what is missing. If not, `axes`, `crosses`, `next_shots` and `remove` are
    empty."""
    reason: str
    """A sentence: what was read, or why nothing can be said."""
    size: Size
    axes: tuple[Axis, ...]
    crosses: tuple[Cross, ...]
    remove: tuple[tuple[str, Affected], ...]
    """What one may want to take out, such as `watermark`, and the images that have it."""
    looks: Looks | None
    """None where the version has no embeddings."""
    next_shots: tuple[Shot, ...]
    """The most needed first."""
