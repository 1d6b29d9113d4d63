"""A job in the store: what it was asked, and what became of it, from submitted to committed or failed."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from imageyard.manifests.dataset import listed
from imageyard.manifests.errors import JobError
from imageyard.manifests.store import Store

Clock = Callable[[], datetime]
Kind = Literal["running", "progress", "compared", "committed", "nothing", "failed", "stopped"]
PROGRESS_EVERY = timedelta(seconds=5)


class JobRecord(BaseModel):
    """What a job was asked; written once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: str
    dataset: str
    parent: int | None
    created: str
    """The date that every pair of this job carries, whoever finishes it: YYYY-MM-DDTHH:MM:SS.ffffff, UTC."""
    fingerprint: str
    recipe: dict[str, Any]


@dataclass
class Job:
    """A record and the events that one attempt adds to it."""

    store: Store
    record: JobRecord
    clock: Clock
    attempt: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _count: int = 0
    _last: datetime | None = None

    @property
    def folder(self) -> str:
        return f"jobs/{self.record.id}"

    def say(self, kind: Kind, **members: Any) -> None:
        """Add an event."""
        now = self.clock()
        self._count += 1
        self._last = now
        name = f"{now:%Y%m%dT%H%M%S%f}-{self.attempt}-{self._count:06d}-{kind}.json"
        event = {"time": stamp(now), "attempt": self.attempt, "kind": kind, **members}
        self.store.create(f"{self.folder}/events/{name}", json.dumps(event, indent=1).encode())

    def say_progress(self, **members: Any) -> None:
        """Add a progress event, unless the last event was a moment ago."""
        if self._last is None or self.clock() - self._last >= PROGRESS_EVERY:
            self.say("progress", **members)


def start(store: Store, record: JobRecord, clock: Clock) -> Job:
    """The job of `record.id`, new or taken up again: then with the date it was first given.

    Proves on the way that the store creates without overwriting; raises StoreError if it does not.
    """
    key = f"jobs/{record.id}/job.json"
    if not store.refuse_unless_create_only(key, (record.model_dump_json(indent=1) + "\n").encode()):
        record = read(store, record.id)
    return Job(store, record, clock)


def read(store: Store, job: str) -> JobRecord:
    """The record of a job."""
    key = f"jobs/{job}/job.json"
    try:
        return JobRecord.model_validate_json(store.get(key))
    except ValidationError as error:
        raise JobError(f"{store.address(key)}: not a job record this release can read") from error


def events(store: Store, job: str) -> Iterator[dict[str, Any]]:
    """All events of a job in order of time."""
    for entry in listed(store.list(f"jobs/{job}/events")):
        yield json.loads(store.get(entry.key))


def job_id(parent: str | None, fingerprint: str, seen: list[tuple[str, str]]) -> str:
    """The name of the job that applies a recipe to a parent and a drop folder: asked again, it is the same job."""
    said = json.dumps([parent, fingerprint, sorted(seen)])
    return hashlib.sha256(said.encode()).hexdigest()[:20]


def stamp(moment: datetime) -> str:
    """A moment as Ground Truth writes it: microseconds, UTC, no zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
