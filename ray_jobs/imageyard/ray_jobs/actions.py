"""What a person may say of an image, and what its line then says: kept, rejected, of a class, in words, in a split."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from imageyard.manifests.errors import SampleError
from imageyard.manifests.sample import CONTENT, Json, Sample
from imageyard.manifests.version import Role
from imageyard.ray_jobs.edits.wording import FURTHER
from imageyard.ray_jobs.origin import INSTEAD, called
from imageyard.ray_jobs.splitting.columns import CONFLICT, FOLD
from imageyard.ray_jobs.splitting.sides import SIDES
from imageyard.ray_jobs.state import (
    CAPTION,
    CUSTOM,
    KEEP,
    ONE_LABEL,
    ORIGIN,
    PERSON,
    REJECT,
    REJECTION,
    SPLIT,
    TAGS,
    TEXT,
    VERDICT,
    Stamp,
    by_person,
    labelled,
    unreadable,
    verdict_of,
)
from imageyard.ray_jobs.steps.flags import ALIKE
from imageyard.ray_jobs.steps.ingest import LOOKOUT_CLASSES, LOOKOUT_LABEL
from imageyard.ray_jobs.tagging.classes import class_index

MOST_SAMPLES = 1_000
"""Samples that one commit may change."""
MOST_CAPTION = 10_000
"""Characters of a caption: a line of a manifest has at most 100,000."""
_NOT_LABELS = {REJECTION, ORIGIN, CAPTION, TAGS, TEXT, SPLIT, VERDICT, CONFLICT, FOLD, ALIKE, CONTENT, "source"}


def _printable(value: str) -> str:
    """A text without what cannot be written or would be obeyed by a terminal."""
    bad = next((c for c in value if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"), None)
    if bad is not None:
        raise ValueError(f"has the character U+{ord(bad):04X}, which is no text")
    if not value.strip():
        raise ValueError("is empty")
    return value


def _line(value: str) -> str:
    if any(c in value for c in "\n\t\u2028\u2029"):
        raise ValueError("has several lines; write one")
    return _printable(value)


Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Said = Annotated[str, Field(max_length=500), AfterValidator(_line)]


class _Action(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    samples: tuple[Key, ...] = Field(min_length=1, max_length=MOST_SAMPLES)
    """Keys: the sha256 of the images' bytes, as the lines have it."""


class Restore(_Action):
    """The image stands, whatever steps decide, as long as it can be read."""

    action: Literal["restore"] = "restore"


class Reject(_Action):
    """The image is out, whatever steps decide."""

    action: Literal["reject"] = "reject"
    reason: Said


class Label(_Action):
    """The image is of a class."""

    action: Literal["label"] = "label"
    attribute: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
    name: Annotated[str, Field(max_length=200), AfterValidator(_line)] = Field(alias="class")
    new: bool = False
    """Whether the class may be one that the dataset does not have."""

    @field_validator("attribute")
    @classmethod
    def _is_a_label(cls, value: str) -> str:
        if value in _NOT_LABELS or value.startswith(FURTHER) or value.endswith(("-metadata", "-ref")):
            raise ValueError(f"{value!r} is no attribute of a class")
        return value


class Caption(_Action):
    """The image in a person's words."""

    action: Literal["caption"] = "caption"
    text: Annotated[str, Field(max_length=MOST_CAPTION), AfterValidator(_printable)]


class Split(_Action):
    """The image is in this split, whatever the split step draws."""

    action: Literal["split"] = "split"
    to: Literal["train", "validation", "test", "unsplit"]


Action = Annotated[Restore | Reject | Label | Caption | Split, Field(discriminator="action")]


