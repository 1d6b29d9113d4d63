"""One look at one submitted job: what it needs, by what the store says of it and what Ray says.

The store has the truth. Ray may forget, or lose a driver: then the job's next attempt is handed over, which goes on
from what is measured and cannot commit twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ClusterError, JobError, JobMissingError
from imageyard.manifests.store import Entry
from imageyard.ray_jobs import job, job_attempts, job_end
from imageyard.ray_jobs.submit import GRACE, OVER, RayJobs, Standing, ray_id

logger = logging.getLogger(__name__)

ORPHAN = timedelta(hours=1)
"""After this, a marker without a submission is what is left of a submission that was never finished."""
MAX_FAILED, MAX_ATTEMPTS = 5, 30
"""Attempts that may end without saying how, by a fault; and all, counting those that were lost with their machine."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds before an attempt that follows a failed one; they double."""


@dataclass(frozen=True)
class Limits:
    """How patient those are who look after jobs."""

    most: int = 8
    """Attempts at a time; each is one more driver on the cluster's head."""
    stale: float = 120
    """Seconds of silence, of an attempt that Ray believes to run, after which it is lost."""
    cancel: float = 30
    """Seconds for a running attempt to end by itself once its job is cancelled; then Ray is asked to end it."""
    slow: float = 5
    """Seconds that a turn waits for tenants whose stores are slow; they go on, and the next turn does without them."""


@dataclass(frozen=True)
class Means:
    """What a look needs besides the job."""

    ray: RayJobs
    limits: Limits
    clock: job.Clock = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic


@dataclass
class Seen:
    """What is remembered of a job between two looks; forgotten, it only takes longer."""

    asked: job.Submission | None = None
    """It never changes."""
    number: int | None = None
    """Of the newest attempt, 0 if there is none; None if it was not looked at."""
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
    heard: str | None = None
    """The id of the event that was told last."""

    def refuse(self, now: float) -> None:
        """Ray has refused this job, and only this: it waits longer each time."""
        self.refused += 1
        self.not_before = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2**self.refused)


def look_after(dataset: Dataset, marker: Entry, seen: Seen, means: Means, *, place: Callable[[int], bool]) -> bool:
    """Do what the job whose marker that is needs now; whether it has an attempt with the cluster after that.

    `place` is asked before the attempt of a number is handed over, and says whether there is room for it. Raises
    ClusterError if Ray is away or refuses the job, StoreError if the store fails, and other kinds of ImageyardError if
    what lies there is no job.
    """
    return _Look(dataset, marker, seen, means, place).go()


class _Look:
    """The dataset, the job and the moment, which all that is done in one look has in common."""

    def __init__(self, dataset: Dataset, marker: Entry, seen: Seen, means: Means, place: Callable[[int], bool]) -> None:
        self._ray, self._limits, self._clock = means.ray, means.limits, means.clock
        self._now = means.monotonic()
        self._dataset, self._store = dataset, dataset.store
        self._marker, self._name = marker, marker.key.rsplit("/", 1)[-1]
        self._seen = seen
        self._place = place

    def go(self) -> bool:
        if job.ended(self._store, self._name) is not None:
            job.close(self._store, self._name)
            return False
        try:
            asked = self._submission()
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
            return self._hand_over(asked, 1, "submitted")
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
            return True if lost is None else self._next(asked, number, given, "lost", lost)
        if standing is None:
            why = f"Ray does not know attempt {number} any more: its head was started anew"
            return self._next(asked, number, given, "lost", why)
        if standing.state == "STOPPED":
            return self._next(asked, number, given, "lost", f"attempt {number} was ended from outside")
        why = f"attempt {number} ended without saying how ({standing.state}): {standing.message}"
        return self._next(asked, number, given, "failed", why)

    def _submission(self) -> job.Submission:
        if self._seen.asked is None:
            self._seen.asked = job.submission(self._store, self._name)
        return self._seen.asked

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

    def _next(self, asked: job.Submission, number: int, given: Sequence[Entry], after: str, why: str) -> bool:
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
        return self._hand_over(asked, number + 1, after)

    def _hand_over(self, asked: job.Submission, number: int, after: str) -> bool:
        if self._now < self._seen.not_before or not self._place(number):
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
