"""How a training set covers what a model must see: views, framings, expressions … and what to shoot next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import VersionError
from imageyard.manifests.version import Version
from imageyard.ray_jobs.analysis.affected import Affected, Tally
from imageyard.ray_jobs.analysis.axes import Axis, AxisCount, Cross, CrossCount, Excess, Seen, cross
from imageyard.ray_jobs.analysis.looks import EXTRACTOR, Looks, Outlier, looks
from imageyard.ray_jobs.analysis.next_shots import Shot, Size, next_shots, size_of
from imageyard.ray_jobs.analysis.said import Reading, reading
from imageyard.ray_jobs.analysis.shot_list import PROFILES
from imageyard.ray_jobs.analysis.shot_plan import Profile
from imageyard.ray_jobs.analysis.shot_words import Described, Source, described, tagger_names

__all__ = [
    "Axis",
    "Coverage",
    "Cross",
    "Excess",
    "Looks",
    "Outlier",
    "Seen",
    "Shot",
    "Size",
    "Source",
    "coverage",
    "profile_of",
]

KNOWN_SHARE, KNOWN_AXES = 0.1, 2
"""Something can be said of a set if at least so many core axes are known of at least this share of its images."""


@dataclass(frozen=True)
class Coverage:
    """All of it, of the images of the roles that were asked for."""

    profile: str
    images: int
    source: Source | None
    """Where the values of most images were read from; None where there is nothing to read."""
    model: str | None
    """The taggers, where `source` is scores."""
    matched: int
    """Images of which at least one axis is known."""
    usable: bool
    """Whether enough is known to say what is missing; if not, `axes`, `crosses`, `remove`, `next_shots` are empty."""
    reason: str
    """A sentence: what was read, or why nothing can be said."""
    size: Size
    axes: tuple[Axis, ...]
    crosses: tuple[Cross, ...]
    remove: tuple[tuple[str, Affected], ...]
    """What one may want to take out or crop, such as `watermark`, and the images that have it, the most first."""
    looks: Looks | None
    """None where the version has no embeddings."""
    next_shots: tuple[Shot, ...]
    """The most needed first."""


def profile_of(name: str) -> Profile:
    """The profile of that name. Raises VersionError, saying which there are."""
    if name not in PROFILES:
        raise VersionError(f"there is no profile {name!r}; profiles are {', '.join(PROFILES)}")
    return PROFILES[name]


def coverage(
    dataset: Dataset,
    version: Version,
    *,
    samples: Reading | None = None,
    profile: str | Profile = "character",
) -> Coverage:
    """How `samples` of a version, or if none are given all but the rejected, cover `profile`.

    A profile is a name of `shot_list.PROFILES` or one of the caller's own (`shot_plan.extended`). Samples are read
    once and not held; of each only its key and name is, and only if the version has embeddings. Raises VersionError
    for a profile that is not known.
    """
    wanted = profile_of(profile) if isinstance(profile, str) else profile
    found = _Found(wanted)
    named: list[tuple[str, str]] = []
    for one in described(dataset, version, samples or reading(dataset, version)):
        found.add(one)
        if EXTRACTOR in version.extractors:
            named.append((one.key, one.name))
    return found.done(", ".join(tagger_names(version)), looks(dataset, version, named))


class _Found:
    """What is counted while images pass."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._axes = {plan.name: AxisCount(plan) for plan in profile.axes}
        self._crosses = [CrossCount(first, second) for first, second in profile.crosses]
        self._remove = [(value, Tally()) for value in profile.remove]
        self._several = Tally()
        self._sources: Counter[Source] = Counter()
        self._images = self._matched = 0

    def add(self, one: Described) -> None:
        self._images += 1
        if one.source is not None:
            self._sources[one.source] += 1
        values = {name: axis.add(one.name, one.words, one.faint) for name, axis in self._axes.items()}
        self._matched += any(values.values())
        for pair in self._crosses:
            pair.add(values)
        for value, tally in self._remove:
            if not one.words.isdisjoint(value.said_by):
                tally.add(one.name)
        if self._profile.solo is not None and "several" in values.get("people", ()):
            self._several.add(one.name)

    def done(self, model: str, found: Looks | None) -> Coverage:
        ranked: list[Source] = sorted(self._sources, key=lambda kind: (-self._sources[kind], kind))
        source = ranked[0] if ranked else None
        usable = self._usable()
        size = size_of(self._profile, self._images, found.clusters if found else None)
        by_taggers = source in ("scores", "tags")
        counts = self._axes if usable else {}
        axes = tuple(count.done(self._images, by_taggers=by_taggers) for count in counts.values())
        crosses = tuple(
            cross(self._axes[pair.first], self._axes[pair.second], pair.both) for pair in self._crosses if usable
        )
        return Coverage(
            profile=self._profile.name,
            images=self._images,
            source=source,
            model=model or None if source == "scores" else None,
            matched=self._matched,
            usable=usable,
            reason=self._reason(source, model, usable=usable),
            size=size,
            axes=axes,
            crosses=crosses,
            remove=self._removable() if usable else (),
            looks=found,
            next_shots=next_shots(self._profile, size, axes, crosses) if usable else (),
        )

    def _usable(self) -> bool:
        core = [self._axes[name] for name in self._profile.core if name in self._axes]
        known = sum(axis.said >= max(1, KNOWN_SHARE * self._images) for axis in core)
        return self._images > 0 and known >= min(KNOWN_AXES, len(core))

    def _reason(self, source: Source | None, model: str, *, usable: bool) -> str:
        if not self._images:
            return "there are no images"
        if source is None:
            return "no image has tags or a training text, so nothing can be said of what they show"
        core = ", ".join(self._profile.core)
        if not usable:
            words = {"scores": f"tags of {model or 'the tagger'}", "tags": "tags", "captions": "training texts"}[source]
            return (
                f"the {words} have almost no words for {core} (such as `from behind` or `upper body`), so nothing can "
                "be said of what is missing; tag with a model of Danbooru's vocabulary, such as vit-v3"
            )
        if source == "scores":
            return f"read from the scores of {model or 'the tagger'}, whatever tags the captions keep"
        if source == "tags":
            return "read from the tags; what was dropped from them is not counted"
        return "read from the training texts; what they leave out is not counted"

    def _removable(self) -> tuple[tuple[str, Affected], ...]:
        tallies = [(value.name, tally.done()) for value, tally in self._remove]
        tallies.append(("several people", self._several.done()))
        return tuple(sorted((found for found in tallies if found[1].images), key=lambda found: -found[1].images))
