"""What steps work on: every sample of the dataset, in one order, with what has been decided so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageyard.manifests.sample import CONTENT, Json, Sample
from imageyard.manifests.store import Store
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.edges import Edges
from imageyard.ray_jobs.extractors.base import Extractor

if TYPE_CHECKING:
    import pyarrow as pa

    from imageyard.ray_jobs.matching.against import Overlap
    from imageyard.ray_jobs.matching.index import Index

REJECTION = "rejection"
ORIGIN = "origin"
CAPTION = "caption"
TAGS = "tags"
RATING = "rating"
SPLIT = "split"
TEXT = "text"
VERDICT = "verdict"
"""What a person said of an image as a whole: KEEP or REJECT, whatever a recipe decides."""
KEEP, REJECT = "keep", "reject"
PERSON = "person"
"""The step and the check of what a person says."""
UNREADABLE = "ingest"
"""The step whose rejections say that an image cannot be read, but for one check:"""
SUPERSEDED = "superseded"
"""that another picture has come under its names."""
CUSTOM = "groundtruth/custom"
ONE_LABEL = "groundtruth/image-classification"
MANY_LABELS = "groundtruth/image-classification-multilabel"


@dataclass(frozen=True)
class Rejection:
    """Why a sample is out."""

    step: str
    check: str
    reason: str
    """A sentence with the measured value and the threshold."""
    evidence: Mapping[str, Json] = field(default_factory=dict)
    unread: bool = False
    """Whether the image could not be measured: then no person can overrule it."""

    def value(self) -> dict[str, Json]:
        return {"step": self.step, "check": self.check, "reason": self.reason, **self.evidence}


@dataclass(frozen=True)
class State:
    """Aligned columns, one row a sample, ordered by key."""

    keys: Sequence[str]
    """The content's sha256, or for the few samples without one a digest of their reference."""
    samples: Sequence[Sample]
    rejections: Sequence[Rejection | None]
    groups: Sequence[int]
    """The row of the first member of a sample's duplicate group; its own row where it has no duplicates."""
    edges: Edges = field(default_factory=lambda: Edges(0))
    """What is alike, by row, whatever of it is rejected; empty until a step has looked."""
    awaited: Mapping[str, Set[int]] = field(default_factory=dict)
    """By the identity of a deferred extractor, the rows that a step would have decided on, had they been measured."""

    promised: Mapping[str, Set[int]] = field(default_factory=dict)
    """By a step as JSON, the rows of which it is to certify something, whatever later steps make of its condition."""

    @property
    def standing(self) -> list[int]:
        """Rows that are not rejected."""
        return [row for row, rejection in enumerate(self.rejections) if rejection is None]


@dataclass(frozen=True)
class Stamp:
    """Who says what steps say: provenance of every pair a job writes."""

    job: str
    created: str

    def metadata(self, kind: str, step: str, **members: Json) -> dict[str, Json]:
        """Metadata of a pair of Ground Truth type `kind`, made by a machine unless `members` says otherwise."""
        return {
            "type": kind,
            "human-annotated": "no",
            "creation-date": self.created,
            "job-name": self.job,
            "step": step,
            **members,
        }


@dataclass(frozen=True)
class World:
    """What a step may look at besides the samples."""

    store: Store
    stamp: Stamp
    extractors: Mapping[str, Extractor]
    """Those of the recipe, by name; of several models of one kind the second is called `tags#2`."""
    indexes: Mapping[str, Index] = field(default_factory=dict)
    """What has been compared for the recipe's matchers, by their tiers."""
    overlaps: Mapping[str, Sequence[Overlap]] = field(default_factory=dict)
    """By version of another dataset, which images of this one are copies of its."""
    before: Sequence[Mapping[str, Any]] = ()
    """The steps of the recipe that made the parent, as that version tells them."""
    models: Path = Path()
    """The folder of model files, by which a step finds its extractors again."""
    waiting: bool = False
    """Whether what deferred extractors have not measured yet will be: then it is no reason to reject an image."""
    by_hand: bool = False
    """Whether the recipe is of edits alone: then it changes people's words themselves, and not what is made of them."""
    makes: Set[str] = frozenset()
    """The attributes that the recipe writes on every image, but where a person did."""

    def columns(self, extractor: str | Extractor, keys: Sequence[str], names: Sequence[str]) -> dict[str, list[Any]]:
        """Facts as lists aligned with `keys`, None where there is none; `error` is always among them.

        `extractor` is one of the recipe's, or its name there.
        """
        table = self.table(extractor, keys, names)
        return {name: table.column(name).to_pylist() for name in table.column_names}

    def table(self, extractor: str | Extractor, keys: Sequence[str], names: Sequence[str]) -> pa.Table:
        """The same as an Arrow table."""
        measuring = self.extractors[extractor] if isinstance(extractor, str) else extractor
        return facts.read(self.store, measuring.identity(), keys, names)


