"""How many event streams are open: so many in all, and so many of one key."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from imageyard.service.api.problems import ProblemError


class Streams:
    """Places for open streams."""

    def __init__(self, *, most: int, most_of_a_key: int) -> None:
        self._most, self._most_of_a_key = most, most_of_a_key
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def place(self, name: str) -> Iterator[None]:
        """A place for a stream of the key `name`, until the block ends; ProblemError (429) if none is free."""
        with self._lock:
            if self._open.total() >= self._most or self._open[name] >= self._most_of_a_key:
                raise ProblemError(
                    429, "too many event streams are open; close one, or ask again later", headers={"Retry-After": "10"}
                )
            self._open[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[name] -= 1
                if not self._open[name]:
                    del self._open[name]

    def __len__(self) -> int:
        return self._open.total()
