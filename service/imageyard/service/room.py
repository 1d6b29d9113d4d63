"""Room for attempts on one cluster, shared by tenants: one that has many jobs leaves some to those that have few."""

from __future__ import annotations

import itertools
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

Name = tuple[str, str]
"""Of a job: its dataset's URL, and its id."""


class Room:
    """`most` places, of which one of several tenants has at most three in four. Safe to use from several threads.

    What is free when a round begins is all that first attempts are given in it: what becomes free meanwhile does not go
    to who happens to see it first, but to who has waited with the fewest attempts, in the next round.
    """

    def __init__(self, most: int, *, tenants: int = 1) -> None:
        self._most = most
        self._share = most if tenants == 1 else max(1, most - max(1, most // 4))
        self._lock = threading.Lock()
        self._held: defaultdict[str, set[Name]] = defaultdict(set)
        """By tenant, jobs that have an attempt with the cluster, as far as is known."""
        self._waited: dict[str, int] = {}
        """By tenant, jobs for whose first attempts there was no room at the last look."""
        self._refused: Counter[str] = Counter()
        """As `_waited`, of the look that goes on."""
        self._kept: Counter[str] = Counter()
        """By tenant, places that nobody else is given while it is looked at."""
        self._common = 0
        """Places that anybody may be given in this round."""
        self._served: dict[str, int] = {}
        """By tenant, when it was given a place last."""
        self._numbers = itertools.count(1)

    def begin(self, tenants: Sequence[str]) -> None:
        """A round begins, in which `tenants` are looked at. Others may still be looked at from rounds before."""
        with self._lock:
            for tenant in tenants:
                self._kept.pop(tenant, None)
                self._refused.pop(tenant, None)
            self._common = max(0, self._most - self._taken() - self._kept.total())
            waiting = {tenant for tenant in tenants if self._wants(tenant)}
            while self._common and waiting:
                tenant = min(waiting, key=self._precedence)
                self._kept[tenant] += 1
                self._common -= 1
                self._served[tenant] = next(self._numbers)
                waiting = {tenant for tenant in waiting if self._wants(tenant)}

    def has(self, tenant: str, job: Name) -> bool:
        """Whether the job has a place, or would be given one now for its first attempt; if not, it waits."""
        with self._lock:
            return job in self._held[tenant] or self._free(tenant)

    def take(self, tenant: str, job: Name, *, first: bool) -> bool:
        """Whether the job is given a place, or has one. What follows a lost attempt waits for no round."""
        with self._lock:
            held = self._held[tenant]
            if job in held:
                return True
            if not (self._free(tenant) if first else self._taken() < self._most):
                return False
            held.add(job)
            if first:
                self._use(tenant)
            return True

    def note(self, tenant: str, job: Name, *, live: bool) -> None:
        """Whether the job has an attempt with the cluster, as was seen."""
        with self._lock:
            if live:
                self._held[tenant].add(job)
            else:
                self._held[tenant].discard(job)

    def end(self, tenant: str, jobs: Collection[Name]) -> None:
        """The tenant has been looked at; `jobs` are those of its jobs that have not ended."""
        with self._lock:
            self._held[tenant] &= set(jobs)
            self._kept.pop(tenant, None)
            self._waited[tenant] = self._refused.pop(tenant, 0)

    def _free(self, tenant: str) -> bool:
        free = (
            self._taken() < self._most
            and len(self._held[tenant]) < self._share
            and (self._kept[tenant] > 0 or self._common > 0)
        )
        self._refused[tenant] += not free
        return free

    def _use(self, tenant: str) -> None:
        """The tenant begins a first attempt: in a place that was kept for it, or in one of all."""
        if self._kept[tenant]:
            self._kept[tenant] -= 1
            return
        self._common -= 1
        self._served[tenant] = next(self._numbers)

    def _wants(self, tenant: str) -> bool:
        kept = self._kept[tenant]
        return self._waited.get(tenant, 0) > kept and len(self._held[tenant]) + kept < self._share

    def _precedence(self, tenant: str) -> tuple[int, int, str]:
        return len(self._held[tenant]) + self._kept[tenant], self._served.get(tenant, 0), tenant

    def _taken(self) -> int:
        return sum(map(len, self._held.values()))
