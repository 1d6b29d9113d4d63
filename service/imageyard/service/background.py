"""What the service does besides answering: it looks after jobs, watches drop folders, and counts what they do.

Each is a loop over the bucket, which has the truth; any number of replicas may run them over the same datasets.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import SecretStr

from imageyard.service.api.loops import Loop
from imageyard.service.api.reconciling import reconciling
from imageyard.service.api.yard import Yard
from imageyard.service.watch.cluster import ClusterRunner
from imageyard.service.watch.tenants import watch
from imageyard.service.watch.watcher import Watcher

_log = logging.getLogger("imageyard.watch")
AGAIN = 1.0
"""Seconds before a watcher that ended is begun anew."""
COUNTED = 5.0
"""Seconds between two looks at how the watcher stands; Prometheus reads every fifteen or more."""


def loops_of(yard: Yard, token: SecretStr | None) -> Sequence[Loop]:
    """The loops of a deployment, none without a cluster; `token` is the cluster's."""
    loops = reconciling(yard, token)
    if not loops:
        return ()
    current: list[Watcher] = []

    def watching(stopping: threading.Event) -> None:
        # The reconcile loop hands over what it submits.
        options = yard.deployment.watch.options
        runner = ClusterRunner(lambda: None, pause=stopping.wait, options=options, stores=yard.stores)
        began = partial(_begin, current)
        watch(yard.deployment, yard.catalog, runner, stopping, tell=_tell, began=began, stores=yard.stores)

    def counting(stopping: threading.Event) -> None:
        for watcher in current[-1:]:
            yard.metrics.observed.queue(lag_seconds=watcher.lag(), messages=watcher.holding)
            yard.metrics.observed.watched(watcher.counts)

    return (*loops, Loop("watch", watching, AGAIN), Loop("count", counting, COUNTED))


def _begin(current: list[Watcher], watcher: Watcher) -> None:
    current[:] = [watcher]


def _tell(kind: str, **said: Any) -> None:
    level = logging.WARNING if kind in ("failed", "malformed", "queue", "datasets", "unwatched") else logging.INFO
    more = {
        name: value for name, value in said.items() if name not in ("dataset", "job") and value not in (None, [], {})
    }
    _log.log(level, kind, extra={"dataset": said.get("dataset"), "job": said.get("job"), "more": more or None})
