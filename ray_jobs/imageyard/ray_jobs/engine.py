"""The engine: what runs shards; here, in this process, and the promise that every other engine keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from imageyard.manifests.store import Store
from imageyard.ray_jobs.search.tasks import Task, TaskResult, in_threads
from imageyard.ray_jobs.work import Shard, Tally, needed
from imageyard.ray_jobs.worker import Place, Worker

if TYPE_CHECKING:
    import numpy as np

Done = Callable[[Tally], None]
"""Called as each worker is ready, with what loading took, and as each shard is finished."""


class Engine(Protocol):
    """Runs shards in any order, on any number of workers, each at least once; the facts are the same."""

    @property
    def parallel(self) -> int:
        """How many shards may be worked on at a time; for choosing their size."""
        ...

    def run(self, store: Store, shards: Sequence[Shard], done: Done) -> None:
        """Measure every shard; the models that they need are loaded first. Raises ModelError or JobError."""
        ...

    def search(self, store: Store, tasks: Sequence[Task], codes: np.ndarray) -> Iterable[TaskResult]:
        """Run the tasks of a search over codes, uint64 of shape (n, words), in any order. Raises JobError."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class LocalEngine:
    """Shards one after the other in this process: the same worker, no isolation from a crashing decoder."""

    parallel = 1

    def __init__(self, place: Place | None = None) -> None:
        self._place = place or Place()

    def run(self, store: Store, shards: Sequence[Shard], done: Done) -> None:
        worker = Worker(store, self._place)
        try:
            done(worker.prepare(needed(shards)))
            for shard in shards:
                done(worker.process(shard))
        finally:
            worker.close()

    def search(self, store: Store, tasks: Sequence[Task], codes: np.ndarray) -> Iterable[TaskResult]:
        return in_threads(tasks, codes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