def by_person(sample: Sample, attribute: str) -> bool:
    """Whether a person wrote an attribute of `sample`, as Ground Truth says it."""
    return (sample.metadata(attribute) or {}).get("human-annotated") == "yes"


def labelled(sample: Sample, name: str, value: Json, metadata: Mapping[str, Json]) -> Sample:
    """`sample` with the pair, unless it says the same already or a person has said something else.

    A pair that says the same keeps its date and job, so a line changes only when what it says does.
    """
    old = sample.metadata(name)
    if old is not None:
        if old.get("human-annotated") == "yes" and metadata.get("human-annotated") != "yes":
            return sample
        same = {**metadata, "creation-date": old.get("creation-date"), "job-name": old.get("job-name")}
        if old == same and sample.value(name) == value:
            return sample
    return sample.with_label(name, value, metadata)


def class_of(sample: Sample) -> str:
    """The class a person gave a sample: of all its single-label attributes, one a line; "" where it has none."""
    names = []
    for attribute in sample.label_names:
        metadata = sample.metadata(attribute) or {}
        single = str(metadata.get("type", "")).lower() == ONE_LABEL
        if single and attribute != RATING and metadata.get("human-annotated") == "yes":
            names.append(f"{attribute}={metadata.get('class-name')}")
    return "\n".join(sorted(names))


def undecided(sample: Sample, steps: set[str]) -> tuple[Sample, Rejection | None]:
    """A sample of the parent with the rejection that stays: one of a step that will not decide again, or a person's.

    One that a person wants kept is rejected only for what cannot be measured.
    """
    value = sample.value(REJECTION)
    verdict = verdict_of(sample)
    rejected_by_person = isinstance(value, dict) and value.get("step") == PERSON
    if verdict == REJECT and not rejected_by_person and not unreadable(value):
        return sample, Rejection(PERSON, PERSON, str((sample.metadata(VERDICT) or {}).get("reason")))
    if not isinstance(value, dict):
        return sample, None
    again = value.get("step") in steps and sample.value(CONTENT) is not None
    if again and verdict != REJECT:
        return sample, None
    evidence = {key: said for key, said in value.items() if key not in ("step", "check", "reason")}
    return sample, Rejection(
        str(value.get("step")), str(value.get("check")), str(value.get("reason")), evidence, verdict == KEEP
    )


def unreadable(said: object) -> bool:
    """Whether a rejection, as a line tells it, says that the image cannot be read: no person can overrule that."""
    return isinstance(said, Mapping) and said.get("step") == UNREADABLE and said.get("check") != SUPERSEDED


def verdict_of(sample: Sample) -> str | None:
    """What a person said of the image as a whole: KEEP, REJECT, or None for nothing."""
    if VERDICT.encode() not in sample.line:
        return None
    value = sample.value(VERDICT)
    return str(value) if by_person(sample, VERDICT) and value in (KEEP, REJECT) else None


def unmeasured(step: str, error: str | None, known: object) -> Rejection | None:
    """Why `step` must reject a sample: its facts say `error`, or there are none; None where all is `known`."""
    if error is not None:
        check, _, reason = str(error).partition(": ")
        return Rejection(step, check, reason, unread=True)
    if known is None:
        reason = "the object is no longer in the store, so it cannot be measured"
        return Rejection(step, "missing", reason, unread=True)
    return None