class Actions(BaseModel):
    """What one person does at once, in this order: all of it is committed, or nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actions: tuple[Action, ...] = Field(min_length=1, max_length=MOST_SAMPLES)
    comment: Annotated[str, Field(max_length=1_000), AfterValidator(_printable)] | None = None

    @model_validator(mode="after")
    def _is_small(self) -> Self:
        if len(self.keys) > MOST_SAMPLES:
            raise ValueError(f"names {len(self.keys):,} samples; one commit changes at most {MOST_SAMPLES:,}")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """The samples that are named, each once, in order."""
        return tuple(sorted({key for action in self.actions for key in action.samples}))


@dataclass(frozen=True)
class Saying:
    """Who says it, and when; `classes` holds by attribute what stands for each class that the dataset has."""

    by: str
    stamp: Stamp
    comment: str | None
    classes: Mapping[str, Mapping[str, Json]]

    def metadata(self, kind: str, **members: Json) -> dict[str, Json]:
        comment = {"comment": self.comment} if self.comment is not None else {}
        by = {"human-annotated": "yes", "by": self.by}
        return self.stamp.metadata(kind, PERSON, **by, **comment, **members)


def applied(action: Action, role: Role, sample: Sample, saying: Saying) -> tuple[Role, Sample]:
    """Where the sample then stands, and its line; the same where that says it already. Raises SampleError."""
    match action:
        case Restore():
            return _restored(role, sample, saying)
        case Reject():
            return _rejected(role, sample, action.reason, saying)
        case Label():
            return role, _labelled(sample, action, saying)
        case Caption():
            return role, _captioned(sample, action.text, saying)
        case Split():
            return _placed(role, sample, action.to, saying)


def _restored(role: Role, sample: Sample, saying: Saying) -> tuple[Role, Sample]:
    said = sample.value(REJECTION)
    if role == "rejected" and (unreadable(said) or sample.value(CONTENT) is None):
        why = said.get("reason") if isinstance(said, dict) else "it has no content"
        raise SampleError(
            f"{called(sample)} ({sample.key}) cannot be restored, for it cannot be read: {why}. Drop a sound file"
        )
    if role != "rejected" and verdict_of(sample) == KEEP:
        return role, sample
    overruled = {"overrules": said} if isinstance(said, dict) else {}
    kept = sample.without(REJECTION, VERDICT).with_label(VERDICT, KEEP, saying.metadata(CUSTOM, **overruled))
    return (_role_of(kept) if role == "rejected" else role), kept


def _rejected(role: Role, sample: Sample, reason: str, saying: Saying) -> tuple[Role, Sample]:
    same = (sample.metadata(VERDICT) or {}).get("reason") == reason
    if role == "rejected" and verdict_of(sample) == REJECT and same:
        return role, sample
    metadata = saying.metadata(CUSTOM, reason=reason)
    out = sample.without(VERDICT).with_label(VERDICT, REJECT, metadata)
    if role == "rejected" and unreadable(sample.value(REJECTION)):
        return role, out
    value = {"step": PERSON, "check": PERSON, "reason": reason}
    return "rejected", out.without(REJECTION).with_label(REJECTION, value, saying.metadata(CUSTOM))


def _labelled(sample: Sample, action: Label, saying: Saying) -> Sample:
    old = sample.metadata(action.attribute)
    if action.attribute in sample.data and str((old or {}).get("type", "")).lower() != ONE_LABEL:
        raise SampleError(f"{called(sample)} ({sample.key}): {action.attribute} is no attribute of one class")
    said = {"class-name": action.name, "confidence": 1}
    if old is not None and old.get("human-annotated") == "yes" and old.get("class-name") == action.name:
        return sample
    value = saying.classes[action.attribute][action.name]
    return labelled(sample, action.attribute, value, saying.metadata(ONE_LABEL, **said))


def _captioned(sample: Sample, text: str, saying: Saying) -> Sample:
    old = sample.metadata(CAPTION) or {}
    if by_person(sample, CAPTION) and sample.value(CAPTION) == text:
        return sample
    # The object of the drop folder stays known, so that it is not taken for a new caption when it comes again.
    source = old.get(INSTEAD, old.get(ORIGIN))
    instead = {INSTEAD: source} if isinstance(source, dict) else {}
    return sample.with_label(CAPTION, text, saying.metadata(CUSTOM, **instead))


def _placed(role: Role, sample: Sample, to: Role, saying: Saying) -> tuple[Role, Sample]:
    if by_person(sample, SPLIT) and sample.value(SPLIT) == to:
        return role, sample
    gone = [CONFLICT]
    if to != "train" and not by_person(sample, FOLD):
        gone.append(FOLD)
    placed = sample.without(*gone).with_label(SPLIT, to, saying.metadata(CUSTOM))
    return ("rejected" if role == "rejected" else to), placed


def _role_of(sample: Sample) -> Role:
    value = sample.value(SPLIT)
    return next((side for side in _ROLES if side == value), "unsplit")


_ROLES: tuple[Role, ...] = ("train", "validation", "test")
assert _ROLES == SIDES  # noqa: S101  # the same names, as the type checker knows them


def classes_with(action: Label, known: Mapping[str, Json], others: int) -> Mapping[str, Json]:
    """What stands for each class of the attribute, the one that is asked for among them.

    `known` are those that the dataset has, beside `others` that it does not tell. Raises SampleError for a class that
    is not among them and is not said to be new.
    """
    if action.attribute == LOOKOUT_LABEL:
        if action.name not in LOOKOUT_CLASSES:
            raise SampleError(f"{LOOKOUT_LABEL} has the classes {' and '.join(LOOKOUT_CLASSES)}, not {action.name!r}")
        return {name: value for value, name in enumerate(LOOKOUT_CLASSES)}
    if action.name in known:
        return known
    if not action.new and not others:
        near = ", ".join(sorted(known)[:20])
        there = f"it has {near}" if known else "it has none yet"
        raise SampleError(f"{action.attribute} has no class {action.name!r} ({there}); say that it is new")
    taken = {value: name for name, value in known.items() if isinstance(value, int)}
    follows = sorted(taken) == list(range(len(taken)))
    return {**known, action.name: len(taken) if follows else class_index(action.name, taken)}
