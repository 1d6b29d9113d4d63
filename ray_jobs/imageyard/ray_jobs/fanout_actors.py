"""Actors of one kind on Ray core: how many, what each has in flight, and when it is let go."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from imageyard.manifests.store import Store
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.work import Shard, Tally
from imageyard.ray_jobs.worker import Place, Worker

DEPTH = 3
"""Shards in flight for each actor: one being written, one at the models, one downloading and decoding."""

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

    def ready(self, url: str, place: Place, extractors: Sequence[Extractor]) -> Tally:
        """Open the store, here, so that no credentials travel, and load every model.

        Ray has set OMP_NUM_THREADS to the actor's CPUs by now, and CUDA_VISIBLE_DEVICES to its GPUs.
        """
        _keep_freed_memory()
        self._worker = Worker(Store.open(url), place)
        return self._worker.prepare(extractors)

    def process(self, shard: Shard, turn: int) -> Tally:
        return self._worker.process(shard, turn)


@dataclass(frozen=True)
class Post:
    """What an actor of a pool has, and what it is there for."""

    place: Place
    gpus: float
    extractors: tuple[Extractor, ...]

    @property
    def asks(self) -> str:
        """What each actor needs, in words."""
        return f"{self.place.cpus} CPUs and {self.gpus:g} GPUs free at a time"


@dataclass
class Errand:
    """A shard to be measured, and what has come of it so far."""

    shard: Shard
    attempts: int = 0
    alone: bool = False
    """Whether nothing else may be in flight for its actor, so that it is known who killed it."""


@dataclass
class Member:
    """An actor of the pool and what it has in flight, oldest first."""

    handle: Any
    ready: Any
    loaded: bool = False
    in_flight: deque[tuple[Any, Errand]] = field(default_factory=deque)
    turns: int = 0

    @property
    def next(self) -> Any:
        """What must come first: that it is ready, then its oldest shard. Calls end about in their order."""
        if not self.loaded:
            return self.ready
        return self.in_flight[0][0] if self.in_flight else None


class Pool:
    """Actors of one post, and the errands that wait for them."""

    def __init__(self, store: Store, post: Post, size: int, shards: Iterable[Shard]) -> None:
        self.post = post
        self.members: list[Member] = []
        self._store = store
        self._size = size
        self._todo = deque(Errand(shard) for shard in shards)
        self._alone: deque[Errand] = deque()

    @property
    def unfinished(self) -> bool:
        """Whether an errand waits or is in flight."""
        return self._waiting > 0 or any(member.in_flight for member in self.members)

    @property
    def _waiting(self) -> int:
        return len(self._todo) + len(self._alone)

    def again(self, errands: Iterable[Errand], *, first: bool = False) -> None:
        """Have `errands` done, in their order: before all others, or after them."""
        for errand in reversed(list(errands)) if first else errands:
            queue = self._alone if errand.alone else self._todo
            (queue.appendleft if first else queue.append)(errand)

    def fill(self) -> None:
        """Start actors that are missing, feed those that are ready, let go of those that have nothing to do."""
        import ray

        while len(self.members) < min(self._size, self._waiting):
            self.members.append(self._spawn())
        for depth in range(1, DEPTH + 1):
            for member in self.members:
                if member.loaded and len(member.in_flight) < depth:
                    self._feed(member)
        for member in [m for m in self.members if not m.in_flight and not self._waiting]:
            ray.kill(member.handle)
            self.members.remove(member)

    def drop(self, member: Member) -> None:
        """Strike off an actor that is dead, or as good as that."""
        import ray

        self.members.remove(member)
        ray.kill(member.handle)

    def close(self) -> None:
        """End all actors."""
        for member in list(self.members):
            self.drop(member)

    def _feed(self, member: Member) -> None:
        """One more errand, if there is one that fits; towards the end none is taken that another could begin sooner."""
        if not member.in_flight:
            queue = self._alone or self._todo
        elif member.in_flight[0][1].alone or len(self._todo) < len(self.members) * len(member.in_flight):
            return
        else:
            queue = self._todo
        if queue:
            errand = queue.popleft()
            member.in_flight.append((member.handle.process.remote(errand.shard, member.turns), errand))
            member.turns += 1

    def _spawn(self) -> Member:
        """A new actor, getting ready."""
        import ray

        actor: Any = ray.remote(_Actor).options(
            num_cpus=self.post.place.cpus, num_gpus=self.post.gpus, max_restarts=0, max_concurrency=DEPTH
        )
        handle = actor.remote()
        return Member(handle, handle.ready.remote(self._store.url, self.post.place, self.post.extractors))
