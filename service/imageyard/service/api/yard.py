"""What all routes share: the deployment, keys, stores, catalogs, metrics, and the places for streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any, cast

from fastapi import Request

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.version import Version
from imageyard.service.api.keys import Keyring
from imageyard.service.api.metrics import Metrics
from imageyard.service.api.rates import Rates
from imageyard.service.api.readiness import Readiness
from imageyard.service.api.streams import Streams
from imageyard.service.catalog import Catalog
from imageyard.service.deployment import Deployment, Tenant
from imageyard.service.job_lists import JobLists
from imageyard.service.reading import BusyError, Reading
from imageyard.service.stores import Stores

LabelStatistics = Callable[[Dataset, Version], Mapping[str, Any] | None]
"""What `GET /v1/datasets/{dataset}` says of labels, of the newest version; None where it would take too long."""


@dataclass(frozen=True)
class Yard:
    """Made once by `create_app`; a route takes it as `yard: Annotated[Yard, Depends(yard_of)]`."""

    deployment: Deployment
    keyring: Keyring
    stores: Stores
    metrics: Metrics
    requests: Rates
    failures: Rates
    streams: Streams
    readiness: Readiness
    clock: Callable[[], datetime]
    labels: LabelStatistics | None = None
    reading: Reading = field(default_factory=Reading)
    """Versions, their samples and their numbers."""
    stopping: Event = field(default_factory=Event)
    """Set when the server is told to stop: event streams and background loops look at it, and end."""
    jobs: JobLists = field(default_factory=JobLists)
    _catalogs: dict[str, Catalog] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        deployment: Deployment,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        labels: LabelStatistics | None = None,
    ) -> Yard:
        limits, reading = deployment.limits, Reading()
        return cls(
            deployment=deployment,
            keyring=Keyring(deployment),
            stores=Stores(),
            metrics=Metrics(),
            requests=Rates(per_second=limits.requests_per_second, burst=limits.burst),
            failures=Rates(per_second=limits.failures_per_minute / 60, burst=limits.failures_per_minute),
            streams=Streams(most=limits.streams, most_of_a_key=limits.streams_of_a_key),
            readiness=Readiness(deployment),
            clock=clock,
            labels=labels or _labels(reading),
            reading=reading,
        )

    def catalog(self, tenant: Tenant) -> Catalog:
        """The datasets of a tenant."""
        known = self._catalogs.get(tenant.name)
        if known is None:
            known = self._catalogs.setdefault(tenant.name, Catalog(tenant.prefix, self.stores, self.clock))
        return known


def _labels(reading: Reading) -> LabelStatistics:
    """Label statistics out of the numbers that are counted once for each version."""

    def labels(dataset: Dataset, version: Version) -> Mapping[str, Any] | None:
        try:
            found = reading.statistics(dataset, version)
        except BusyError:
            return None
        return {name: told.model_dump(mode="json") for name, told in found.labels.items()} if found else None

    return labels


def yard_of(request: Request) -> Yard:
    return cast(Yard, request.app.state.yard)


def note(request: Request, **more: Any) -> None:
    """Let the audit event of this request say more: `note(request, job=job.id, result="submitted")`. No secrets.

    Every request that may change something writes an audit event by itself: who, which operation, the dataset and job
    of its path, the status.
    """
    request.scope["state"].setdefault("noted", {}).update(more)
