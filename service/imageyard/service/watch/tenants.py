"""The datasets that a service watches: those of every tenant whose settings say so, with the recipes that hold."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from imageyard.manifests.errors import ImageyardError
from imageyard.service.abreast import Abreast
from imageyard.service.asked import recipe_of
from imageyard.service.catalog import Catalog
from imageyard.service.deployment import Deployment, Tenant
from imageyard.service.profiles import RECIPES
from imageyard.service.stores import Stores
from imageyard.service.watch.inbox import Tell
from imageyard.service.watch.lying import Watched
from imageyard.service.watch.runners import Runner
from imageyard.service.watch.sqs import SqsQueue
from imageyard.service.watch.watcher import Pace, Watcher
from imageyard.service.watch.windows import Rule

SLOW = 5.0
"""Seconds that are waited for settings of a tenant; they are read on, and found when they are asked for again."""
THREADS = 16
"""Tenants whose settings are read side by side."""

Said = tuple[str, dict[str, Any]]
"""What is to be told: a kind, and named values."""
Found = tuple[list[Watched], list[Said]]


class Wanted:
    """What the settings of all tenants' datasets want watched. Used by one thread."""

    def __init__(
        self,
        deployment: Deployment,
        catalog: Callable[[Tenant], Catalog],
        *,
        tell: Tell,
        slow: float = SLOW,
    ) -> None:
        self._deployment, self._catalog, self._tell = deployment, catalog, tell
        self._slow = slow if len(deployment.tenants) > 1 else None
        self._known: dict[str, list[Watched]] = {}
        self._abreast = Abreast[Found](THREADS, called="settings-of-tenants")

    def read(self) -> list[Watched]:
        """As the settings are now.

        A recipe that is not allowed any more, or takes nothing in, is told of and left out. Of a tenant whose settings
        cannot be read, or not soon, which is told of too, it is what was found last.
        """
        tenants = self._deployment.tenants
        ended = self._abreast.turn({tenant.name: partial(self._of, tenant) for tenant in tenants}, patience=self._slow)
        for name, reading in ended.items():
            try:
                self._known[name], said = reading.result()
            except ImageyardError as error:
                said = [("datasets", {"tenant": name, "error": str(error)})]
            for kind, values in said:
                self._tell(kind, **values)
        for name in sorted(self._abreast.busy):
            late = f"no answer within {self._slow:g} s; what is watched stays as it was until there is one"
            self._tell("datasets", tenant=name, error=late)
        return [one for tenant in tenants for one in self._known.get(tenant.name, ())]

    def _of(self, tenant: Tenant) -> Found:
        found, said, datasets = list[Watched](), list[Said](), self._catalog(tenant)
        for settings in datasets.every():
            if not settings.watch:
                continue
            url = datasets.url(settings.name)
            written = dict(settings.recipe if settings.recipe is not None else RECIPES[settings.profile])
            try:
                recipe = recipe_of(written, dataset=url, tenant=tenant, deployment=self._deployment)
            except ImageyardError as error:
                said.append(("unwatched", {"dataset": url, "error": str(error)}))
                continue
            if recipe.steps[0].kind == "ingest":
                found.append(Watched(recipe, written, tenant.name))
            else:
                why = "its recipe has no ingest step, so it never takes anything in"
                said.append(("unwatched", {"dataset": url, "error": why}))
        return found, said


def watch(
    deployment: Deployment,
    catalog: Callable[[Tenant], Catalog],
    runner: Runner,
    stopping: threading.Event,
    *,
    tell: Tell,
    began: Callable[[Watcher], object],
    pace: Pace | None = None,
    stores: Stores | None = None,
) -> None:
    """Watch what the deployment's tenants want watched, until `stopping`; a background loop's turn.

    `began` is given the watcher, whose `counts` and `lag` may be read from any thread. Raises QueueError if the
    deployment's queue is not there.
    """
    named, asked = deployment.queue, deployment.watch
    queue = SqsQueue.open(named.url, dead_letters=named.dead_letters) if named is not None else None
    pace = pace or Pace(Rule(asked.window, asked.most), every=asked.every)
    wanted = Wanted(deployment, catalog, tell=tell)
    watcher = Watcher(wanted.read, runner, queue=queue, pace=pace, tell=tell, stores=stores)
    began(watcher)
    watcher.run(stopping)
