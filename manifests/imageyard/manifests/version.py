"""The immutable numbered record of a dataset at one moment: its manifests by role, parent, recipe and job."""

from __future__ import annotations

import hashlib
import operator
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imageyard.manifests.errors import VersionError

Role = Literal["train", "validation", "test", "unsplit", "rejected"]
ROLES: tuple[Role, ...] = ("train", "validation", "test", "unsplit", "rejected")
DIGITS = 20


class Range(NamedTuple):
    """A run of whole lines: where it starts and how long it is, in bytes, and how many lines it holds."""

    offset: int
    length: int
    lines: int


class ManifestEntry(BaseModel):
    """One manifest of a version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    lines: int
    bytes: int
    sha256: str
    ranges: tuple[Range, ...]


class Version(BaseModel):
    """The record whose creation is the commit; unknown members are refused, so a newer format is not misread."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    number: int
    transaction: str
    parent: int | None
    parent_sha256: str | None
    created: str
    job: str
    fingerprint: str
    """What the decisions depend on: recipe and extractors. Equal fingerprints over equal images give equal bytes."""
    recipe: dict[str, object]
    extractors: dict[str, str]
    counts: dict[str, int]
    manifests: dict[Role, ManifestEntry]
    consumed: ManifestEntry | None
    """The drop-folder events this version has taken in, as JSON Lines."""
    certificates: dict[str, dict[str, object]] = Field(default_factory=dict, exclude_if=operator.not_)
    """By step, what was checked before the commit."""
    index: dict[str, tuple[str, ...]] = Field(default_factory=dict, exclude_if=operator.not_)
    """By what was compared, the runs of images that have been compared with each other."""
    models: dict[str, dict[str, object]] = Field(default_factory=dict, exclude_if=operator.not_)
    """By extractor, the model that measured: where it is published, how it was asked, the sha256 of its files."""

    @property
    def key(self) -> str:
        return version_key(self.number)

    def encoded(self) -> bytes:
        return (self.model_dump_json(indent=1) + "\n").encode()

    @property
    def sha256(self) -> str:
        """Of the record's own bytes; a child names it, so history cannot be changed unseen."""
        return hashlib.sha256(self.encoded()).hexdigest()


def version_key(number: int) -> str:
    """Where the record of version `number` lies in its dataset."""
    return f"versions/{number:0{DIGITS}d}.json"


def decode_version(data: bytes, *, where: str) -> Version:
    """The record in `data`; raises VersionError naming `where`."""
    try:
        return Version.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole record"
        raise VersionError(f"{where}: not a version record this release can read ({place}: {first['msg']})") from error
