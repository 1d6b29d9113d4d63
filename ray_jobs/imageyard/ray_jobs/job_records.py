"""What is written down of a job: what was asked, what it works on, how it ended; and how it stands."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from imageyard.manifests.errors import JobError

JOB_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
SUBMITTED = re.compile(
    rf"(?P<dataset>(?:(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*|file://)(?:/[A-Za-z0-9._=+@~-]+)*)/jobs/"
    rf"(?P<id>{JOB_ID.pattern})/submitted\.json"
)
JOB_MEMBER, ATTEMPT_MEMBER, SHA_MEMBER = "imageyard-job", "imageyard-attempt", "imageyard-sha256"
"""Members of the metadata that Ray keeps of an attempt."""
End = Literal["committed", "nothing", "failed", "cancelled"]
State = Literal[
    "submitted", "pending", "running", "stopped", "cancelling", "committed", "nothing", "failed", "cancelled"
]


class Options(BaseModel):
    """How a job is to be spread over a cluster; none of it changes the result."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    actors: int | None = Field(default=None, ge=1, le=100_000)
    """Ray actors; unset, as many as the cluster has room for."""
    cpus: int = Field(default=1, ge=1, le=1024)
    """CPUs of each actor."""
    gpus: float = Field(default=0, ge=0, le=64)
    """GPUs of each actor, or a share of one."""
    model_threads: int | None = Field(default=None, ge=1, le=1024)
    """Of the CPUs, those for models alone."""
    shard: int | None = Field(default=None, ge=1, le=1_000_000)
    """Images a shard; unset, chosen."""


class Submission(BaseModel):
    """What somebody asked for; written once, and its sha256 goes with the job to Ray."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: str = Field(pattern=f"^{JOB_ID.pattern}$")
    dataset: str
    """URL of the dataset."""
    recipe: dict[str, Any]
    """As people write it, read from YAML or JSON; its own `dataset` does not count."""
    name: str = Field(default="", max_length=200)
    """For people."""
    created: str
    """The date that every pair of this job carries, whoever finishes it: YYYY-MM-DDTHH:MM:SS.ffffff, UTC."""
    by: str = Field(max_length=200)
    """Who: `cli`, or the tenant and the name of the key."""
    drop: bool = True
    """Whether what lies in the drop folder is taken in, if the recipe takes in anything."""
    options: Options = Options()
    request: str | None = None
    """sha256 of what was sent, where what is asked for was worked out from it and from what held at the time."""

    @property
    def key(self) -> str:
        return f"jobs/{self.id}/submitted.json"

    @property
    def url(self) -> str:
        return f"{self.dataset}/{self.key}"

    def encoded(self) -> bytes:
        return (self.model_dump_json(indent=1) + "\n").encode()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.encoded()).hexdigest()


class JobRecord(BaseModel):
    """What a job works on; written once, by the first attempt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: str
    dataset: str
    parent: int | None
    """The newest version then; if a version has this job, it is a later one."""
    created: str
    """The date that every pair of this job carries, whoever finishes it: YYYY-MM-DDTHH:MM:SS.ffffff, UTC."""
    fingerprint: str
    recipe: dict[str, Any]


class Given(BaseModel):
    """An attempt that a cluster has been given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    number: int
    after: str
    """What came before: `submitted`, or that the attempt before was `lost` or has `failed`."""
    at: str


class Ended(BaseModel):
    """How a job ended; who creates the object decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    state: End
    version: int | None = None
    """The version committed, or the newest where there was nothing to do."""
    error: str | None = None
    ended: str


class JobStatus(BaseModel):
    """A job as it stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    dataset: str
    name: str
    by: str
    state: State
    created: str
    started: str | None
    """When its first attempt began; stamps are UTC."""
    ended: str | None
    attempt: int
    """How many times it was given to the cluster."""
    version: int | None
    error: str | None
    waiting: str | None
    """What it waits for, where it has waited long."""
    phase: str | None
    images: int | None
    """How many images its present phase has to measure."""
    work: dict[str, Any]
    """What was read, decoded and measured by the present attempt, or the last."""
    counts: dict[str, int]
    """Of the version it committed."""


def parts_of(url: str) -> tuple[str, str]:
    """The dataset and the id in the URL of a submission. Raises JobError if it is none that a cluster may be given."""
    found = SUBMITTED.fullmatch(url)
    if found is None or any(part in (".", "..") for part in url.split("/")):
        raise JobError(
            f"{url!r} is not the URL of a submission that a cluster can read: s3://, gs://, az:// or file://, and in "
            "the names letters, digits and any of . _ = + @ ~ -"
        )
    return found["dataset"], found["id"]
