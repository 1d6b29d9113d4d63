"""The reconcile loop: what the store says of submitted jobs and what Ray says of them are brought together.

The store has the truth. Ray may forget, lose a driver, be away: then a job's next attempt is handed over, which goes on
from what is measured and cannot commit twice. Several loops may look after the same datasets; what they do is the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ClusterError, ImageyardError, JobError, JobMissingError, StoreError
from imageyard.manifests.store import Entry, Store
from imageyard.ray_jobs import job, job_attempts, job_end
from imageyard.ray_jobs.submit import GRACE, OVER, RayJobs, Standing, ray_id
from imageyard.service.stores import Stores

logger = logging.getLogger(__name__)

ORPHAN = timedelta(hours=1)
"""After this, a marker without a submission is what is left of a submission that was never finished."""
MAX_FAILED, MAX_ATTEMPTS = 5, 30
"""Attempts that may end without saying how, by a fault; and all, counting those that were lost with their machine."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds before an attempt that follows a failed one; they double."""
LONGEST_AWAY = 60.0
"""Seconds at most between two looks whether a cluster that is away has come back."""


Heard = Callable[[str, str, str, Mapping[str, Any]], None]
"""Called with the dataset's URL, the job, the id of an event and the event, of every open job: for numbers of all."""


@dataclass(frozen=True)
class Limits:
    """How patient the loop is."""

    most: int = 8
    """Attempts at a time; each is one more driver on the cluster's head."""
    stale: float = 120
    """Seconds of silence, of an attempt that Ray believes to run, after which it is lost."""
    cancel: float = 30
    """Seconds for a running attempt to end by itself once its job is cancelled; then Ray is asked to end it."""


@dataclass
class Seen:
    """What this loop remembers of a job; forgotten, it only takes longer."""

    number: int = 0
    said: int = 0
    """Events that the attempt has added."""
    since: float = 0
    """When the newest was first seen, by this machine's own clock: clocks of others do not matter, nor what they do."""
    stopped: float | None = None
    """When Ray was asked to end the attempt."""
    cancelled: float | None = None
    not_before: float = 0
    told: int = 0
    """The number of the attempt that was said to be lost."""
    refused: int = 0


@dataclass(frozen=True)
class Pass:
    """What one look has found."""

    open: int
    """Jobs that have not ended."""
    live: int
    """Attempts that are with the cluster."""
    away: str | None
    """Why the cluster could not be asked."""
    troubles: tuple[str, ...] = ()
    """What kept single jobs or datasets from being looked after; each is tried again."""


@dataclass
class _Round:
    """What is counted while one look goes on."""

    room: int
    """First attempts that may still be begun, by what was live at the last look: whoever is looked at first does not
    take what others have."""
    open: int = 0
    live: int = 0
    troubles: list[str] = field(default_factory=list)


