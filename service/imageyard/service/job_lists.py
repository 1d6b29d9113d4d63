"""Lists of a dataset's jobs, the newest first, of which what cannot change any more is remembered."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Generic, TypeVar

from imageyard.manifests.errors import JobError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import job
from imageyard.ray_jobs.job_records import State

_log = logging.getLogger("imageyard.service")
MOST_DATES = 200_000
MOST_STATUSES = 10_000
MOST_LOOKED_AT = 200
"""Jobs that one page looks at; where few are in the state that was asked for, pages are short."""
MOST_DATASETS = 10_000
COUNT_EVERY = 5.0
"""Seconds between two counts of a dataset's open jobs."""
SIDE_BY_SIDE = 8
SETTLED = timedelta(minutes=1)
"""After its end, until when a job may still say what came of it."""
T = TypeVar("T")
_PLACE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}) ([a-z0-9-]{1,63})")


class _Kept(Generic[T]):
    """The values that were asked for last, by dataset and job."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[tuple[str, str], T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str], make: Callable[[], T], *, keep: Callable[[T], bool] = lambda value: True) -> T:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        value = make()
        if keep(value):
            with self._lock:
                self._held[key] = value
                while len(self._held) > self._most:
                    self._held.popitem(last=False)
        return value


@dataclass(frozen=True)
class JobPage:
    """Jobs, and where the next page begins: None at the end. A page may be short, even empty, and have a next."""

    jobs: tuple[job.JobStatus, ...]
    following: str | None


class JobLists:
    """One for the service; safe to use from several threads."""

    def __init__(self) -> None:
        self._dates: _Kept[str] = _Kept(MOST_DATES)
        self._statuses: _Kept[job.JobStatus] = _Kept(MOST_STATUSES)
        self._open: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def room(self, store: Store, most: int) -> bool:
        """Whether one more job of the dataset may be open beside fewer than `most`; it is then taken to be.

        Counted every few seconds, and before anybody is refused; two services may let in some more between them.
        """
        now = time.monotonic()
        with self._lock:
            at, count = self._open.pop(store.url, (float("-inf"), 0))
        if now - at > COUNT_EVERY or count >= most:
            at, count = now, sum(1 for _ in islice(store.list("open"), most))
        with self._lock:
            self._open[store.url] = (at, count + (count < most))
            while len(self._open) > MOST_DATASETS:
                self._open.popitem(last=False)
        return count < most

    def describe(self, store: Store, name: str, clock: job.Clock) -> job.JobStatus:
        """The job as it stands. Raises JobMissingError."""
        return self._statuses.get(
            (store.url, name),
            lambda: job.describe(store, name, clock=clock),
            keep=lambda status: status.ended is not None and status.ended < job.stamp(clock() - SETTLED),
        )

    def page(self, store: Store, clock: job.Clock, *, start: str, most: int, state: State | None = None) -> JobPage:
        """A page of jobs in that state, or in any, from `start`: "" for the first, else what a page gave.

        Raises ValueError if no page gave it.
        """
        before = _PLACE.fullmatch(start)
        if start and before is None:
            raise ValueError("no page of this list begins there")
        places = self._places(store)
        if before is not None:
            places = [place for place in places if place < (before[1], before[2])]
        found: list[job.JobStatus] = []
        looked = 0
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            while places[looked:] and len(found) < most and looked < MOST_LOOKED_AT:
                some = places[looked : looked + min(SIDE_BY_SIDE, most - len(found))]
                statuses = pool.map(lambda place: self._described(store, place[1], clock), some)
                found += [one for one in statuses if one is not None and (state is None or one.state == state)]
                looked += len(some)
        following = " ".join(places[looked - 1]) if places[looked:] else None
        return JobPage(tuple(found), following)

    def _described(self, store: Store, name: str, clock: job.Clock) -> job.JobStatus | None:
        """As `describe`; None where what lies there is no job that this release can read."""
        try:
            return self.describe(store, name, clock)
        except JobError as error:
            _log.warning("a list of jobs leaves one out: %s", error)
            return None

    def _places(self, store: Store) -> Sequence[tuple[str, str]]:
        """(date, id) of every job, the newest first."""
        names = job.ids(store)
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            dates = pool.map(
                lambda name: self._dates.get((store.url, name), lambda: _date(store, name), keep=bool), names
            )
        return sorted(((date, name) for date, name in zip(dates, names, strict=True) if date), reverse=True)


def _date(store: Store, name: str) -> str:
    """When the job was created, as a stamp; empty where there is none of that name that can be read."""
    try:
        return job.submission(store, name).created
    except JobError:
        pass
    try:
        return job.read(store, name).created
    except JobError:
        return ""
