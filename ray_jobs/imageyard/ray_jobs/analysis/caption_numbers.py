"""What the captions of a version are in numbers: their lengths, what breaks a rule, who has the trigger words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imageyard.ray_jobs.analysis.affected import Affected

Severity = Literal["error", "warning", "info"]
Unit = Literal["clip", "approx"]
"""Tokens of CLIP's vocabulary, or pieces of its pattern where the vocabulary is not installed."""


@dataclass(frozen=True)
class Spread:
    """How a number is spread over captions; all 0 where there is none."""

    minimum: int
    median: float
    mean: float
    p95: float
    """The smallest number that at least 95 % of captions do not exceed."""
    maximum: int


@dataclass(frozen=True)
class Bin:
    """A bar of a histogram."""

    lower: int
    """The first number in it."""
    upper: int
    """The last number in it."""
    images: int


@dataclass(frozen=True)
class Limit:
    """What a text encoder reads of a caption, and how many have more."""

    name: str
    """A model, such as `sdxl`, or the number itself where one was given."""
    tokens: int
    """It reads so many, without begin and end."""
    asked: bool
    """Whether the caller named it; the others are for information."""
    cut: Affected
    """Images whose training text is longer, so that its end is cut silently."""


@dataclass(frozen=True)
class Finding:
    """One rule that some images break."""

    rule: str
    """Such as `CAP-SHORT`."""
    severity: Severity
    reason: str
    """A sentence that says what is wrong, with its numbers."""
    affected: Affected
    share: float
    """Of the images counted, 0 to 1."""
    details: tuple[tuple[str, int], ...] = ()
    """What exactly, and on how many images, the most frequent first: spellings, phrases, conflicting tags."""


@dataclass(frozen=True)
class Part:
    """What one rule says of consistency."""

    rule: str
    affected: int
    value: float
    """1 - affected / images."""


@dataclass(frozen=True)
class Consistency:
    """How alike captions are in form; never to be shown without its parts."""

    score: float
    """1 - images that break at least one of the rules / images; 1 where there are no images."""
    parts: tuple[Part, ...]
    """One for each consistency rule, kept or broken."""


@dataclass(frozen=True)
class TriggerCoverage:
    """Who has a trigger word. `exact`, `variant` and `missing` are disjoint and make up all images."""

    trigger: str
    exact: Affected
    """It stands in the training text as given."""
    first: Affected
    """Of these: at the beginning."""
    not_first: Affected
    """Of these: anywhere else only."""
    twice: Affected
    """Of these: more than once."""
    variant: Affected
    """Only another spelling of it stands there: other case, underscores, hyphens, escapes."""
    missing: Affected


@dataclass(frozen=True)
class CaptionNumbers:
    """All of it, of the images of the roles that were asked for."""

    images: int
    """Images counted."""
    captioned: int
    """Those with a training text that is not blank."""
    sources: tuple[tuple[str, int], ...]
    """Which member training texts are of (`text`, else `caption`, else `tags` joined), and how many."""
    tag_lists: int
    """Training texts that are tags between commas."""
    prose: int
    """Training texts that are sentences."""
    further: tuple[tuple[str, int], ...]
    """Other captions of the same images (`caption-…`), and how many images have each."""
    unit: Unit
    tokens: Spread
    """Of training texts, in `unit`, without begin and end."""
    words: Spread
    characters: Spread
    pieces: Spread
    """Pieces between commas, of tag lists alone."""
    histogram: tuple[Bin, ...]
    """Tokens of training texts in bins of equal width, rising, without gaps."""
    chunks: tuple[tuple[int, int], ...]
    """(chunks of 75 tokens that a text takes, images), rising."""
    limits: tuple[Limit, ...]
    """Rising by tokens."""
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then information; in each the most images first."""
    consistency: Consistency
    triggers: tuple[TriggerCoverage, ...]
    """One for each trigger asked for."""
