"""What texts of a version are not what they were in its parent: counted over all of it, and a sample to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.diff import diff
from imageyard.manifests.sample import Json, Sample
from imageyard.manifests.version import Role, Version
from imageyard.ray_jobs.caption_text import same_as
from imageyard.ray_jobs.report_data import Picture, Reworded, Rewordings
from imageyard.ray_jobs.rewording import Rewording, Text, tags_gone_and_come
from imageyard.ray_jobs.state import CAPTION, TAGS

T = TypeVar("T")

TEXT = "text"
"""The member that holds the composed training text, where there is one."""
TEXTS_SHOWN, TAGS_SHOWN = 24, 24
"""Pictures whose texts are shown, and tags that are named as having come or gone."""


@dataclass(frozen=True)
class Told:
    """One image that has texts: where it is, as it is, and what its texts were and are."""

    key: str
    role: Role
    sample: Sample
    rewordings: tuple[Rewording, ...]


class Sampled(Generic[T]):
    """A sample of a stream of any length, spread evenly over it: between `most` and twice as many items."""

    def __init__(self, most: int) -> None:
        self._most, self._every, self.seen = most, 1, 0
        self.items: list[T] = []

    def add(self, item: T) -> None:
        if self.seen % self._every == 0:
            self.items.append(item)
            if len(self.items) > 2 * self._most:
                self.items, self._every = self.items[::2], self._every * 2
        self.seen += 1


@dataclass
class TextChanges:
    """What was counted, and the images to show, of which a report reads the pictures."""

    older: int | None
    changed: int = 0
    fresh: int = 0
    members: dict[str, list[int]] = field(default_factory=dict)
    came: Counter[str] = field(default_factory=Counter)
    went: Counter[str] = field(default_factory=Counter)
    spelled: dict[str, str] = field(default_factory=dict)
    shown: tuple[Told, ...] = ()

    def count(self, rewordings: Sequence[Rewording]) -> None:
        """One more image whose texts are other ones."""
        came: dict[str, str] = {}
        went: dict[str, str] = {}
        for rewording in rewordings:
            kind = 0 if rewording.before is None else 2 if rewording.after is None else 1
            self.members.setdefault(rewording.member, [0, 0, 0])[kind] += 1
            if rewording.member != TAGS and None in (rewording.before, rewording.after):
                continue  # a whole text came or went: its tags may have stood in another one
            gone, new = tags_gone_and_come(rewording)
            came |= {same_as(tag): tag for tag in new}
            went |= {same_as(tag): tag for tag in gone}
        for tags, counts in ((came, self.came), (went, self.went)):
            counts.update(tags.keys())
            for form, tag in tags.items():
                self.spelled.setdefault(form, tag)

    def report(self, picture: Callable[[Told], Picture]) -> Rewordings | None:
        """The counts with pictures, or None where there is nothing to tell."""
        if not self.shown:
            return None
        return Rewordings(
            self.older,
            self.changed,
            self.fresh,
            tuple((name, *counts) for name, counts in sorted(self.members.items())),  # type: ignore[misc]  # three
            self._most(self.came),
            self._most(self.went),
            tuple(Reworded(picture(told), told.rewordings) for told in self.shown),
        )

    def _most(self, counts: Counter[str]) -> tuple[tuple[str, int], ...]:
        ranked = sorted(counts.items(), key=lambda found: (-found[1], found[0]))
        return tuple((self.spelled[form], count) for form, count in ranked[:TAGS_SHOWN])


def text_changes(dataset: Dataset, version: Version, kept: Iterable[tuple[Role, Sample]]) -> TextChanges:
    """How captions, tags and training texts of images that are not rejected differ from those of the parent.

    `kept` are those images; without a parent all their texts are new. Memory grows with the vocabulary alone.
    """
    found = TextChanges(version.parent)
    changed, fresh = Sampled[Told](TEXTS_SHOWN), Sampled[Told](TEXTS_SHOWN)
    for role, was, sample in _reworded(dataset, version, kept):
        texts = texts_of(sample)
        rewordings = tuple(_wordings(was, sample, texts))
        if not rewordings:
            continue
        if was is None:
            fresh.add(Told(sample.key, role, sample.forget(), rewordings))
            continue
        found.count(rewordings)
        changed.add(Told(sample.key, role, sample.forget(), rewordings))
    found.changed, found.fresh = changed.seen, fresh.seen
    shown = spread(changed.items, TEXTS_SHOWN)
    found.shown = (*shown, *spread(fresh.items, TEXTS_SHOWN - len(shown)))
    return found


def _reworded(
    dataset: Dataset, version: Version, kept: Iterable[tuple[Role, Sample]]
) -> Iterator[tuple[Role, Sample | None, Sample]]:
    """Role, sample before and sample of every image that is not rejected and that may have another text."""
    if version.parent is None:
        for role, sample in kept:
            yield role, None, sample
        return
    for change in diff(dataset, dataset.version(version.parent), version):
        if change.after is not None and change.after != "rejected":
            yield change.after, change.was, change.sample


def _wordings(was: Sample | None, sample: Sample, texts: Mapping[str, Text]) -> Iterator[Rewording]:
    before = texts_of(was) if was is not None else {}
    for name in dict.fromkeys((*before, *texts)):
        old, new = before.get(name), texts.get(name)
        if old != new:
            yield Rewording(name, old, new, sayer(was.metadata(name) if was else None), sayer(sample.metadata(name)))


def texts_of(sample: Sample) -> dict[str, Text]:
    """What an image says in words: its caption, further captions, training text, and tags, in this order."""
    names = [CAPTION, *sorted(name for name in sample.data if _further(name)), TEXT]
    found: dict[str, Text] = {name: sample.value(name) for name in names if isinstance(sample.value(name), str)}
    classes = (sample.metadata(TAGS) or {}).get("class-map")
    tags = sample.value(TAGS)
    if isinstance(tags, list) and isinstance(classes, dict):
        found[TAGS] = tuple(str(classes.get(str(index), index)) for index in tags)
    return found


def _further(name: str) -> bool:
    return name.startswith(f"{CAPTION}-") and not name.endswith("-metadata")


def sayer(metadata: Mapping[str, Json] | None) -> str:
    """Who made a pair: a person, the model, or else the step, and which steps edited it after; "" for no pair."""
    if metadata is None:
        return ""
    edits: Any = metadata.get("edited-by")
    edited = ", ".join(dict.fromkeys(str(step) for step in edits)) if isinstance(edits, list) else ""
    by = "a person" if metadata.get("human-annotated") == "yes" else metadata.get("model") or metadata.get("step")
    return f"{by or 'unknown'}, edited by {edited}" if edited else str(by or "unknown")


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly from the whole."""
    if len(items) <= most:
        return list(items)
    return [items[at * len(items) // most] for at in range(most)]