class Reconciler:
    """Looks after the submitted jobs of the datasets whose URLs `datasets` gives, on one cluster."""

    def __init__(
        self,
        datasets: Callable[[], Iterable[str]],
        ray: RayJobs,
        *,
        limits: Limits | None = None,
        clock: job.Clock = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        heard: Heard | None = None,
        stores: Stores | None = None,
    ) -> None:
        self._heard = heard
        self._told: dict[tuple[str, str], str] = {}
        self._datasets = datasets
        self._ray = ray
        self._limits = limits or Limits()
        self._clock = clock
        self._monotonic = monotonic
        self._stores = stores or Stores()
        self._seen: dict[tuple[str, str], Seen] = {}
        self._asked: dict[tuple[str, str], job.Submission] = {}
        self._away = 0
        self._again_at = 0.0
        self._live = 0

    def once(self) -> Pass:
        """Look at every open job once, oldest first, and do what it needs. It raises nothing that may pass."""
        if self._monotonic() < self._again_at:
            return Pass(0, 0, f"Ray at {self._ray.address} is away; it is asked again in a moment")
        now = _Round(max(0, self._limits.most - self._live))
        known: set[tuple[str, str]] = set()
        away: str | None = None
        try:
            for url in self._datasets():
                known |= self._dataset(url, now)
        except ClusterError as error:
            self._away += 1
            self._again_at = self._monotonic() + min(LONGEST_AWAY, 2.0**self._away)
            away = str(error)
            logger.warning("%s", error)
        else:
            self._away = 0
            self._live = now.live
            for url, name in self._seen.keys() - known:
                self._tell(url, name)  # it has ended since
                self._told.pop((url, name), None)
            self._seen = {key: seen for key, seen in self._seen.items() if key in known}
            self._asked = {key: asked for key, asked in self._asked.items() if key in known}
        return Pass(now.open, now.live, away, tuple(now.troubles))

    def _dataset(self, url: str, now: _Round) -> set[tuple[str, str]]:
        """Look at the open jobs of one dataset; what they are. Raises ClusterError if the cluster is away."""
        known = set()
        try:
            dataset = Dataset(self._stores.dataset(url))
            markers = sorted(dataset.store.list("open"), key=lambda entry: (entry.modified, entry.key))
        except ImageyardError as error:
            now.troubles.append(str(error))
            return self._unheard(url)
        for marker in markers:
            name = marker.key.rsplit("/", 1)[-1]
            known.add((url, name))
            now.open += 1
            self._tell(url, name)
            first, room = self._seen.get((url, name), Seen()).number == 0, now.live < self._limits.most
            if first and not room:
                continue  # nothing can be done for one that waits for its first attempt
            try:
                live = _Look(self, dataset, name, marker).go(room and (not first or now.room > 0))
                now.live += live
                now.room -= first and live
            except ClusterError as error:
                self._ray.check()  # is it away, or does it refuse this one job?
                seen = self._seen.setdefault((url, name), Seen())
                seen.refused += 1
                seen.not_before = self._monotonic() + min(LONGEST_PAUSE, FIRST_PAUSE * 2**seen.refused)
                now.troubles.append(str(error))
            except StoreError as error:
                now.troubles.append(str(error))
                self._unheard(url)
            except ImageyardError as error:  # what lies there of this one job is no job
                now.troubles.append(str(error))
        return known

    def _unheard(self, url: str) -> set[tuple[str, str]]:
        """The jobs of a dataset whose store did not answer: nobody's silence counts from before now."""
        keys = {key for key in self._seen if key[0] == url}
        for key in keys:
            self._seen[key].since = self._monotonic()
        return keys

    def _tell(self, url: str, name: str) -> None:
        """Tell who listens of what was said since the last look."""
        if self._heard is None:
            return
        try:
            store = self._stores.dataset(url)
            for one in job.event_ids(store, name, after=self._told.get((url, name))):
                try:
                    self._heard(url, name, one, job.event(store, name, one))
                except JobError as error:
                    logger.warning("job %s: %s", name, error)
                self._told[url, name] = one
        except ImageyardError as error:
            logger.warning("job %s: its events are told later: %s", name, error)

    def submission(self, store: Store, name: str) -> job.Submission:
        """What was submitted under that name; it never changes."""
        key = (store.url, name)
        if key not in self._asked:
            self._asked[key] = job.submission(store, name)
        return self._asked[key]


