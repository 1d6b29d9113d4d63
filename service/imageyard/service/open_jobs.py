"""The open jobs of one tenant: each is looked at, the oldest of a dataset first, and what they say is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ClusterError, ImageyardError, JobError, StoreError
from imageyard.ray_jobs import job
from imageyard.service.one_job import Means, Seen, look_after
from imageyard.service.room import Name, Room
from imageyard.service.stores import Stores

logger = logging.getLogger(__name__)

Datasets = Callable[[], Iterable[str]]
"""Gives the URLs of a tenant's datasets; it may take as long as its store does."""
Heard = Callable[[str, str, str, Mapping[str, Any]], None]
"""Called with the dataset's URL, the job, the id of an event and the event, of every open job: for numbers of all.

From several threads, where there are several tenants.
"""


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
class _Count:
    """What is counted while one look goes on."""

    open: int = 0
    live: int = 0
    troubles: list[str] = field(default_factory=list)


class OpenJobs:
    """Those of the datasets of `tenant`; used by one thread at a time."""

    def __init__(
        self, tenant: str, datasets: Datasets, means: Means, *, room: Room, stores: Stores, heard: Heard | None
    ) -> None:
        self._tenant, self._datasets, self._means = tenant, datasets, means
        self._room, self._stores, self._heard = room, stores, heard
        self._seen: dict[Name, Seen] = {}

    def look(self) -> Pass:
        """Look at every one once, and do what it needs; what may pass is told in what it returns."""
        count, known = _Count(), set[Name]()
        away: str | None = None
        try:
            for url in self._datasets():
                known |= self._dataset(url, count)
        except ClusterError as error:
            away = str(error)
            known |= self._seen.keys()
        for url, name in self._seen.keys() - known:
            self._tell(url, name)  # it has ended since
        self._seen = {key: seen for key, seen in self._seen.items() if key in known}
        self._room.end(self._tenant, known)
        return Pass(count.open, count.live, away, tuple(count.troubles))

    def _dataset(self, url: str, count: _Count) -> set[Name]:
        """Look at the open jobs of one dataset; what they are. Raises ClusterError if the cluster is away."""
        known = set()
        try:
            dataset = Dataset(self._stores.dataset(url))
            markers = sorted(dataset.store.list("open"), key=lambda entry: (entry.modified, entry.key))
        except ImageyardError as error:
            count.troubles.append(str(error))
            for key in (unheard := self._unheard(url)):
                self._room.note(self._tenant, key, live=False)
            return unheard
        for marker in markers:
            key = url, marker.key.rsplit("/", 1)[-1]
            known.add(key)
            count.open += 1
            seen = self._seen.setdefault(key, Seen())
            self._tell(*key)
            if seen.number == 0 and not self._room.has(self._tenant, key):
                continue  # nothing can be done for one that waits for its first attempt
            live = False
            try:
                live = look_after(dataset, marker, seen, self._means, place=partial(self._place, key))
            except ClusterError as error:
                self._means.ray.check()  # is it away, or does it refuse this one job?
                seen.refuse(self._means.monotonic())
                count.troubles.append(str(error))
            except StoreError as error:
                count.troubles.append(str(error))
                self._unheard(url)
            except ImageyardError as error:  # what lies there of this one job is no job
                count.troubles.append(str(error))
            count.live += live
            self._room.note(self._tenant, key, live=live)
        return known

    def _place(self, key: Name, number: int) -> bool:
        return self._room.take(self._tenant, key, first=number == 1)

    def _unheard(self, url: str) -> set[Name]:
        """The jobs of a dataset whose store did not answer: nobody's silence counts from before now."""
        keys = {key for key in self._seen if key[0] == url}
        for key in keys:
            self._seen[key].since = self._means.monotonic()
        return keys

    def _tell(self, url: str, name: str) -> None:
        """Tell who listens of what was said since the last look."""
        if self._heard is None:
            return
        seen = self._seen[url, name]
        try:
            store = self._stores.dataset(url)
            for one in job.event_ids(store, name, after=seen.heard):
                try:
                    self._heard(url, name, one, job.event(store, name, one))
                except JobError as error:
                    logger.warning("job %s: %s", name, error)
                seen.heard = one
        except ImageyardError as error:
            logger.warning("job %s: its events are told later: %s", name, error)
