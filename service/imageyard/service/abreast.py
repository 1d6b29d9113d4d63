"""Work of several side by side, in threads: one whose work does not come to an end holds up nobody else."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

T = TypeVar("T")


class Threads(Generic[T]):
    """At most `most` threads, of which nobody has more than `share`: who has the fewest is next, in turn.

    A thread ends when it has nothing to do, and a process that ends does not wait for any.
    """

    def __init__(self, most: int, *, share: int, called: str) -> None:
        self._most, self._share, self._called = most, share, called
        self._lock = threading.Lock()
        self._queues: dict[str, deque[tuple[Future[T], Callable[[], T]]]] = {}
        """What waits, by whose it is; who was served last is the last."""
        self._running: Counter[str] = Counter()
        self._threads = 0

    def submit(self, name: str, work: Callable[[], T]) -> Future[T]:
        """Have `work` of `name` done."""
        future: Future[T] = Future()
        with self._lock:
            self._queues.setdefault(name, deque()).append((future, work))
            if self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._serve, name=self._called, daemon=True).start()
        return future

    def close(self) -> None:
        """What has not begun is not begun."""
        with self._lock:
            for queue in self._queues.values():
                for future, _ in queue:
                    future.cancel()
            self._queues = {}

    def _serve(self) -> None:
        name = None
        while True:
            with self._lock:
                if name is not None:
                    self._running[name] -= 1
                fitting = [one for one in self._queues if self._running[one] < self._share]
                if not fitting:
                    self._threads -= 1
                    return
                name = min(fitting, key=self._running.__getitem__)
                queue = self._queues.pop(name)
                future, work = queue.popleft()
                self._running[name] += 1
                if queue:
                    self._queues[name] = queue
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  # the top of a thread: who asks for the result is told
                future.set_exception(error)


class Abreast(Generic[T]):
    """Work by names, of each name one piece at a time, with at most `most` threads. Used by one thread."""

    def __init__(self, most: int, *, called: str) -> None:
        self._threads = Threads[T](most, share=1, called=called)
        self._going: dict[str, Future[T]] = {}

    @property
    def busy(self) -> frozenset[str]:
        """Names whose work goes on, or was not told to have ended."""
        return frozenset(self._going)

    def turn(self, work: Mapping[str, Callable[[], T]], *, patience: float | None) -> dict[str, Future[T]]:
        """Begin the work of names that are not busy, and wait for it, at most `patience` seconds; what has ended.

        What has not ended goes on, and is told by a later turn.
        """
        begun = {name: self._threads.submit(name, one) for name, one in work.items() if name not in self._going}
        self._going |= begun
        wait(begun.values(), timeout=patience)
        ended = {name: future for name, future in self._going.items() if future.done()}
        for name in ended:
            del self._going[name]
        return ended
