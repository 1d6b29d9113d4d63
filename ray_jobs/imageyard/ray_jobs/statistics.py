"""What a version holds in numbers, counted in one pass and kept beside it: a version never changes, nor do they."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import NotFoundError
from imageyard.manifests.sample import Json, Sample
from imageyard.manifests.version import ROLES, Version
from imageyard.ray_jobs.splitting.columns import CONFLICT
from imageyard.ray_jobs.state import CAPTION, ONE_LABEL, REJECTION, SPLIT, TAGS, TEXT, VERDICT

MOST_ATTRIBUTES = 100
MOST_CLASSES = 1_000
"""Classes of one attribute that are counted one by one; in a set with more, those that come later are `others`."""
MOST_TAGS = 100_000
TOP_TAGS = 200
_CUT = 4
"""Images that have a tag, from which on it is not forgotten when there are too many."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassCount(_Frozen):
    """One class of a label attribute."""

    name: str
    value: Json
    """What stands for it in the pair."""
    images: int
    roles: dict[str, int]
    by_people: int
    """Images that people put into it."""


class LabelCounts(_Frozen):
    """One label attribute."""

    images: int
    classes: tuple[ClassCount, ...]
    """The most frequent first."""
    others: int
    """Images of classes that are not told."""


class TagCounts(_Frozen):
    """The attribute `tags` of images that are not rejected."""

    images: int
    """Images that have tags."""
    total: int
    """Tags of all of them together."""
    vocabulary: int
    """Different tags; at least so many where `others` is not 0."""
    top: tuple[tuple[str, int], ...]
    """The most frequent ones, with the images that have them."""
    others: int
    """Tags, counted as often as they stand, that were too rare to be remembered; by so many at most the counts of
    `top` are too small."""


class CaptionCounts(_Frozen):
    """The attributes `caption` and `text` of images that are not rejected."""

    images: int
    """Images that have either."""
    by_people: int
    """Images whose caption a person wrote."""
    mean_chars: float
    most_chars: int


class Statistics(_Frozen):
    """The numbers of one version."""

    format: Literal[1] = 1
    version: int
    sha256: str
    """Of the version's record."""
    images: int
    roles: dict[str, int]
    manifest_bytes: int
    labels: dict[str, LabelCounts]
    """By single-label attribute."""
    tags: TagCounts
    captions: CaptionCounts
    rejected: dict[str, int]
    """By check."""
    verdicts: dict[str, int]
    """Images that a person wants kept, wants rejected, has given a split."""
    conflicts: int
    """Images that are kept out of all splits because they belong with two."""


def statistics(dataset: Dataset, version: Version) -> Statistics:
    """The numbers of `version`: those that are kept, or counted now and kept. Reads every line at most once."""
    known = kept(dataset, version)
    if known is not None:
        return known
    found = counted(dataset, version)
    dataset.store.ensure(statistics_key(version), found.model_dump_json().encode())
    return found


def statistics_key(version: Version) -> str:
    """Where the numbers of a version lie in its dataset."""
    return f"statistics/{version.number}-{version.sha256}.json"


def kept(dataset: Dataset, version: Version) -> Statistics | None:
    """The numbers of a version, if they have been counted; what another release has written does not count."""
    try:
        return Statistics.model_validate_json(dataset.store.get(statistics_key(version)))
    except (NotFoundError, ValidationError):
        return None


def counted(dataset: Dataset, version: Version) -> Statistics:
    """The numbers of `version`, whose memory is bounded whatever stands in it."""
    count = _Count()
    for role in ROLES:
        count.add(role, dataset.read(version, role))
    roles = {role: entry.lines for role, entry in version.manifests.items()}
    return Statistics(
        version=version.number,
        sha256=version.sha256,
        images=sum(roles.values()),
        roles={str(role): lines for role, lines in roles.items()},
        manifest_bytes=sum(entry.bytes for entry in version.manifests.values()),
        labels={name: found.done() for name, found in sorted(count.labels.items())},
        tags=count.tags.done(),
        captions=CaptionCounts(
            images=count.captioned,
            by_people=count.by_people,
            mean_chars=round(count.chars / count.captioned, 2) if count.captioned else 0.0,
            most_chars=count.most_chars,
        ),
        rejected=dict(sorted(count.rejected.items())),
        verdicts=dict(sorted(count.verdicts.items())),
        conflicts=count.conflicts,
    )


