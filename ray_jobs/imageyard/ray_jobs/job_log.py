"""The events of a job: objects that are only ever added, whose names sort by time."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from imageyard.manifests.dataset import listed
from imageyard.manifests.errors import JobError
from imageyard.manifests.store import Store

Clock = Callable[[], datetime]
Kind = Literal[
    "submitted",
    "handed",
    "running",
    "progress",
    "alive",
    "compared",
    "cancelling",
    "stopped",
    "lost",
    "committed",
    "nothing",
    "failed",
    "cancelled",
]
LAST: tuple[Kind, ...] = ("committed", "nothing", "failed", "cancelled")
"""Kinds after which a submitted job says nothing more."""
OFTEN, SELDOM = timedelta(seconds=5), timedelta(seconds=30)
"""How far progress events lie apart at first, and after half an hour: a day of work is 3,000 of them."""
SLOWING = 60
"""Progress events lie apart by the time the attempt has taken, divided by this; within the bounds above."""
ALIVE_EVERY = timedelta(seconds=30)
"""After this much silence an attempt says that it is there."""

EVENT_ID = re.compile(rf"\d{{8}}T\d{{12}}-[0-9a-z]{{8}}-\d{{6}}-({'|'.join(get_args(Kind))})")


def writer() -> str:
    """A fresh name for somebody who adds events: 8 hexadecimal digits."""
    return uuid.uuid4().hex[:8]


@dataclass
class Log:
    """What one attempt, or one look of a service, adds to the events of a job. Threads may share it."""

    store: Store
    job: str
    clock: Clock
    writer: str = field(default_factory=writer)
    notes: dict[str, Any] = field(default_factory=dict)
    """What progress and heartbeats tell besides: the phase, the work so far."""
    _count: int = 0
    _first: datetime | None = None
    _last: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, kind: Kind, **members: Any) -> None:
        """Add an event."""
        with self._lock:
            now = self.clock()
            self._count += 1
            self._first, self._last = self._first or now, now
            name = f"{now.astimezone(UTC):%Y%m%dT%H%M%S%f}-{self.writer}-{self._count:06d}-{kind}"
        event = {"time": stamp(now), "attempt": self.writer, "kind": kind, **members}
        self.store.create(f"jobs/{self.job}/events/{name}.json", json.dumps(event, indent=1).encode())

    def say_progress(self, **members: Any) -> None:
        """Add a progress event, unless the last event was a moment ago; what it tells is noted either way."""
        self.notes.update(members)
        if self._silent_for(min(SELDOM, max(OFTEN, self._age / SLOWING))):
            self.say("progress", **self.notes)

    def say_alive(self) -> None:
        """Add a heartbeat, unless something was said lately."""
        if self._silent_for(ALIVE_EVERY):
            self.say("alive", **self.notes)

    @property
    def silent(self) -> bool:
        """Whether nothing was said so far."""
        return self._last is None

    @property
    def _age(self) -> timedelta:
        return self.clock() - self._first if self._first else timedelta(0)

    def _silent_for(self, time: timedelta) -> bool:
        return self._last is None or self.clock() - self._last >= time


def event_ids(store: Store, job: str, *, after: str | None = None) -> list[str]:
    """Ids of the events of a job, in order of time; only those that sort after the id `after`, if one is given.

    Raises JobError if `after` is not the id of an event, whoever made it up.
    """
    if after is not None and not EVENT_ID.fullmatch(after):
        raise JobError("that is not the id of an event of a job")
    names = (entry.key.rsplit("/", 1)[-1].removesuffix(".json") for entry in listed(store.list(f"jobs/{job}/events")))
    return [name for name in names if EVENT_ID.fullmatch(name) and (after is None or name > after)]


def event(store: Store, job: str, name: str) -> dict[str, Any]:
    """The event of that id, which is among its members. Raises JobError if what lies there is none."""
    key = f"jobs/{job}/events/{name}.json"
    try:
        said = json.loads(store.get(key))
    except ValueError as error:
        raise JobError(f"{store.address(key)}: not an event of a job") from error
    if not isinstance(said, dict):
        raise JobError(f"{store.address(key)}: not an event of a job")
    return {**said, "id": name}


def kind_of(name: str) -> str:
    """The kind of an event, by its id."""
    return name.rsplit("-", 1)[-1]


def writer_of(name: str) -> str:
    """Who added an event, by its id."""
    return name.split("-")[1]


def begun(names: Sequence[str]) -> bool:
    """Whether an attempt has begun, by the ids of a job's events."""
    return any(kind_of(name) == "running" for name in names)


def when(name: str) -> str:
    """When an event was added, by its id, as a stamp."""
    return stamp(datetime.strptime(name.split("-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC))


def stamp(moment: datetime) -> str:
    """A moment as Ground Truth writes it: microseconds, UTC, no zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
