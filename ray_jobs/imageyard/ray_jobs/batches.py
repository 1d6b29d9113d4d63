"""The batches of one shard: filled as images come, run, and how long the models had nothing to do."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from imageyard.ray_jobs.extractors.base import Model, Row
from imageyard.ray_jobs.work import Tally

if TYPE_CHECKING:
    import numpy as np


class Timed(Protocol):
    """Something that took a download."""

    @property
    def fetched(self) -> float:
        """When its bytes were there, by the monotonic clock."""
        ...


R = TypeVar("R", bound=Timed)


@dataclass(frozen=True)
class Loaded:
    """A model, and how many threads may call it at a time."""

    model: Model
    runs_at_once: int = 1


@dataclass(frozen=True)
class _Ran:
    rows: Sequence[Row]
    begun: float
    ended: float


class Batches:
    """One shard's inputs on their way through the models, and the rows that come of them."""

    def __init__(self, models: Mapping[str, Loaded], runners: Executor | None) -> None:
        """Run batches on `runners`, or without it where they are added."""
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in models}
        self._models = models
        self._runners = runners
        self._filling: dict[str, list[tuple[str, np.ndarray]]] = {name: [] for name in models}
        self._flying: deque[tuple[str, list[str], Future[_Ran]]] = deque()
        self._busy_until = 0.0
        self._runs = self._images = 0
        self._seconds = self._padding = self._for_store = self._for_decode = 0.0

    @property
    def tally(self) -> Tally:
        """What the models have done and waited for."""
        return Tally(
            model_runs=self._runs,
            model_images=self._images,
            model_seconds=self._seconds,
            padding_seconds=self._padding,
            waited_for_store_seconds=self._for_store,
            waited_for_decode_seconds=self._for_decode,
        )

    def awaited(self, results: Iterator[R]) -> Iterator[R]:
        """`results`; the time that each lets the models wait is put down to the store or to decoding."""
        while True:
            asked = time.monotonic()
            result = next(results, None)
            if result is None:
                return
            came = time.monotonic()
            if self._models and all(future.done() for _, _, future in self._flying):
                self._collect(0)
                idle = max(asked, self._busy_until)
                there = min(max(result.fetched, idle), came)
                self._for_store += there - idle if came > idle else 0.0
                self._for_decode += max(0.0, came - there)
            yield result

    def add(self, name: str, content: str, array: np.ndarray) -> None:
        """Give a model one image's input; it runs when its batch is full."""
        self._filling[name].append((content, array))
        if len(self._filling[name]) == self._models[name].model.batch:
            self._run(name)

    def finish(self) -> None:
        """Run what is left, and take all rows."""
        for name in self._models:
            if self._filling[name]:
                self._run(name)
        self._collect(0)

    def _run(self, name: str) -> None:
        loaded, batch = self._models[name], self._filling[name]
        self._filling[name] = []
        contents, arrays = [content for content, _ in batch], [array for _, array in batch]
        if self._runners is None:
            self._take(name, contents, _timed(loaded.model, arrays))
        else:
            self._collect(loaded.runs_at_once - 1)
            self._flying.append((name, contents, self._runners.submit(_timed, loaded.model, arrays)))

    def _collect(self, leave: int) -> None:
        """Take the rows of runs, oldest first, until at most `leave` are under way."""
        while len(self._flying) > leave:
            name, contents, future = self._flying.popleft()
            self._take(name, contents, future.result())

    def _take(self, name: str, contents: Sequence[str], ran: _Ran) -> None:
        self.rows[name].update(zip(contents, ran.rows, strict=True))
        seconds = max(0.0, ran.ended - max(ran.begun, self._busy_until))
        self._busy_until = max(self._busy_until, ran.ended)
        self._runs += 1
        self._images += len(contents)
        self._seconds += seconds
        self._padding += seconds * (1 - len(contents) / self._models[name].model.batch)


def _timed(model: Model, arrays: Sequence[np.ndarray]) -> _Ran:
    begun = time.monotonic()
    rows = model.run(arrays)
    return _Ran(rows, begun, time.monotonic())
