"""A job in the store: submitted, begun, watched, cancelled, ended."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from imageyard.manifests.errors import ExistsError, JobError, JobMissingError, JobTakenError, NotFoundError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import job_versions
from imageyard.ray_jobs.job_attempts import attempts
from imageyard.ray_jobs.job_log import (
    Clock,
    Kind,
    Log,
    begun,
    event,
    event_ids,
    kind_of,
    stamp,
    when,
    writer_of,
)
from imageyard.ray_jobs.job_records import JOB_ID, Ended, JobRecord, JobStatus, Options, State, Submission
from imageyard.ray_jobs.job_standing import last_told, unfinished, waits_for

__all__ = [
    "Clock",
    "Ended",
    "Job",
    "JobRecord",
    "JobStatus",
    "Kind",
    "Log",
    "Options",
    "Submission",
    "begun",
    "event",
    "event_ids",
    "kind_of",
    "stamp",
]

RECIPE_BYTES = 1024 * 1024
"""A recipe is written by people; a larger one is a mistake, or worse."""
_Record = TypeVar("_Record", bound=BaseModel)


@dataclass
class Job:
    """A record and the events that one attempt adds to it."""

    store: Store
    record: JobRecord
    log: Log

    @property
    def folder(self) -> str:
        return f"jobs/{self.record.id}"

    def say(self, kind: Kind, **members: Any) -> None:
        """Add an event."""
        self.log.say(kind, **members)


def start(store: Store, record: JobRecord, log: Log) -> Job:
    """The job of `record.id`, new or taken up again: then with the record it was first given.

    Proves on the way that the store creates without overwriting; raises StoreError if it does not.
    """
    key = f"jobs/{record.id}/job.json"
    if not store.refuse_unless_create_only(key, (record.model_dump_json(indent=1) + "\n").encode()):
        record = read(store, record.id)
    return Job(store, record, log)


def read(store: Store, job: str) -> JobRecord:
    """What a job works on. Raises JobMissingError if it never began."""
    return _read(JobRecord, store, f"jobs/{valid(job)}/job.json", job)


def submission(store: Store, job: str) -> Submission:
    """What was asked for. Raises JobMissingError if nothing was submitted under that id."""
    return _read(Submission, store, f"jobs/{valid(job)}/submitted.json", job)


def submit(store: Store, asked: Submission) -> Submission:
    """Put a job into the store, to be handed to a cluster; the submission that stands under its id.

    Asked again, by who has not heard the answer, nothing changes. Raises JobTakenError if the id stands for something
    else, and JobError if the recipe is too large.
    """
    asked = Submission.model_validate_json(asked.encoded())  # as it will be read: no dates, no tuples
    if len(asked.encoded()) > RECIPE_BYTES:
        raise JobError(f"the recipe has more than {RECIPE_BYTES:,} bytes; a recipe holds decisions, not data")
    try:
        stands = _same(submission(store, asked.id), asked)
    except JobMissingError:
        stands = _submitted(store, asked)
    if ended(store, asked.id) is None:
        store.ensure(open_key(asked.id), b"")  # a marker that lay there for long may have been swept away meanwhile
    return stands


def _submitted(store: Store, asked: Submission) -> Submission:
    # The marker first: a submission that nobody would ever look at must not be. A marker alone is harmless.
    store.ensure(open_key(asked.id), b"")
    try:
        store.create(asked.key, asked.encoded())
    except ExistsError:
        return _same(submission(store, asked.id), asked)
    Log(store, asked.id, lambda: datetime.now(UTC)).say("submitted", by=asked.by)
    return asked


def cancel(store: Store, job: str, *, by: str, clock: Clock = lambda: datetime.now(UTC)) -> JobStatus:
    """Ask that a job end without a commit; the job as it stands then.

    One that has not begun ends at once, one that runs when it has heard of it. A job that has ended stays as it is.
    Raises JobMissingError.
    """
    submission(store, job)
    if ended(store, job) is None:
        now = clock()
        marker = json.dumps({"by": by, "at": stamp(now)}).encode()
        if store.ensure(f"jobs/{job}/cancel.json", marker):
            Log(store, job, clock).say("cancelling", by=by)
        # An attempt says that it runs, then looks for the marker; here it is the other way around. One sees the other.
        if not begun(event_ids(store, job)):
            end(store, job, Ended(state="cancelled", ended=stamp(clock())), clock=clock)
    return describe(store, job, clock=clock)


def cancelled(store: Store, job: str) -> bool:
    """Whether somebody has asked that the job end."""
    return _is_there(store, f"jobs/{job}/cancel.json")


def end(store: Store, job: str, how: Ended, *, clock: Clock, log: Log | None = None, **members: Any) -> Ended:
    """How the job ended: so, unless it has ended already. `members` are told with the event."""
    made = store.ensure(ended_key(job), (how.model_dump_json(indent=1) + "\n").encode())
    stands = how if made else ended(store, job) or how
    if made:
        said = {name: value for name, value in (("version", how.version), ("error", how.error)) if value is not None}
        (log or Log(store, job, clock)).say(how.state, **said, **members)
    close(store, job)
    return stands


def close(store: Store, job: str) -> None:
    """Take away the marker of a job that has ended."""
    try:
        store.remove(store.head(open_key(job)))
    except NotFoundError:
        return


def ended(store: Store, job: str) -> Ended | None:
    """How the job ended, if it has."""
    try:
        return _read(Ended, store, ended_key(job), job)
    except JobMissingError:
        return None


def ids(store: Store) -> list[str]:
    """Ids of all jobs of the dataset, in order of the id."""
    return [name for name in store.folders("jobs") if JOB_ID.fullmatch(name)]


def known(store: Store, job: str) -> bool:
    """Whether there is a job of that id: a folder may be left of one that never came to be."""
    return any(_is_there(store, f"jobs/{job}/{name}.json") for name in ("submitted", "job"))


def describe(store: Store, job: str, *, clock: Clock = lambda: datetime.now(UTC)) -> JobStatus:
    """The job as it stands. Raises JobMissingError."""
    record: JobRecord | None
    try:
        asked = submission(store, job)
    except JobMissingError:
        asked = None
    try:
        record = read(store, job)
    except JobMissingError:
        if asked is None:
            raise
        record = None
    over, names = ended(store, job), event_ids(store, job)
    given = attempts(store, job)
    marked = over is None and asked is not None and cancelled(store, job)
    state: State = (
        over.state if over else "cancelling" if marked else unfinished(names, len(given), asked=asked is not None)
    )
    version = over.version if over else None
    if over is None and asked is None and record is not None:  # it may have died between its commit and its end
        version = job_versions.near(store, job, record.parent)
        state = state if version is None else "committed"
    told = last_told(store, job, names)
    failure = told.get("error") if over is None and state in ("failed", "stopped") else None
    base = asked or record
    assert base is not None  # noqa: S101  # one of them was there; for the type checker
    first = next((name for name in names if kind_of(name) == "running"), None)
    return JobStatus(
        id=job,
        dataset=base.dataset,
        name=(asked.name if asked else "") or str(base.recipe.get("name") or ""),
        by=asked.by if asked else "run",
        state=state,
        created=base.created,
        started=when(first) if first else None,
        ended=over.ended if over else None,
        attempt=len(given) if asked else len({writer_of(name) for name in names if kind_of(name) == "running"}),
        version=version,
        error=over.error if over else failure,
        waiting=waits_for(state, given, clock),
        phase=told.get("phase") if state == "running" else None,
        images=told.get("images") if state == "running" else None,
        work=told.get("work", {}),
        counts=told.get("counts", {}),
    )


def new_id(now: datetime) -> str:
    """A fresh id, which sorts by time."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}"


