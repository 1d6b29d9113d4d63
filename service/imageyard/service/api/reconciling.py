"""The service's own reconcile loop: it looks after the submitted jobs of every tenant, and counts what they say."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

from pydantic import SecretStr

from imageyard.manifests.errors import ImageyardError
from imageyard.ray_jobs.job_log import stamp
from imageyard.ray_jobs.submit import RayJobs
from imageyard.service.api.loops import Loop
from imageyard.service.api.yard import Yard
from imageyard.service.deployment import Tenant
from imageyard.service.reconcile import Reconciler

EVERY = 2.0
"""Seconds between two looks."""
_log = logging.getLogger("imageyard.service")


def reconciling(yard: Yard, token: SecretStr | None) -> tuple[Loop, ...]:
    """The loop, where the deployment names a Ray cluster; `token` is the cluster's."""
    if yard.deployment.ray is None:
        _log.warning("the configuration has no `ray:`, so jobs are kept and not run, and no drop folder is watched")
        return ()
    ray = RayJobs(yard.deployment.ray.address, token.get_secret_value() if token is not None else None)
    began = stamp(yard.clock())

    def heard(dataset: str, job: str, name: str, event: Mapping[str, Any]) -> None:
        yard.metrics.observed.event(dataset, job, name, event, old=str(event.get("time", "")) < began)

    loop = Reconciler(
        {tenant.name: partial(datasets_of, yard, tenant, [], count()) for tenant in yard.deployment.tenants},
        ray,
        clock=yard.clock,
        heard=heard,
        stores=yard.stores,
    )

    def turn(stopping: threading.Event) -> None:
        loop.once()

    return (Loop("reconcile", turn, EVERY),)


def datasets_of(yard: Yard, tenant: Tenant, known: list[str], turns: Iterator[int]) -> Sequence[str]:
    """URLs of a tenant's folders that may be datasets: one whose settings say that it is deleted may have open jobs.

    At each of `turns` another is the first, so that the one with many jobs is not always. While its store fails they
    are those of the last time, which `known` keeps.
    """
    try:
        known[:] = yard.stores.open(tenant.prefix).folders()
    except ImageyardError as error:
        _log.warning("jobs of %s are looked after later: %s", tenant.name, error, extra={"tenant": tenant.name})
    first = next(turns) % max(1, len(known))
    return [f"{tenant.prefix}/{name}" for name in (*known[first:], *known[:first])]
