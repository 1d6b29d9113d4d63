"""Whether the stores of all tenants answer and create only once, and whether Ray can be reached; looked at rarely."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from imageyard.manifests.errors import StoreError
from imageyard.manifests.store import Store
from imageyard.service.deployment import Deployment, Tenant

Reach = Literal["reachable", "unreachable", "none"]
PROBE = ".imageyard-probe"
"""An object below each tenant's prefix, no dataset's name; made once, then refused to be made again."""
GOOD_FOR = 10.0
"""Seconds for which an answer is repeated."""
SLOW = 30.0
"""Seconds after which a look that has not ended is no reason to repeat the answer before."""
RAY_SECONDS = 1.0
SIDE_BY_SIDE = 8
_log = logging.getLogger("imageyard.service")


@dataclass(frozen=True)
class Found:
    """What a look found."""

    stores: int
    failing: tuple[str, ...]
    """Names of tenants."""
    ray: Reach


class Readiness:
    """One look at a time, whoever asks."""

    def __init__(self, deployment: Deployment, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._deployment, self._clock = deployment, clock
        self._stores: dict[str, Store] = {}
        self._lock = threading.Lock()
        self._last: tuple[float, Found] | None = None

    def look(self) -> Found | None:
        """What is so now, or was some seconds ago; None while nobody knows, as the stores do not answer.

        Whoever asks while somebody looks already does not wait: anybody may ask, and threads are few.
        """
        if not self._lock.acquire(blocking=False):
            last = self._last
            return last[1] if last is not None and self._clock() - last[0] < GOOD_FOR + SLOW else None
        try:
            if self._last is not None and self._clock() - self._last[0] < GOOD_FOR:
                return self._last[1]
            tenants = self._deployment.tenants
            with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
                good = list(pool.map(self._works, tenants))
            failing = tuple(tenant.name for tenant, works in zip(tenants, good, strict=True) if not works)
            found = Found(len(tenants), failing, reach(self._deployment))
            self._last = (self._clock(), found)
            return found
        finally:
            self._lock.release()

    def _works(self, tenant: Tenant) -> bool:
        try:
            store = self._stores.get(tenant.name)
            if store is None:
                store = self._stores[tenant.name] = Store.open(tenant.prefix, hasty=True)
            store.refuse_unless_create_only(PROBE, b"")
        except StoreError as error:
            _log.error("not ready: %s", error, extra={"tenant": tenant.name})
            return False
        return True


def reach(deployment: Deployment) -> Reach:
    """Whether something listens at Ray's address; nothing is asked of it."""
    if deployment.ray is None:
        return "none"
    parts = urlsplit(deployment.ray.address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=RAY_SECONDS).close()
    except OSError:
        return "unreachable"
    return "reachable"
