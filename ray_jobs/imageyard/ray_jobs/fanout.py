"""The engine on Ray core: actors that pull shards, are replaced when they die, and isolate what killed them."""

from __future__ import annotations

import logging
import math
import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from imageyard.manifests.errors import ImageyardError, JobError
from imageyard.manifests.store import Store
from imageyard.ray_jobs.engine import Done
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.fanout_search import search_on_ray
from imageyard.ray_jobs.search.tasks import Task, TaskResult, in_threads
from imageyard.ray_jobs.work import Shard, Tally
from imageyard.ray_jobs.worker import Place, Worker, quarantine

if TYPE_CHECKING:
    import numpy as np

DEPTH = 2
"""Shards in flight for each actor: one at work, one downloading."""
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

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt(3)."""


def _keep_freed_memory() -> None:
    """Have glibc reuse what it frees: a decode worker turns over megabytes an image, and pages are dear to fault in.

    By call and not by environment, so that actors can take the idle processes that Ray has started already.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_M_ARENA_MAX, 2)
    mallopt(_M_MMAP_THRESHOLD, 32 * 1024 * 1024)
    mallopt(_M_TRIM_THRESHOLD, 128 * 1024 * 1024)


class _Actor:
    """A worker in its own process."""

    def ready(self, url: str, place: Place, extractors: Sequence[Extractor]) -> None:
        """Open the store, here, so that no credentials travel, and load every model.

        Ray has set OMP_NUM_THREADS to the actor's CPUs by now.
        """
        _keep_freed_memory()
        self._worker = Worker(Store.open(url), place)
        self._worker.prepare(extractors)

    def process(self, shard: Shard, turn: int) -> Tally:
        return self._worker.process(shard, turn)


@dataclass
class _Task:
    shard: Shard
    attempts: int = 0


@dataclass
class _Member:
    """An actor of the pool and what it has in flight, oldest first."""

    handle: Any
    ready: Any
    loaded: bool = False
    in_flight: deque[tuple[Any, _Task]] = field(default_factory=deque)
    turns: int = 0

    @property
    def next(self) -> Any:
        """What must come first: that it is ready, then its oldest shard. Calls end in the order of their turns."""
        if not self.loaded:
            return self.ready
        return self.in_flight[0][0] if self.in_flight else None


class RayEngine:
    """A pool of actors on a Ray cluster: a local one that it starts and stops, or the one at `address`."""

    def __init__(
        self,
        *,
        address: str = "local",
        actors: int | None = None,
        place: Place | None = None,
        gpus: float = 0,
        distribute_from: int = DISTRIBUTE_FROM,
    ) -> None:
        self._address = address
        self._actors = actors
        self._place = place or Place()
        self._gpus = gpus
        self._distribute_from = distribute_from
        self._started = False

    @property
    def parallel(self) -> int:
        if self._actors is not None:
            return self._actors
        return max(1, len(os.sched_getaffinity(0)) // self._place.cpus)

    @property
    def asks(self) -> str:
        """What each actor needs, in words."""
        return f"{self._place.cpus} CPUs and {self._gpus:g} GPUs free at a time"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._started:
            import ray

            ray.shutdown()
            self._started = False

    def run(self, store: Store, shards: Sequence[Shard], extractors: Sequence[Extractor], done: Done) -> None:
        if not shards:
            return
        if store.url.startswith("memory://"):
            raise JobError(f"{store.url}: other processes cannot see a memory store; use file:// or a bucket")
        self._start()
        _Run(self, store, extractors, done).work(shards)

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
            try:
                ray.init(
                    address=self._address,
                    include_dashboard=False if local else None,
                    num_cpus=self.parallel * self._place.cpus if local else None,
                    logging_level=logging.CRITICAL,
                    log_to_driver=False,
                )
            except (ValueError, ConnectionError, RuntimeError, OSError) as error:
                raise JobError(f"Ray at {self._address!r} cannot be reached or started: {_summary(error)}") from error
            self._started = True
        if self._gpus and self._resources().get("GPU", 0) < self._gpus:
            raise JobError(
                f"{self._gpus:g} GPUs an actor were asked for, but this Ray cluster has none to give; "
                "leave out --gpus, or add a GPU node"
            )

    def _resources(self) -> dict[str, float]:
        import ray

        return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]  # Ray leaves it without types

    def spawn(self, store: Store, extractors: Sequence[Extractor]) -> _Member:
        """A new actor, getting ready."""
        import ray

        actor: Any = ray.remote(_Actor).options(
            num_cpus=self._place.cpus, num_gpus=self._gpus, max_restarts=0, max_concurrency=DEPTH
        )
        handle = actor.remote()
        return _Member(handle, handle.ready.remote(store.url, self._place, tuple(extractors)))

    def size(self, shards: int) -> int:
        """How many actors `shards` shards deserve."""
        available = self._actors or max(1, math.floor(self._resources().get("CPU", 1) / self._place.cpus))
        return max(1, min(available, shards))


