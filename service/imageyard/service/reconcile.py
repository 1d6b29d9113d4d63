"""The reconcile loop: what the store says of submitted jobs and what Ray says of them are brought together.

Several loops may look after the same datasets; what they do is the same. Ray may be away: then all wait for it. A store
that does not answer holds up only the tenant whose it is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from imageyard.ray_jobs import job
from imageyard.ray_jobs.submit import RayJobs
from imageyard.service.abreast import Abreast
from imageyard.service.one_job import Limits, Means
from imageyard.service.open_jobs import Datasets, Heard, OpenJobs, Pass
from imageyard.service.room import Room
from imageyard.service.stores import Stores

logger = logging.getLogger(__name__)

LONGEST_AWAY = 60.0
"""Seconds at most between two looks whether a cluster that is away has come back."""
THREADS = 16
"""Tenants looked at side by side."""


class Reconciler:
    """Looks after the submitted jobs of the datasets whose URLs `tenants` give, on one cluster."""

    def __init__(
        self,
        tenants: Mapping[str, Datasets],
        ray: RayJobs,
        *,
        limits: Limits | None = None,
        clock: job.Clock = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        heard: Heard | None = None,
        stores: Stores | None = None,
    ) -> None:
        self._limits, self._ray, self._monotonic = limits or Limits(), ray, monotonic
        means, stores = Means(ray, self._limits, clock, monotonic), stores or Stores()
        self._room = Room(self._limits.most, tenants=len(tenants))
        self._tenants = {
            name: OpenJobs(name, datasets, means, room=self._room, stores=stores, heard=heard)
            for name, datasets in tenants.items()
        }
        self._abreast = Abreast[Pass](THREADS, called="jobs-of-tenants")
        self._slow: frozenset[str] = frozenset()
        self._away = 0
        self._again_at = 0.0

    def once(self) -> Pass:
        """Look at every open job once, oldest first, and do what it needs. It raises nothing that may pass.

        Of several tenants, those whose looks still go on from before are left out, and those that are slow are not
        waited for: what their looks find, a later call returns.
        """
        if self._monotonic() < self._again_at:
            return Pass(0, 0, f"Ray at {self._ray.address} is away; it is asked again in a moment")
        found = self._looks()
        away = next((one.away for one in found if one.away is not None), None)
        if away is not None:
            self._away += 1
            self._again_at = self._monotonic() + min(LONGEST_AWAY, 2.0**self._away)
            logger.warning("%s", away)
        elif found:
            self._away = 0
        troubles = tuple(trouble for one in found for trouble in one.troubles)
        return Pass(sum(one.open for one in found), sum(one.live for one in found), away, troubles)

    def _looks(self) -> list[Pass]:
        idle = [name for name in self._tenants if name not in self._abreast.busy]
        self._room.begin(idle)
        patience = self._limits.slow if len(self._tenants) > 1 else None
        ended = self._abreast.turn({name: self._tenants[name].look for name in idle}, patience=patience)
        for name in self._abreast.busy - self._slow:
            logger.warning("looking after the jobs of %s takes long; others do not wait for it", name)
        self._slow = self._abreast.busy
        return [look.result() for look in ended.values()]
