"""The attempts at a submitted job that a cluster has been given: numbered, and written down when they are with it."""

from __future__ import annotations

import re
import uuid

from pydantic import ValidationError

from imageyard.manifests.dataset import listed
from imageyard.manifests.errors import JobError
from imageyard.manifests.store import Entry, Store
from imageyard.ray_jobs.job_log import Clock, stamp, writer_of
from imageyard.ray_jobs.job_records import Given

_NAME = re.compile(r"\d{3}\.json")


def hand(store: Store, job: str, number: int, *, after: str, clock: Clock) -> bool:
    """Note that a cluster has been given attempt `number`; False if that was noted before.

    `after` says what came before: that it was `submitted`, or that the attempt before was `lost` or has `failed`.
    """
    given = Given(number=number, after=after, at=stamp(clock()))
    return store.ensure(f"jobs/{job}/attempts/{number:03d}.json", given.model_dump_json(indent=1).encode())


def attempts(store: Store, job: str) -> list[Entry]:
    """What stands for each attempt that a cluster has been given, in order."""
    found = listed(store.list(f"jobs/{job}/attempts"))
    return [entry for entry in found if _NAME.fullmatch(entry.key.rsplit("/", 1)[-1])]


def number_of(entry: Entry) -> int:
    """The number of an attempt, by what stands for it."""
    return int(entry.key.rsplit("/", 1)[-1].removesuffix(".json"))


def attempt(store: Store, entry: Entry) -> Given:
    """What was noted of an attempt. Raises JobError if what lies there is no such note."""
    try:
        return Given.model_validate_json(store.get(entry.key))
    except ValidationError as error:
        raise JobError(f"{store.address(entry.key)}: not what is noted of an attempt") from error


def attempt_writer(number: int) -> str:
    """A fresh name for attempt `number` on a cluster, under which it adds events."""
    return f"a{number:03d}{uuid.uuid4().hex[:4]}"


def of_attempt(name: str, number: int) -> bool:
    """Whether attempt `number` on a cluster has added the event of that id."""
    return writer_of(name).startswith(f"a{number:03d}")