class _Look:
    """One look at one job."""

    def __init__(self, loop: Reconciler, dataset: Dataset, name: str, marker: Entry) -> None:
        self._loop = loop
        self._ray = loop._ray
        self._limits = loop._limits
        self._clock = loop._clock
        self._now = loop._monotonic()
        self._dataset = dataset
        self._store = dataset.store
        self._name = name
        self._marker = marker
        self._seen = loop._seen.setdefault((dataset.url, name), Seen())

    def go(self, room: bool) -> bool:
        """Do what the job needs; whether it has an attempt with the cluster after that. `room`: it may be given one."""
        if job.ended(self._store, self._name) is not None:
            job.close(self._store, self._name)
            return False
        try:
            asked = self._loop.submission(self._store, self._name)
        except JobMissingError:
            if self._clock() - self._marker.modified > ORPHAN:
                self._sweep()
            return False
        given = job_attempts.attempts(self._store, self._name)
        number = job_attempts.number_of(given[-1]) if given else 0
        if number != self._seen.number:
            self._seen.number, self._seen.said, self._seen.since = number, 0, self._now
            self._seen.stopped, self._seen.refused = None, 0
        cancelled = job.cancelled(self._store, self._name)
        if number == 0 and job.begun(job.event_ids(self._store, self._name)):
            number = 1  # who handed it over died before it could write that down
            job_attempts.hand(self._store, self._name, number, after="submitted", clock=self._clock)
        if number == 0:
            if cancelled:
                return self._over(asked, None)
            return room and self._hand_over(asked, 1, "submitted")
        standing = self._ray.status(ray_id(self._name, number))
        if job.ended(self._store, self._name) is not None:  # it may have ended while Ray was asked
            job.close(self._store, self._name)
            return False
        if cancelled:
            return self._cancel(asked, number, standing)
        if standing is not None and standing.state == "PENDING":
            self._seen.since = self._now  # silence counts from when it runs
            return True
        if standing is not None and standing.state == "RUNNING":
            lost = self._lost(number)
            return True if lost is None else self._next(asked, number, given, "lost", lost, room=room)
        if standing is None:
            why = f"Ray does not know attempt {number} any more: its head was started anew"
            return self._next(asked, number, given, "lost", why, room=room)
        if standing.state == "STOPPED":
            return self._next(asked, number, given, "lost", f"attempt {number} was ended from outside", room=room)
        why = f"attempt {number} ended without saying how ({standing.state}): {standing.message}"
        return self._next(asked, number, given, "failed", why, room=room)

    def _sweep(self) -> None:
        """Take away a marker without a submission, unless that comes at this moment: who submits looks after this."""
        self._store.remove(self._marker)
        try:
            job.submission(self._store, self._name)
        except JobMissingError:
            return
        self._store.ensure(job.open_key(self._name), b"")

    def _lost(self, number: int) -> str | None:
        """Why an attempt that Ray believes to run is lost, if it is, and nothing more can be done for it."""
        said = self._said(number)
        if said != self._seen.said:
            self._seen.said, self._seen.since, self._seen.stopped = said, self._now, None
        silent = self._now - self._seen.since
        if silent < self._limits.stale:
            return None
        if self._seen.stopped is None:
            logger.warning(
                "job %s: attempt %d has been silent for %d s; Ray is asked to end it", self._name, number, silent
            )
            self._seen.stopped = self._now
            if not self._ray.stop(ray_id(self._name, number)):
                return f"attempt {number} has been silent for {silent:.0f} s, and its node does not answer"
        if self._now - self._seen.stopped < GRACE + self._limits.stale:
            return None
        return f"attempt {number} has been silent for {silent:.0f} s, and Ray cannot end it"

    def _cancel(self, asked: job.Submission, number: int, standing: Standing | None) -> bool:
        """What a cancelled job needs; whether its attempt goes on."""
        if standing is None or standing.state in OVER:
            return self._over(asked, number)
        # The marker was there before this look: an attempt that has not begun by now will find it when it begins.
        if standing.state == "PENDING" and not self._said(number):
            self._ray.stop(ray_id(self._name, number))
            return self._over(asked, number)
        if self._seen.cancelled is None:
            self._seen.cancelled = self._now
        if self._seen.stopped is None and self._now - self._seen.cancelled >= self._limits.cancel:
            self._ray.stop(ray_id(self._name, number))
            self._seen.stopped = self._now
        if self._seen.stopped is not None and self._now - self._seen.stopped >= GRACE + self._limits.stale:
            return self._over(asked, number)  # its node is gone; should it live, it looks before it commits
        return True

    def _over(self, asked: job.Submission, number: int | None) -> bool:
        how = job_end.end_cancelled(self._dataset, asked.id, clock=self._clock)
        logger.info("job %s: %s, after attempt %s", self._name, how.state, number)
        return False

    def _next(
        self, asked: job.Submission, number: int, given: Sequence[Entry], after: str, why: str, *, room: bool
    ) -> bool:
        """After an attempt that has not ended its job: the next one, or the end."""
        failed = sum(job_attempts.attempt(self._store, entry).after == "failed" for entry in given) + (
            after == "failed"
        )
        if self._seen.told != number:
            logger.warning("job %s: %s", self._name, why)
            job.Log(self._store, self._name, self._clock).say("lost", number=number, error=why)
            self._seen.told = number
            if after == "failed":
                self._seen.not_before = self._now + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failed - 1))
        if failed >= MAX_FAILED or number >= MAX_ATTEMPTS:
            reason = f"{number} attempts, and none ended well; the last: {why}"
            how = job_end.end_failed(self._dataset, asked.id, reason, clock=self._clock)
            logger.error("job %s: %s", self._name, how.state)
            return False
        return room and self._hand_over(asked, number + 1, after)

    def _hand_over(self, asked: job.Submission, number: int, after: str) -> bool:
        if self._now < self._seen.not_before:
            return False
        try:
            name = self._ray.hand_over(asked, number)
        except ClusterError:
            raise
        except JobError as error:  # no cluster can be given this one
            job_end.end_failed(self._dataset, asked.id, str(error), clock=self._clock)
            return False
        # Written down when it has worked, so that it is handed over again if this dies in between: the same attempt.
        if job_attempts.hand(self._store, asked.id, number, after=after, clock=self._clock):
            job.Log(self._store, self._name, self._clock).say("handed", number=number, ray=name)
            logger.info("job %s: handed to Ray as %s", self._name, name)
        return True

    def _said(self, number: int) -> int:
        """How many events the attempt has added; none if it has not begun."""
        return sum(job_attempts.of_attempt(name, number) for name in job.event_ids(self._store, self._name))
