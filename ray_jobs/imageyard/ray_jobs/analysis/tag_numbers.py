"""What the tags of a version are in numbers: how often each, which together, which twice under two spellings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imageyard.ray_jobs.analysis.affected import Affected

Source = Literal["tags", "captions"]
"""The pair `tags`, or the pieces of those training texts that are tag lists."""


@dataclass(frozen=True)
class TagCount:
    """One tag of the vocabulary; spellings that differ only in case, underscores or escapes are one tag."""

    tag: str
    """Its most frequent spelling, without emphasis."""
    images: int
    """Images that have it."""
    share: float
    """`images` of the images counted, 0 to 1."""
    total: int
    """Times it stands, where one image may say it twice."""
    score: float | None
    """Mean confidence over the images that say one; None where none does, as people's tags and captions do not."""


@dataclass(frozen=True)
class TagPair:
    """Two tags that stand together."""

    first: str
    second: str
    images: int
    """Images that have both."""
    lift: float
    """P(both) / (P(first) P(second)): 1 where they are independent, above 1 where one attracts the other."""


@dataclass(frozen=True)
class TagMatrix:
    """How often the most frequent tags stand together, for a plot."""

    tags: tuple[str, ...]
    """The MATRIX most frequent, the most frequent first."""
    images: tuple[tuple[int, ...], ...]
    """Rows and columns as `tags`: images that have both; on the diagonal those that have the one."""


@dataclass(frozen=True)
class NearTags:
    """Tags that are probably one, written differently."""

    why: Literal["spelling", "plural", "letter"]
    """`spelling`: case, underscore, hyphen, escape or typographic quotes; `plural`: an s or es more on a word;
    `letter`: one letter more, less, other or swapped, and one is ten times as frequent as the other."""
    forms: tuple[tuple[str, int], ...]
    """(as written, images), the most frequent first: what the others should probably be."""


@dataclass(frozen=True)
class Conflict:
    """Tags that contradict each other on one image."""

    axis: str
    """What they disagree on, such as `hair colour`."""
    tags: tuple[str, ...]
    """The tags, in alphabetical order."""
    affected: Affected


@dataclass(frozen=True)
class Completeness:
    """Images that lack something."""

    without_tags: Affected
    without_caption: Affected
    """Neither `caption` nor `text`, or blank."""
    without_trigger: tuple[tuple[str, Affected], ...]
    """By trigger asked for: images whose training text does not have it."""


@dataclass(frozen=True)
class TagsPerImage:
    """How many tags images have."""

    minimum: int
    median: float
    mean: float
    maximum: int


@dataclass(frozen=True)
class TagNumbers:
    """All of it, of the images of the roles that were asked for."""

    source: Source
    """Where tags were taken from."""
    images: int
    """Images counted."""
    tagged: int
    """Those that have a tag."""
    total: int
    """Tags of all images together."""
    vocabulary: int
    """Different tags."""
    entropy: float
    """Shannon entropy in bits of a tag drawn from all that are written; its most is log2(vocabulary)."""
    per_image: TagsPerImage
    """Over all images counted, those without tags among them."""
    tags: tuple[TagCount, ...]
    """The whole vocabulary: the most frequent first, then alphabetical."""
    rare: tuple[TagCount, ...]
    """On fewer images than `rare_below`."""
    rare_below: int
    always: tuple[TagCount, ...]
    """On more than ALWAYS of the images: propose to prune them, or keep them on purpose."""
    pairs_by_count: tuple[TagPair, ...]
    """The TOP_PAIRS most frequent pairs; tags of `always` take no part, as they go with everything."""
    pairs_by_lift: tuple[TagPair, ...]
    """The TOP_PAIRS pairs of highest lift, of those on at least LIFT_IMAGES images."""
    matrix: TagMatrix
    near: tuple[NearTags, ...]
    conflicts: tuple[Conflict, ...]
    """The most frequent first."""
    complete: Completeness
