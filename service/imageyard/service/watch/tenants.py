"""The datasets that a service watches: those of every tenant whose settings say so, with the recipes that hold."""

from __future__ import annotations

import threading
from collections.abc import Callable

from imageyard.manifests.errors import ImageyardError
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


def watched_in(
    deployment: Deployment,
    catalog: Callable[[Tenant], Catalog],
    *,
    tell: Tell,
    known: dict[str, list[Watched]] | None = None,
) -> list[Watched]:
    """What the settings of all tenants' datasets want watched, as they are now.

    A recipe that is not allowed any more, or takes nothing in, is told of and left out. Of a tenant whose settings
    cannot be read, which is told of, it is what it was by `known`, which keeps what was found last by tenant.
    """
    known = {} if known is None else known
    for tenant in deployment.tenants:
        try:
            known[tenant.name] = _watched_of(tenant, deployment, catalog(tenant), tell)
        except ImageyardError as error:
            tell("datasets", tenant=tenant.name, error=str(error))
    return [one for tenant in deployment.tenants for one in known.get(tenant.name, ())]


def _watched_of(tenant: Tenant, deployment: Deployment, datasets: Catalog, tell: Tell) -> list[Watched]:
    found = []
    for settings in datasets.every():
        if not settings.watch:
            continue
        url = datasets.url(settings.name)
        written = dict(settings.recipe if settings.recipe is not None else RECIPES[settings.profile])
        try:
            recipe = recipe_of(written, dataset=url, tenant=tenant, deployment=deployment)
        except ImageyardError as error:
            tell("unwatched", dataset=url, error=str(error))
            continue
        if recipe.steps[0].kind == "ingest":
            found.append(Watched(recipe, written))
        else:
            tell("unwatched", dataset=url, error="its recipe has no ingest step, so it never takes anything in")
    return found


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
    known: dict[str, list[Watched]] = {}

    def datasets() -> list[Watched]:
        return watched_in(deployment, catalog, tell=tell, known=known)

    watcher = Watcher(datasets, runner, queue=queue, pace=pace, tell=tell, stores=stores)
    began(watcher)
    watcher.run(stopping)