class _Run:
    """One call of `RayEngine.run`."""

    def __init__(self, engine: RayEngine, store: Store, extractors: Sequence[Extractor], done: Done) -> None:
        self._engine = engine
        self._store = store
        self._extractors = extractors
        self._done = done
        self._todo: deque[_Task] = deque()
        self._pool: list[_Member] = []
        self._false_starts = 0
        self._images = 0
        self._given_up: list[tuple[Shard, str]] = []

    def work(self, shards: Sequence[Shard]) -> None:
        import ray

        self._todo.extend(_Task(shard) for shard in shards)
        self._images = sum(len(shard.items) for shard in shards)
        size = self._engine.size(len(self._todo))
        deadline = time.monotonic() + 60 * READY_MINUTES
        try:
            while self._todo or any(member.in_flight for member in self._pool):
                while len(self._pool) < min(size, len(self._todo)):
                    self._pool.append(self._engine.spawn(self._store, self._extractors))
                for member in self._pool:
                    self._feed(member)
                self._release_idle()
                waiting = [member.next for member in self._pool if member.next is not None]
                ready, _ = ray.wait(waiting, num_returns=1, timeout=5)
                if not ready and not any(member.loaded for member in self._pool) and time.monotonic() > deadline:
                    raise JobError(
                        f"no worker was ready within {READY_MINUTES} minutes; does a node of the cluster have "
                        f"{self._engine.asks}?"
                    )
                for member in [member for member in self._pool if member.next in ready]:
                    if member.loaded:
                        self._collect(member)
                    else:
                        self._load(member)
        finally:
            for member in self._pool:
                ray.kill(member.handle)
        for shard, reason in self._given_up:  # only now that they are few: a fact is for ever
            self._done(quarantine(self._store, shard, reason))

    def _load(self, member: _Member) -> None:
        """Take the answer of a new actor; a model that cannot load ends the job, before any work."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            ray.get(member.ready)
            member.loaded = True
        except RayTaskError as error:
            if isinstance(error.cause, ImageyardError):
                raise error.cause from None
            raise JobError(f"a worker could not start: {_summary(error.cause)}") from error
        except RayError as error:
            self._pool.remove(member)
            self._false_starts += 1
            if self._false_starts > MAX_FALSE_STARTS:
                raise JobError(f"{MAX_FALSE_STARTS} workers died before they were ready: {_summary(error)}") from error

    def _feed(self, member: _Member) -> None:
        while member.loaded and self._todo and len(member.in_flight) < DEPTH:
            task = self._todo.popleft()
            member.in_flight.append((member.handle.process.remote(task.shard, member.turns), task))
            member.turns += 1

    def _release_idle(self) -> None:
        import ray

        for member in [m for m in self._pool if not m.in_flight and not self._todo]:
            ray.kill(member.handle)
            self._pool.remove(member)

    def _collect(self, member: _Member) -> None:
        """Take the oldest result; if the actor is dead, blame the oldest shard without one, requeue the others."""
        import ray
        from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

        reference, task = member.in_flight.popleft()
        try:
            self._done(ray.get(reference))
        except RayTaskError as error:
            if isinstance(error.cause, ImageyardError | OSError | MemoryError):
                self._again(task, error.cause)
            else:
                self._blame(task, f"reading it raised {_summary(error.cause)}")
        except RayError as error:
            self._pool.remove(member)
            ray.kill(member.handle)
            self._todo.extendleft(other for _, other in reversed(member.in_flight))
            if isinstance(error, OutOfMemoryError):
                self._again(task, error)
            else:
                self._blame(task, f"{ATTEMPTS} workers died while reading it ({_summary(error)})")

    def _again(self, task: _Task, cause: BaseException) -> None:
        """For faults that are nobody's image: a store that does not answer, a machine without memory or disk."""
        task.attempts += 1
        if task.attempts >= ATTEMPTS:
            if isinstance(cause, ImageyardError):
                raise cause
            raise JobError(
                f"workers failed {ATTEMPTS} times ({_summary(cause)}); give them more, or start fewer actors"
            )
        self._todo.append(task)

    def _blame(self, task: _Task, reason: str) -> None:
        if len(task.shard.items) > 1:
            self._todo.extendleft(_Task(half) for half in reversed(task.shard.halves()))
            return
        task.attempts += 1
        if task.attempts < ATTEMPTS:
            self._todo.appendleft(task)
            return
        self._given_up.append((task.shard, reason))
        if len(self._given_up) > max(MAX_GIVEN_UP, MAX_SHARE_GIVEN_UP * self._images):
            raise JobError(
                f"{len(self._given_up)} of {self._images:,} images cannot be read without killing their worker, so "
                f"something else is wrong; the last was {task.shard.items[0].key}: {reason}"
            )


def _summary(error: BaseException | None) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
