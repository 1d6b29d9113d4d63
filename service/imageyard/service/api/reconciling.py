"""The service's own reconcile loop: it looks after the submitted jobs of every tenant, and counts what they say."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from pydantic import SecretStr

from imageyard.manifests.errors import ImageyardError
from imageyard.ray_jobs.job_log import stamp
from imageyard.ray_jobs.submit import RayJobs
from imageyard.service.api.loops import Loop
from imageyard.service.api.yard import Yard
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

    known: dict[str, Sequence[str]] = {}
    turns = count()
    loop = Reconciler(
        lambda: datasets_of(yard, known, next(turns)), ray, clock=yard.clock, heard=heard, stores=yard.stores
    )

    def turn(stopping: threading.Event) -> None:
        loop.once()

    return (Loop("reconcile", turn, EVERY),)


def datasets_of(yard: Yard, known: dict[str, Sequence[str]], turn: int = 0) -> Iterator[str]:
    """URLs of every folder that may be a dataset: one whose settings say that it is deleted may have jobs that run.

    At each turn another tenant is the first, so that the one with many jobs is not always. Of a tenant whose store does
    not answer those of the last time, which `known` keeps: the others go on.
    """
    tenants = yard.deployment.tenants
    first = turn % len(tenants)
    for tenant in (*tenants[first:], *tenants[:first]):
        try:
            known[tenant.name] = yard.stores.open(tenant.prefix).folders()
        except ImageyardError as error:
            _log.warning("jobs of %s are looked after later: %s", tenant.name, error, extra={"tenant": tenant.name})
        for name in known.get(tenant.name, ()):
            yield f"{tenant.prefix}/{name}"