def job_id(parent: str | None, fingerprint: str, seen: list[tuple[str, str]]) -> str:
    """The name of the job that applies a recipe to a parent and a drop folder: asked again, it is the same job."""
    said = json.dumps([parent, fingerprint, sorted(seen)])
    return hashlib.sha256(said.encode()).hexdigest()[:20]


def open_key(job: str) -> str:
    """Where the marker of a submitted job lies until it has ended."""
    return f"open/{job}"


def ended_key(job: str) -> str:
    """Where it stands how the job ended."""
    return f"jobs/{job}/ended.json"


def valid(job: str) -> str:
    """The id, if it is one. Raises JobMissingError: there can be no job of such a name."""
    if not JOB_ID.fullmatch(job):
        raise JobMissingError("there is no job of that id; ids are lower-case letters, digits and hyphens")
    return job


def _read(kind: type[_Record], store: Store, key: str, job: str) -> _Record:
    try:
        return kind.model_validate_json(store.get(key))
    except NotFoundError as error:
        raise JobMissingError(f"{store.url}: no job {job}") from error
    except ValidationError as error:
        raise JobError(f"{store.address(key)}: not a job record this release can read") from error


def _is_there(store: Store, key: str) -> bool:
    try:
        store.head(key)
    except NotFoundError:
        return False
    return True


def _same(stands: Submission, asked: Submission) -> Submission:
    """What stands, if it asks for the same. When it was asked, and with which key, does not count."""
    if stands.request is not None and asked.request is not None:
        same = stands.request == asked.request
    else:
        same = stands == asked.model_copy(update={"created": stands.created, "by": stands.by})
    if not same:
        raise JobTakenError(f"job {asked.id} was submitted before, with other contents")
    return stands
