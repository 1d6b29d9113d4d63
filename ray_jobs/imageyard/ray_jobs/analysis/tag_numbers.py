"""What the tags of a version are in numbers: how often each, which together, which twice under two spellings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import Literal

from imageyard.manifests.sample import Sample
from imageyard.ray_jobs.analysis.affected import Affected, Tally
from imageyard.ray_jobs.analysis.conflicts import conflicts
from imageyard.ray_jobs.analysis.near_tags import NearTags, near_tags
from imageyard.ray_jobs.analysis.said import Reading, form_of, from_a_model, tags_of, training_text
from imageyard.ray_jobs.analysis.spread import median
from imageyard.ray_jobs.analysis.tag_pairs import TagMatrix, TagPair, matrix, pairs, together
from imageyard.ray_jobs.analysis.trigger_words import Trigger
from imageyard.ray_jobs.caption_text import bare, is_prose, pieces_of
from imageyard.ray_jobs.origin import called
from imageyard.ray_jobs.state import TAGS

__all__ = [
    "Completeness",
    "Conflict",
    "NearTags",
    "Source",
    "TagCount",
    "TagMatrix",
    "TagNumbers",
    "TagPair",
    "TagsPerImage",
    "tag_numbers",
]

ALWAYS = 0.95
"""A tag on more than this share of the images is on all, for what a model learns of it."""
ALWAYS_IMAGES = 5
"""Of fewer images than this nothing is said to be on all."""
TOP_PAIRS = 50
LIFT_IMAGES = 3

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
    """How many different tags images have."""

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
    """The TOP_PAIRS most frequent pairs of the PAIRED most frequent tags; tags of `always` take no part, as they go
    with everything."""
    pairs_by_lift: tuple[TagPair, ...]
    """The TOP_PAIRS pairs of highest lift, of those on at least LIFT_IMAGES images."""
    matrix: TagMatrix
    near: tuple[NearTags, ...]
    conflicts: tuple[Conflict, ...]
    """The most frequent first."""
    complete: Completeness


@dataclass(frozen=True)
class _Said:
    """The tags of one image: for each normal form the spellings and the score."""

    spellings: Sequence[tuple[str, str]]
    """(normal form, as written), one for each time a tag is written."""
    scores: Mapping[str, float]

    @property
    def forms(self) -> set[str]:
        return {form for form, _ in self.spellings}


class _Counts:
    """What grows with the vocabulary while samples pass."""

    def __init__(self) -> None:
        self.images = self.tagged = 0
        self.of: Counter[str] = Counter()
        self.total: Counter[str] = Counter()
        self.scores: defaultdict[str, float] = defaultdict(float)
        self.scored: Counter[str] = Counter()
        self.spellings: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.sizes: Counter[int] = Counter()
        self.known: set[str] = set()
        self._names: dict[str, str] = {}

    def add(self, said: _Said, known: bool) -> None:
        forms = said.forms
        self.images += 1
        self.tagged += bool(forms)
        self.sizes[len(forms)] += 1
        self.of.update(forms)
        self.total.update(form for form, _ in said.spellings)
        for form, written in set(said.spellings):
            self.spellings[form][written] += 1
        for form, score in said.scores.items():
            self.scores[form] += score
            self.scored[form] += 1
        if known:
            self.known |= forms

    def ranked(self) -> list[TagCount]:
        order = sorted(self.of, key=lambda form: (-self.of[form], form))
        return [
            TagCount(
                self.name(form),
                self.of[form],
                self.of[form] / self.images,
                self.total[form],
                round(self.scores[form] / self.scored[form], 4) if self.scored[form] else None,
            )
            for form in order
        ]

    def name(self, form: str) -> str:
        """The most frequent spelling."""
        if form not in self._names:
            spellings = self.spellings[form]
            self._names[form] = min(spellings, key=lambda written: (-spellings[written], written))
        return self._names[form]


def tag_numbers(
    samples: Reading, *, source: Source | None = None, triggers: Sequence[str] = (), rare_below: int = 2
) -> TagNumbers:
    """The numbers of `samples`, which are read twice and not held: memory grows with the vocabulary alone.

    `source` unset is `tags` if any sample has the pair, else `captions`.
    """
    source = source or ("tags" if any(tags_of(sample) for sample in samples()) else "captions")
    read = _from_tags if source == "tags" else _from_caption
    counts, complete = _Counts(), _Complete(triggers)
    contradicting: defaultdict[tuple[str, tuple[str, ...]], Tally] = defaultdict(Tally)
    for sample in samples():
        said = read(sample)
        counts.add(said, from_a_model(sample))
        complete.add(sample, bool(said.spellings))
        for conflict in conflicts(said.forms):
            contradicting[conflict].add(called(sample))
    ranked = counts.ranked()
    always = tuple(tag for tag in ranked if tag.share > ALWAYS) if counts.images >= ALWAYS_IMAGES else ()
    names = [tag.tag for tag in ranked]
    of = {tag.tag: tag.images for tag in ranked}
    both = together(({counts.name(form) for form in read(sample).forms} for sample in samples()), names)
    told = pairs(both, of, counts.images, without={tag.tag for tag in always})
    total = counts.total.total()
    written = {form: images for spellings in counts.spellings.values() for form, images in spellings.items()}
    return TagNumbers(
        source=source,
        images=counts.images,
        tagged=counts.tagged,
        total=total,
        vocabulary=len(ranked),
        entropy=sum(-tag.total / total * log2(tag.total / total) for tag in ranked) + 0.0,
        per_image=_per_image(counts),
        tags=tuple(ranked),
        rare=tuple(tag for tag in ranked if tag.images < rare_below),
        rare_below=rare_below,
        always=always,
        pairs_by_count=tuple(sorted(told, key=lambda pair: (-pair.images, -pair.lift, pair.first, pair.second)))[
            :TOP_PAIRS
        ],
        pairs_by_lift=tuple(
            sorted(
                (pair for pair in told if pair.images >= LIFT_IMAGES),
                key=lambda pair: (-pair.lift, -pair.images, pair.first, pair.second),
            )
        )[:TOP_PAIRS],
        matrix=matrix(both, of, names),
        near=near_tags(written, counts.known),
        conflicts=tuple(
            sorted(
                (Conflict(axis, tags, tally.done()) for (axis, tags), tally in contradicting.items()),
                key=lambda conflict: (-conflict.affected.images, conflict.axis, conflict.tags),
            )
        ),
        complete=complete.done(),
    )


def _from_tags(sample: Sample) -> _Said:
    tags = tags_of(sample)
    scores = {form_of(tag.name): tag.score for tag in tags if tag.score is not None}
    return _Said([(form_of(tag.name), tag.name) for tag in tags], scores)


def _from_caption(sample: Sample) -> _Said:
    text = training_text(sample).text
    pieces = [] if is_prose(text) else pieces_of(text)
    return _Said([(form_of(piece), bare(piece)) for piece in pieces], {})


def _per_image(counts: _Counts) -> TagsPerImage:
    if not counts.images:
        return TagsPerImage(0, 0.0, 0.0, 0)
    mean = sum(size * images for size, images in counts.sizes.items()) / counts.images
    return TagsPerImage(min(counts.sizes), median(counts.sizes), mean, max(counts.sizes))


class _Complete:
    """Who lacks what, while samples pass."""

    def __init__(self, triggers: Sequence[str]) -> None:
        self._tags, self._caption = Tally(), Tally()
        self._triggers = [(Trigger(trigger), Tally()) for trigger in triggers]

    def add(self, sample: Sample, tagged: bool) -> None:
        name, training = called(sample), training_text(sample)
        if not tagged:
            self._tags.add(name)
        if training.member in (None, TAGS) or not training.text.strip():
            self._caption.add(name)
        for trigger, tally in self._triggers:
            if not trigger.exactly(training.text):
                tally.add(name)

    def done(self) -> Completeness:
        lacking = tuple((trigger.words, tally.done()) for trigger, tally in self._triggers)
        return Completeness(self._tags.done(), self._caption.done(), lacking)
