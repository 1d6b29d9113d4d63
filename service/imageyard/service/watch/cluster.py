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
AT_ONCE = 8
MOST_TRIES = 1000


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
        asked = self._submitted(store, watched, lying)
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
            raise JobError(f"{watched.url}: job {asked.id} ended {over.state}: {over.error or 'by request'}")
        raise StoppedError

    def _submitted(self, store: Store, watched: Watched, lying: Collection[Mark]) -> job.Submission:
        """The job of this recipe for what lies there: the same for every watcher, until it has failed."""
        newest = Dataset(store).newest()
        recipe = {name: value for name, value in watched.written.items() if name != "dataset"}
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
        name = job.job_id(newest.sha256 if newest else None, digest, list(lying))
        for number in range(1, MOST_TRIES):
            asked = job.Submission(
                id=f"drop-{name}-{number}",
                dataset=watched.url,
                recipe=recipe,
                name=watched.recipe.job_name,
                created=job.stamp(self._clock()),
                by="watch",
                options=self._options,
            )
            over = job.ended(store, asked.id)
            if over is None or over.state in ("committed", "nothing"):
                return job.submit(store, asked)
        raise JobError(f"{watched.url}: the job for what lies in the drop folder has failed {MOST_TRIES:,} times")

    def _tended(self) -> None:
        """One of the jobs that are waited for is enough to look after all."""
        if self._tending.acquire(blocking=False):
            try:
                self._tend()
            finally:
                self._tending.release()
