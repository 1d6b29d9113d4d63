"""What the service does besides answering: it looks after jobs, counts what they say, watches drop folders.

Each is a loop over the bucket, which has the truth; any number of replicas may run them over the same datasets.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from imageyard.manifests.errors import ImageyardError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import job
from imageyard.ray_jobs.job_log import LAST, kind_of
from imageyard.ray_jobs.recipe import parse_recipe
from imageyard.ray_jobs.submit import RayJobs
from imageyard.service.api.loops import Loop
from imageyard.service.api.observed import Observed
from imageyard.service.api.yard import Yard
from imageyard.service.deployment import Deployment
from imageyard.service.reconcile import Reconciler
from imageyard.service.settings import Settings
from imageyard.service.watch.cluster import ClusterRunner
from imageyard.service.watch.lying import Watched
from imageyard.service.watch.sqs import SqsQueue
from imageyard.service.watch.watcher import Pace, Watcher
from imageyard.service.watch.windows import Rule

RECONCILE_EVERY = 2.0
OBSERVE_EVERY = 10.0
"""Seconds; Prometheus reads every fifteen or more."""
_jobs, _watch = logging.getLogger("imageyard.jobs"), logging.getLogger("imageyard.watch")


def loops_of(yard: Yard, settings: Settings) -> Sequence[Loop]:
    """The loops that a deployment asks for: without a cluster it only counts."""
    loops = [Loop("observe", Observer(lambda: urls(yard), yard.metrics.observed, yard.clock()).turn, OBSERVE_EVERY)]
    deployment = yard.deployment
    if deployment.ray is not None:
        token = settings.ray_token.get_secret_value() if settings.ray_token is not None else None
        reconciler = Reconciler(lambda: urls(yard), RayJobs(deployment.ray.address, token), clock=yard.clock)
        loops.append(Loop("reconcile", lambda stopping: reconcile(reconciler), RECONCILE_EVERY))
        loops.append(Loop("watch", lambda stopping: watch(yard, stopping), 1.0))
    return loops


def urls(yard: Yard) -> Iterator[str]:
    """Every dataset of every tenant. A tenant whose store is away is left out for now, and said."""
    for tenant in yard.deployment.tenants:
        catalog = yard.catalog(tenant)
        try:
            yield from [catalog.url(settings.name) for settings in catalog.every()]
        except ImageyardError as error:
            _jobs.warning("the datasets of tenant %s cannot be listed: %s", tenant.name, error)


def reconcile(reconciler: Reconciler) -> None:
    """One look at all open jobs; what kept a job from being looked after is said."""
    for trouble in reconciler.once().troubles:
        _jobs.warning("%s", trouble)


def watched(yard: Yard) -> Iterator[Watched]:
    """The datasets whose settings say that what arrives is taken in, with their recipes."""
    for tenant in yard.deployment.tenants:
        catalog = yard.catalog(tenant)
        for settings in catalog.every():
            if not settings.watch or settings.recipe is None:
                continue
            url = catalog.url(settings.name)
            try:
                recipe = parse_recipe(settings.recipe, where=f"the recipe of {settings.name}", dataset=url)
            except ImageyardError as error:
                _watch.warning("%s is not watched: %s", url, error)
                continue
            yield Watched(recipe)


def watch(yard: Yard, stopping: threading.Event) -> None:
    """Watch what is to be watched until `stopping` is set. Raises ImageyardError, and is called again."""
    watcher = watcher_of(yard, stopping)
    observed = yard.metrics.observed
    try:
        while not stopping.is_set():
            watcher.turn()
            observed.queue(lag_seconds=watcher.lag(), messages=watcher.holding)
    finally:
        watcher.end()


def watcher_of(yard: Yard, stopping: threading.Event) -> Watcher:
    """The watcher of a deployment: it submits jobs, which the reconcile loop hands to the cluster."""
    deployment: Deployment = yard.deployment
    asked, queue = deployment.watch, deployment.queue
    sqs = SqsQueue.open(queue.url, dead_letters=queue.dead_letters) if queue is not None else None
    pace = Pace(Rule(asked.window, asked.most), every=asked.every)
    runner = ClusterRunner(lambda: None, pause=stopping.wait)
    return Watcher(lambda: watched(yard), runner, queue=sqs, pace=pace, tell=_tell)


def _tell(kind: str, **said: Any) -> None:
    level = logging.WARNING if kind in ("failed", "malformed", "queue", "datasets") else logging.INFO
    more = {
        name: value for name, value in said.items() if name not in ("dataset", "job") and value not in (None, [], {})
    }
    _watch.log(level, kind, extra={"dataset": said.get("dataset"), "job": said.get("job"), "more": more or None})


class Observer:
    """Reads the events of jobs that are not ended, and of those it has followed to their end, once each."""

    def __init__(self, datasets: Callable[[], Iterable[str]], observed: Observed, since: datetime) -> None:
        self._datasets, self._observed = datasets, observed
        self._since = job.stamp(since)
        self._stores: dict[str, Store] = {}
        self._followed: dict[tuple[str, str], str | None] = {}
        """By dataset and job, the id of the last event that was counted."""

    def turn(self, stopping: threading.Event) -> None:
        """Count what was said since the last turn."""
        for url in self._datasets():
            store = self._stores.setdefault(url, Store.open(url))
            for entry in store.list("open"):
                self._followed.setdefault((url, entry.key.rsplit("/", 1)[-1]), None)
        for (url, name), last in list(self._followed.items()):
            if stopping.is_set():
                return
            self._follow(url, name, last)

    def _follow(self, url: str, name: str, last: str | None) -> None:
        store = self._stores[url]
        for at in job.event_ids(store, name, after=last):
            event = job.event(store, name, at)
            if str(event.get("time", "")) < self._since:
                # Said before this process began: its counters start at zero, so only the state counts.
                event = {member: value for member, value in event.items() if member in ("kind", "attempt")}
            self._observed.event(url, name, at, event)
            self._followed[url, name] = at
            if kind_of(at) in LAST:
                del self._followed[url, name]
                return
