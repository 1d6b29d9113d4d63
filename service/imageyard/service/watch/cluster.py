"""Jobs of windows as submitted jobs: put into the store, handed to a Ray cluster, waited for."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import JobError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import job
from imageyard.service.stores import Stores
from imageyard.service.watch.lying import Mark, Watched
from imageyard.service.watch.runners import Ran, StoppedError

POLL = 2.0
"""Seconds between two looks at a job."""
AT_ONCE = 32
"""Jobs waited for at a time, of which one tenant has at most a quarter: waiting costs little."""


class ClusterRunner:
    """Jobs on a Ray cluster. A job that was begun goes on without its watcher, and the next one waits for it."""

    at_once = AT_ONCE

    def __init__(
        self,
        tend: Callable[[], object],
        *,
        pause: Callable[[float], object] = time.sleep,
        options: job.Options | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        stores: Stores | None = None,
    ) -> None:
        """`tend` is called between looks and raises nothing: it hands submitted jobs over, if nothing else does."""
        self._tend, self._pause, self._options, self._clock = tend, pause, options or job.Options(), clock
        self._tending = threading.Lock()
        self._stores = stores or Stores()

    def run(self, watched: Watched, lying: Collection[Mark], stopping: Callable[[], bool]) -> Ran:
        store = self._stores.dataset(watched.url)
        asked = self.submitted(store, watched, lying)
        while not stopping():
            self._tended()
            over = job.ended(store, asked.id)
            if over is None:
                self._pause(POLL)
                continue
            if over.state == "committed" or over.state == "nothing":
                version = Dataset(store).version(over.version) if over.version is not None else None
                counts = version.counts if version is not None and over.state == "committed" else {}
                return Ran(over.state, over.version, asked.id, counts)
            if over.state == "cancelled":
                raise JobError(
                    f"{watched.url}: job {asked.id} was cancelled, and is not begun again for what lies in the drop "
                    "folder; drop something more, or submit a job"
                )
            raise JobError(f"{watched.url}: job {asked.id} ended {over.state}: {over.error}")
        raise StoppedError

    def submitted(self, store: Store, watched: Watched, lying: Collection[Mark]) -> job.Submission:
        """The job of this recipe for what lies there: the same for every watcher, until it has failed.

        One that somebody cancelled stays so, until something else lies there.
        """
        newest = Dataset(store).newest()
        recipe = {name: value for name, value in watched.written.items() if name != "dataset"}
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
        name = job.job_id(newest.sha256 if newest else None, digest, list(lying))
        asked = job.Submission(
            id=_first_not_failed(store, f"drop-{name}"),
            dataset=watched.url,
            recipe=recipe,
            name=watched.recipe.job_name,
            created=job.stamp(self._clock()),
            by="watch",
            options=self._options,
            request=digest,  # whoever watches with other options waits for the same job
        )
        return job.submit(store, asked)

    def _tended(self) -> None:
        """One of the jobs that are waited for is enough to look after all."""
        if self._tending.acquire(blocking=False):
            try:
                self._tend()
            finally:
                self._tending.release()


def _first_not_failed(store: Store, name: str) -> str:
    """The id of the first try that has not failed; all before it have, so a search by halves finds it."""

    def failed(number: int) -> bool:
        over = job.ended(store, f"{name}-{number}")
        return over is not None and over.state == "failed"

    low, high = 0, 1
    while failed(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if failed(middle) else (low, middle)
    return f"{name}-{high}"
