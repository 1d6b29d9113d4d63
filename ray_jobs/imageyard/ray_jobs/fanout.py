"""The engine on Ray core: actors that pull shards, are replaced when they die, and isolate what killed them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from imageyard.manifests.errors import ClusterError, ImageyardError, JobError
from imageyard.manifests.store import Store
from imageyard.ray_jobs.capacity import Resources, room, wanted
from imageyard.ray_jobs.engine import Done
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.fanout_actors import Errand, Member, Pool, Post
from imageyard.ray_jobs.fanout_search import search_on_ray
from imageyard.ray_jobs.search.tasks import Task, TaskResult, in_threads
from imageyard.ray_jobs.work import Shard, needed
from imageyard.ray_jobs.worker import Place, quarantine

if TYPE_CHECKING:
    import numpy as np

ATTEMPTS = 3
"""Workers that one image may kill before it is given up."""
READY_MINUTES = 30
"""For a cluster to add a node, and for the node to load the models."""
MAX_FALSE_STARTS = 10
"""Workers that may die before they are ready, in one run."""
MAX_GIVEN_UP, MAX_SHARE_GIVEN_UP = 3, 0.02
"""Images that may be given up, by number or by share of a run; past both, the images are not what is wrong."""
DISTRIBUTE_FROM = 2_000_000
"""Codes from which a search is spread over the cluster: below, one machine is done in a few seconds."""


class RayEngine:
    """A pool of actors on a Ray cluster: a local one that it starts and stops, or the one at `address`."""

    def __init__(
        self,
        *,
        address: str = "local",
        actors: int | None = None,
        place: Place | None = None,
        gpus: float = 0,
        may_come: Sequence[Resources] = (),
        distribute_from: int = DISTRIBUTE_FROM,
    ) -> None:
        """`may_come`: the nodes that an autoscaler may have at most, if the cluster has one."""
        self._address = address
        self._actors = actors
        self._place = place or Place()
        self._gpus = gpus
        self._may_come = may_come
        self._distribute_from = distribute_from
        self._started = False

    @property
    def parallel(self) -> int:
        if self._actors is not None:
            return self._actors
        if self._address == "local":
            return max(1, len(os.sched_getaffinity(0)) // self._place.cpus)
        self.connect()
        return max(1, room(_nodes(), cpus=self._place.cpus))

    def connect(self) -> None:
        """Join the cluster, or start it, now and not with the first shard. Raises JobError.

        Ray takes the handlers of signals when it joins; whoever has their own installs them after this.
        """
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._started:
            import ray

            ray.shutdown()
            self._started = False

    def run(self, store: Store, shards: Sequence[Shard], done: Done) -> None:
        """Actors with GPUs take the shards that need a model, and the rest neither waits for a GPU nor has one."""
        if not shards:
            return
        self._start_for(store)
        modelled = [shard for shard in shards if shard.needs_model] if self._gpus else list(shards)
        rest = [shard for shard in shards if not shard.needs_model] if self._gpus else []
        pools, taken = [], 0
        if modelled:
            taken = min(self._wanted(self._gpus, len(modelled)), len(modelled))
            pools.append(Pool(store, Post(self._place, self._gpus, needed(modelled)), taken, modelled))
        if rest:
            size = min(max(1, self._wanted(0, len(rest)) - taken), len(rest))
            pools.append(Pool(store, Post(replace(self._place, gpu=False), 0, needed(rest)), size, rest))
        _Run(store, pools, done).work(sum(len(shard.items) for shard in shards))

    def check(self, store: Store, extractors: Sequence[Extractor]) -> None:
        """In an actor like those that will work, which is let go again."""
        self._start_for(store)
        self._wanted(self._gpus, 1)
        pool = Pool(store, Post(self._place, self._gpus, tuple(extractors)), 1, ())
        _Run(store, [pool], lambda tally: None).check(pool)

    def _start_for(self, store: Store) -> None:
        if store.url.startswith("memory://"):
            raise JobError(f"{store.url}: other processes cannot see a memory store; use file:// or a bucket")
        self._start()

    def search(self, store: Store, tasks: Sequence[Task], codes: np.ndarray) -> Iterable[TaskResult]:
        """On the cluster if there are enough codes for it to pay, else in threads of this process: the same pairs."""
        if len(codes) < self._distribute_from:
            return in_threads(tasks, codes)
        self._start()
        return search_on_ray(store, tasks, codes)

    def _start(self) -> None:
        import ray

        if not ray.is_initialized():
            local = self._address == "local"
            # With GPUs, room for one actor without.
            cpus = self.parallel * self._place.cpus + (self._place.cpus if self._gpus else 0) if local else None
            try:
                ray.init(
                    address=self._address,
                    include_dashboard=False if local else None,
                    num_cpus=cpus,
                    logging_level=logging.CRITICAL,
                    log_to_driver=False,
                )
            except (ValueError, ConnectionError, RuntimeError, OSError) as error:
                raise ClusterError(
                    f"Ray at {self._address!r} cannot be reached or started: {_summary(error)}"
                ) from error
            self._started = True

    def _wanted(self, gpus: float, shards: int) -> int:
        """How many actors with `gpus` GPUs to ask for, at least one. Raises JobError if there can never be one."""
        if gpus > 1 and gpus != int(gpus):
            raise JobError(f"{gpus:g} GPUs an actor: Ray gives a share of one GPU, or whole ones; say 1, 2 or 0.5")
        nodes = _nodes()
        if gpus and all(node.get("GPU", 0) < gpus for node in (*nodes, *self._may_come)):
            raise JobError(
                f"{gpus:g} GPUs an actor were asked for, but this Ray cluster has none to give: no node has as many; "
                "leave out --gpus, or add a GPU node"
            )
        return self._actors or wanted(nodes, self._may_come, cpus=self._place.cpus, gpus=gpus, shards=shards)


class _Run:
    """One call of `RayEngine.run`."""

    def __init__(self, store: Store, pools: Sequence[Pool], done: Done) -> None:
        self._store = store
        self._pools = pools
        self._done = done
        self._false_starts = 0
        self._images = 0
        self._given_up: list[tuple[Shard, str]] = []

    def work(self, images: int) -> None:
        """Have everything done that the pools hold, `images` images."""
        import ray

        self._images = images
        heard = time.monotonic()
        try:
            while any(pool.unfinished for pool in self._pools):
                for pool in self._pools:
                    pool.fill()
                members = [(pool, member) for pool in self._pools for member in pool.members if member.next is not None]
                ready, _ = ray.wait([member.next for _, member in members], num_returns=1, timeout=5)
                if ready or any(member.loaded for _, member in members):
                    heard = time.monotonic()
                elif time.monotonic() > heard + 60 * READY_MINUTES:
                    raise JobError(_not_ready(members[0][0]))
                for pool, member in [(pool, member) for pool, member in members if member.next in ready]:
                    if member.loaded:
                        self._collect(pool, member)
                    else:
                        self._load(pool, member)
        finally:
            for pool in self._pools:
                pool.close()
        for shard, reason in self._given_up:  # only now that they are few: a fact is for ever
            self._done(quarantine(self._store, shard, reason))

    def check(self, pool: Pool) -> None:
        """Have one actor of `pool` get ready. Raises ModelError or JobError if none can."""
        import ray

        try:
            member = pool.enlist()
            while not member.loaded:
                ready, _ = ray.wait([member.ready], timeout=60 * READY_MINUTES)
                if not ready:
                    raise JobError(_not_ready(pool))
                self._load(pool, member)
                member = next(iter(pool.members), None) or pool.enlist()
        finally:
            pool.close()

    def _load(self, pool: Pool, member: Member) -> None:
        """Take the answer of a new actor; a model that cannot load ends the job, before any work."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            self._done(ray.get(member.ready))
            member.loaded = True
        except RayTaskError as error:
            if isinstance(error.cause, ImageyardError):
                raise error.cause from None
            raise JobError(f"a worker could not start: {_summary(error.cause)}") from error
        except RayError as error:
            pool.drop(member)
            self._false_starts += 1
            if self._false_starts > MAX_FALSE_STARTS:
                raise JobError(f"{MAX_FALSE_STARTS} workers died before they were ready: {_summary(error)}") from error

    def _collect(self, pool: Pool, member: Member) -> None:
        """Take the oldest result.

        If the actor is dead and this was all that it had in flight, this killed it. If there was more, nobody knows:
        shards overlap, and a result that was on its way is lost. Then each is tried again alone.
        """
        import ray
        from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

        reference, errand = member.in_flight.popleft()
        try:
            self._done(ray.get(reference))
        except RayTaskError as error:
            if isinstance(error.cause, ImageyardError | OSError | MemoryError):
                self._again(pool, errand, error.cause)
            else:
                self._blame(pool, errand, f"reading it raised {_summary(error.cause)}")
        except RayError as error:
            pool.drop(member)
            if member.in_flight:
                suspects = [errand, *(other for _, other in member.in_flight)]
                pool.again((replace(suspect, alone=True) for suspect in suspects), first=True)
            elif isinstance(error, OutOfMemoryError):
                self._again(pool, errand, error)
            else:
                self._blame(pool, errand, f"{ATTEMPTS} workers died while reading it ({_summary(error)})")

    def _again(self, pool: Pool, errand: Errand, cause: BaseException) -> None:
        """For faults that are nobody's image: a store that does not answer, a machine without memory or disk."""
        if errand.attempts + 1 < ATTEMPTS:
            pool.again([replace(errand, attempts=errand.attempts + 1)])
        elif isinstance(cause, ImageyardError):
            raise cause
        else:
            raise JobError(
                f"workers failed {ATTEMPTS} times ({_summary(cause)}); give them more, or start fewer actors"
            )

    def _blame(self, pool: Pool, errand: Errand, reason: str) -> None:
        if len(errand.shard.items) > 1:
            pool.again((Errand(half, alone=errand.alone) for half in errand.shard.halves()), first=True)
            return
        if errand.attempts + 1 < ATTEMPTS:
            pool.again([replace(errand, attempts=errand.attempts + 1)], first=True)
            return
        self._given_up.append((errand.shard, reason))
        if len(self._given_up) > max(MAX_GIVEN_UP, MAX_SHARE_GIVEN_UP * self._images):
            raise JobError(
                f"{len(self._given_up)} of {self._images:,} images cannot be read without killing their worker, so "
                f"something else is wrong; the last was {errand.shard.items[0].key}: {reason}"
            )


def _nodes() -> list[dict[str, float]]:
    """The resources of every node that is there."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _not_ready(pool: Pool) -> str:
    return f"no worker was ready within {READY_MINUTES} minutes; does a node of the cluster have {pool.post.asks}?"


def _summary(error: BaseException | None) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
