"""The datasets that a service watches: those of every tenant whose settings say so, with the recipes that hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

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
    deployment: Deployment, catalog: Callable[[Tenant], Catalog], *, tell: Tell, before: Sequence[Watched] = ()
) -> list[Watched]:
    """What the settings of all tenants' datasets want watched, as they are now.

    A recipe that is not allowed any more, or takes nothing in, is told of and left out. Of a tenant whose settings
    cannot be read that is told, and what was watched `before` is; the others go on.
    """
    found: list[Watched] = []
    for tenant in deployment.tenants:
        try:
            found += _of_tenant(deployment, tenant, catalog(tenant), tell)
        except ImageyardError as error:
            tell("datasets", tenant=tenant.name, error=str(error))
            found += [one for one in before if one.url.startswith(tenant.prefix + "/")]
    return found


def _of_tenant(deployment: Deployment, tenant: Tenant, datasets: Catalog, tell: Tell) -> list[Watched]:
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
    last: list[Watched] = []

    def wanted() -> list[Watched]:
        last[:] = watched_in(deployment, catalog, tell=tell, before=tuple(last))
        return list(last)

    watcher = Watcher(wanted, runner, queue=queue, pace=pace, tell=tell, stores=stores)
    began(watcher)
    watcher.run(stopping)