class _Count:
    """What grows, up to its limits, while lines pass."""

    def __init__(self) -> None:
        self.labels: dict[str, _Labels] = {}
        self.tags = _Tags()
        self.captioned = self.by_people = self.chars = self.most_chars = self.conflicts = 0
        self.rejected: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()

    def add(self, role: str, samples: Iterable[Sample]) -> None:
        stands = role != "rejected"
        for sample in samples:
            line = orjson.loads(sample.line)
            for name, said in line.items():
                if name.endswith("-metadata") and isinstance(said, dict):
                    kind = said.get("type")
                    if kind == ONE_LABEL or (isinstance(kind, str) and kind.lower() == ONE_LABEL):
                        self._label(name[:-9], line.get(name[:-9]), said, role)
            if stands:
                self._words(line)
                self.conflicts += CONFLICT in line
            else:
                said = line.get(REJECTION)
                self.rejected[str(said.get("check")) if isinstance(said, dict) else "unknown"] += 1
            if VERDICT in line and _by_person(line, VERDICT):
                self.verdicts[str(line[VERDICT])] += 1
            if SPLIT in line and _by_person(line, SPLIT):
                self.verdicts[SPLIT] += 1

    def _label(self, name: str, value: Json, said: dict[str, Json], role: str) -> None:
        found = self.labels.get(name)
        if found is None:
            if len(self.labels) >= MOST_ATTRIBUTES:
                return
            found = self.labels[name] = _Labels()
        found.add(str(said.get("class-name", value)), value, role, by_person=said.get("human-annotated") == "yes")

    def _words(self, line: dict[str, Json]) -> None:
        values, said = line.get(TAGS), line.get(f"{TAGS}-metadata")
        names = said.get("class-map") if isinstance(said, dict) else None
        if isinstance(values, list) and values and isinstance(names, dict):
            self.tags.add([names.get(str(value), value) for value in values])
        text = line.get(TEXT) or line.get(CAPTION)
        if isinstance(text, str) and text:
            self.captioned += 1
            self.chars += len(text)
            self.most_chars = max(self.most_chars, len(text))
            self.by_people += bool(line.get(CAPTION)) and _by_person(line, CAPTION)


def _by_person(line: dict[str, Json], name: str) -> bool:
    said = line.get(f"{name}-metadata")
    return isinstance(said, dict) and said.get("human-annotated") == "yes"


class _Labels:
    """The classes of one attribute."""

    def __init__(self) -> None:
        self._images: Counter[tuple[str, str]] = Counter()
        self._by_people: Counter[str] = Counter()
        self._values: dict[str, Json] = {}
        self._others = 0

    def add(self, name: str, value: Json, role: str, *, by_person: bool) -> None:
        if name not in self._values:
            if len(self._values) >= MOST_CLASSES:
                self._others += 1
                return
            self._values[name] = value
        self._images[name, role] += 1
        self._by_people[name] += by_person

    def done(self) -> LabelCounts:
        told = []
        for name, value in self._values.items():
            roles = {str(role): self._images[name, role] for role in ROLES if self._images[name, role]}
            told.append(
                ClassCount(
                    name=name, value=value, images=sum(roles.values()), roles=roles, by_people=self._by_people[name]
                )
            )
        told.sort(key=lambda one: (-one.images, one.name))
        images = sum(one.images for one in told) + self._others
        return LabelCounts(images=images, classes=tuple(told), others=self._others)


class _Tags:
    """How often each tag stands; of too many the rare ones are forgotten, as in lossy counting (Manku and Motwani,
    VLDB 2002), and their number remembered."""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()
        self._images = self._total = self._others = self._seen = 0

    def add(self, names: list[Json]) -> None:
        self._images += 1
        self._total += len(names)
        self._of.update(dict.fromkeys(map(str, names), 1))
        if len(self._of) > MOST_TAGS:
            self._forget()

    def _forget(self) -> None:
        least = _CUT
        self._seen = max(self._seen, len(self._of))
        while len(self._of) > MOST_TAGS // 2:
            gone = [name for name, images in self._of.items() if images < least]
            for name in gone:
                self._others += self._of.pop(name)
            least *= 2

    def done(self) -> TagCounts:
        return TagCounts(
            images=self._images,
            total=self._total,
            vocabulary=max(self._seen, len(self._of)),
            top=tuple(sorted(self._of.items(), key=lambda found: (-found[1], found[0]))[:TOP_TAGS]),
            others=self._others,
        )
