"""How jobs end that nobody works on any more: by the version that they have, or as they were asked to."""

from __future__ import annotations

from typing import Any

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ImageyardError, JobMissingError
from imageyard.manifests.version import Version
from imageyard.ray_jobs.job import Clock, Ended, Job, Log, end, read, stamp


def end_cancelled(dataset: Dataset, job: str, *, clock: Clock, log: Log | None = None) -> Ended:
    """How a cancelled job ended, of which no attempt goes on: as cancelled, unless it had its version by then."""
    return _end_unless_committed(dataset, job, Ended(state="cancelled", ended=stamp(clock())), clock, log)


def end_failed(
    dataset: Dataset, job: str, error: str, *, clock: Clock, log: Log | None = None, **members: Any
) -> Ended:
    """How a job ended, of which no more attempts are made: as failed, unless it had its version by then."""
    how = Ended(state="failed", error=error, ended=stamp(clock()))
    return _end_unless_committed(dataset, job, how, clock, log, **members)


def end_unless_lost(dataset: Dataset, running: Job, error: ImageyardError, *, clock: Clock) -> None:
    """End a job that failed with `error`, unless it has its version; while the store does not say, leave it open."""
    try:
        end_failed(dataset, running.record.id, str(error), clock=clock, log=running.log)
    except ImageyardError:
        return  # the caller has the reason, and who looks at the job finds its version


def _end_unless_committed(
    dataset: Dataset, job: str, how: Ended, clock: Clock, log: Log | None = None, **members: Any
) -> Ended:
    version = version_of(dataset, job)
    if version is not None:
        how = Ended(state="committed", version=version.number, ended=how.ended)
    return end(dataset.store, job, how, clock=clock, log=log, **members)


def version_of(dataset: Dataset, job: str, *, newest: Version | None = None, searched: int = 0) -> Version | None:
    """The version that a job has committed, if it has; looked for up to `newest`, in versions after `searched`."""
    newest = newest or dataset.newest()
    if newest is None:
        return None
    try:
        since = read(dataset.store, job).parent or 0
    except JobMissingError:
        return None  # a record comes before any version
    for number in range(max(since, searched) + 1, newest.number + 1):
        version = newest if number == newest.number else dataset.version(number)
        if version.job == job:
            return version
    return None
