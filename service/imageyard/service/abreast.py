"""Work of several side by side, in threads: one that does not come to an end holds up nobody but itself."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

T = TypeVar("T")


class Abreast(Generic[T]):
    """Work that goes by names, with at most `most` threads, and for each name one piece at a time.

    Used by one thread. Threads end when there is nothing to do, and a process that ends does not wait for them.
    """

    def __init__(self, most: int, *, called: str) -> None:
        self._most, self._called = most, called
        self._lock = threading.Lock()
        self._queue: deque[tuple[Future[T], Callable[[], T]]] = deque()
        self._threads = 0
        self._going: dict[str, Future[T]] = {}

    @property
    def busy(self) -> frozenset[str]:
        """Names whose work goes on, or was not told to have ended."""
        return frozenset(self._going)

    def turn(self, work: Mapping[str, Callable[[], T]], *, patience: float) -> dict[str, Future[T]]:
        """Begin the work of names that are not busy, and wait for it, at most `patience` seconds; what has ended.

        What has not ended goes on, and is told by a later turn.
        """
        begun = [self._begin(name, one) for name, one in work.items() if name not in self._going]
        wait(begun, timeout=patience)
        ended = {name: future for name, future in self._going.items() if future.done()}
        for name in ended:
            del self._going[name]
        return ended

    def _begin(self, name: str, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._going[name] = future
        with self._lock:
            self._queue.append((future, work))
            if self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._called}-{self._threads}", daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._threads -= 1
                    return
                future, work = self._queue.popleft()
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  # the top of a thread: who asks for the result is told
                future.set_exception(error)
