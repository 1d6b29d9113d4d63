"""What requests share when they read versions: parts of manifests, records, and numbers that are counted once."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

from imageyard.manifests.chunks import Chunks
from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ImageyardError, NotFoundError
from imageyard.manifests.version import Version, version_key
from imageyard.ray_jobs.statistics import Statistics, statistics
from imageyard.service.counting import counted_apart

MOST_VERSIONS = 200
"""Records kept, of which one of a million samples takes some 100 KB."""
MOST_COUNTED = 100
MOST_DATASETS = 10_000
AT_ONCE = 20_000
"""Samples that are counted while the request waits; of more it is told to ask again."""
MOST_COUNTING = 8
"""Of one tenant, what is counted or waits to be, beside the requests."""
WAITING = 4
"""People's actions on one dataset that wait for one that is being committed."""
T = TypeVar("T")


class BusyError(ImageyardError):
    """So many are at work on this already that one more should come back later."""


class _Recent(Generic[T]):
    """The values that were asked for last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: Hashable, make: Callable[[], T], *, good: Callable[[T], bool] = lambda value: True) -> T:
        """The value of `name`, made if there is none that is good; `make` takes no time, or may be done twice."""
        with self._lock:
            if name in self._held and good(self._held[name]):
                self._held.move_to_end(name)
                return self._held[name]
        value = make()
        with self._lock:
            # Of two that were made at once the first is everybody's.
            value = self._held[name] if name in self._held and good(self._held[name]) else value
            self._held[name] = value
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        return value


class _Counted:
    """Values that take time, made once for however many ask for them.

    What is quickly made is made by who asks first. What takes long is made in threads of its own, of which nobody's
    quick question has to wait for a place.
    """

    def __init__(self, most: int) -> None:
        self._recent: _Recent[Future[Any]] = _Recent(most)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="counting")
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()

    def get(self, name: Hashable, make: Callable[[], Any], *, long: bool, owner: str) -> Future[Any]:
        """What `make` makes, or will have made; an error is raised to whoever waits, and not kept.

        Raises BusyError if it would take long, and enough of `owner` does already.
        """
        mine: list[Future[Any]] = []

        def begun() -> Future[Any]:
            if long:
                return self._beside(make, owner)
            mine.append(Future())
            return mine[0]

        with self._lock:
            future = self._recent.get(name, begun, good=_sound)
        for one in mine:
            try:
                one.set_result(make())
            except BaseException as error:
                one.set_exception(error)  # to whoever waits for it too
                raise
        return future

    def _beside(self, make: Callable[[], Any], owner: str) -> Future[Any]:
        if self._busy[owner] >= MOST_COUNTING:
            raise BusyError("so much is being counted already; ask again in a moment")
        self._busy[owner] += 1

        def counted() -> Any:
            try:
                return make()
            finally:
                with self._lock:
                    self._busy[owner] -= 1
                    self._busy += Counter()  # forgets who has none

        return self._pool.submit(counted)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _sound(future: Future[Any]) -> bool:
    return not future.done() or future.exception() is None


class Reading:
    """Made once for a service; for any number of threads. All that it keeps is immutable in the store."""

    def __init__(self) -> None:
        self.chunks = Chunks()
        self._versions: _Recent[Version] = _Recent(MOST_VERSIONS)
        self._counted = _Counted(MOST_COUNTED)
        self._newest: OrderedDict[str, int] = OrderedDict()
        self._acting: OrderedDict[str, tuple[threading.Lock, threading.BoundedSemaphore]] = OrderedDict()
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    def version(self, dataset: Dataset, number: int) -> Version:
        """Version `number`. Raises VersionError if there is none."""
        return self._versions.get((dataset.url, number), lambda: dataset.version(number))

    def newest(self, dataset: Dataset) -> Version | None:
        """The newest version; looks for the one after the last that was seen, which costs less than a listing."""
        with self._lock:
            number = self._newest.get(dataset.url)
        if number is None:
            numbers = dataset.numbers()
            if not numbers:
                return None
            number = numbers[-1]
        while self._is_there(dataset, number + 1):
            number += 1
        with self._lock:
            self._newest[dataset.url] = max(number, self._newest.get(dataset.url, 0))
            while len(self._newest) > MOST_DATASETS:
                self._newest.popitem(last=False)
        return self.version(dataset, number)

    def _is_there(self, dataset: Dataset, number: int) -> bool:
        try:
            dataset.store.head(version_key(number))
        except NotFoundError:
            return False
        return True

    def statistics(self, dataset: Dataset, version: Version) -> Statistics | None:
        """The numbers of a version; None while those of a large one are being counted."""
        large = sum(entry.lines for entry in version.manifests.values()) > AT_ONCE
        name = ("statistics", dataset.url, version.number)

        def count() -> Statistics:
            return counted_apart(dataset, version, self._stopping) if large else statistics(dataset, version)

        return self.counted(name, count, large=large, owner=owner_of(dataset))

    def counted(self, name: Hashable, make: Callable[[], T], *, large: bool, owner: str = "") -> T | None:
        """What `make` counts, once for each `name`; None while it is being counted, if it is `large`.

        Raises BusyError if it is, and so much of `owner` is being counted already.
        """
        future = self._counted.get(name, make, long=large, owner=owner)
        return None if large and not future.done() else cast(T, future.result())

    @contextmanager
    def alone(self, dataset: Dataset) -> Iterator[None]:
        """Let one at a time commit to a dataset, so that people who act at once do not write what others make stale.

        Raises BusyError where too many wait already. Another process is not held up: it loses the race, or wins it.
        """
        with self._lock:
            lock, places = self._acting.setdefault(dataset.url, (threading.Lock(), threading.BoundedSemaphore(WAITING)))
            self._acting.move_to_end(dataset.url)
        if not places.acquire(blocking=False):
            raise BusyError("others are acting on this dataset; try again in a moment")
        try:
            with lock:
                yield
        finally:
            places.release()

    def close(self) -> None:
        """Let nothing be counted any more, and what counts in a process of its own end."""
        self._stopping.set()
        self._counted.close()


def owner_of(dataset: Dataset) -> str:
    """Whose a dataset is: the prefix of its tenant."""
    return dataset.url.rpartition("/")[0]
