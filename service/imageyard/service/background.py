"""What the service does besides answering: it looks after jobs, and watches drop folders.

Each is a loop over the bucket, which has the truth; any number of replicas may run them over the same datasets.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import SecretStr

from imageyard.manifests.errors import ImageyardError
from imageyard.ray_jobs.recipe import parse_recipe
from imageyard.service.api.loops import Loop
from imageyard.service.api.reconciling import reconciling
from imageyard.service.api.yard import Yard
from imageyard.service.profiles import RECIPES
from imageyard.service.watch.cluster import ClusterRunner
from imageyard.service.watch.lying import Watched
from imageyard.service.watch.sqs import SqsQueue
from imageyard.service.watch.watcher import Pace, Watcher
from imageyard.service.watch.windows import Rule

_log = logging.getLogger("imageyard.watch")
AGAIN = 1.0
"""Seconds before a watcher that ended is begun anew."""


def loops_of(yard: Yard, token: SecretStr | None) -> Sequence[Loop]:
    """The loops of a deployment, none without a cluster; `token` is the cluster's."""
    loops = reconciling(yard, token)
    return (*loops, Loop("watch", lambda stopping: watch(yard, stopping), AGAIN)) if loops else ()


def watch(yard: Yard, stopping: threading.Event) -> None:
    """Watch what is to be watched until `stopping` is set. Raises ImageyardError, and is called again."""
    watcher = watcher_of(yard, stopping)
    try:
        while not stopping.is_set():
            watcher.turn()
            yard.metrics.observed.queue(lag_seconds=watcher.lag(), messages=watcher.holding)
    finally:
        watcher.end()


def watcher_of(yard: Yard, stopping: threading.Event) -> Watcher:
    """The watcher of a deployment: it submits jobs, which the reconcile loop hands to the cluster."""
    asked, queue = yard.deployment.watch, yard.deployment.queue
    sqs = SqsQueue.open(queue.url, dead_letters=queue.dead_letters) if queue is not None else None
    pace = Pace(Rule(asked.window, asked.most), every=asked.every)
    runner = ClusterRunner(lambda: None, pause=stopping.wait)
    return Watcher(lambda: watched(yard), runner, queue=sqs, pace=pace, tell=_tell)


def watched(yard: Yard) -> Iterator[Watched]:
    """The datasets whose settings say that what arrives is taken in, with their recipes."""
    for tenant in yard.deployment.tenants:
        catalog = yard.catalog(tenant)
        for settings in catalog.every():
            if not settings.watch:
                continue
            url = catalog.url(settings.name)
            written = dict(RECIPES[settings.profile] if settings.recipe is None else settings.recipe)
            try:
                recipe = parse_recipe(written, where=f"the recipe of {settings.name}", dataset=url)
            except ImageyardError as error:
                _log.warning("%s is not watched: %s", url, error)
                continue
            yield Watched(recipe)


def _tell(kind: str, **said: Any) -> None:
    level = logging.WARNING if kind in ("failed", "malformed", "queue", "datasets") else logging.INFO
    more = {
        name: value for name, value in said.items() if name not in ("dataset", "job") and value not in (None, [], {})
    }
    _log.log(level, kind, extra={"dataset": said.get("dataset"), "job": said.get("job"), "more": more or None})
