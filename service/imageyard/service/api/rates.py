"""Token buckets: how fast one key, or one peer without a key, may ask; memory is bounded."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_BUCKETS = 10_000


class Rates:
    """A bucket of `burst` tokens for every name, which fills by `per_second`; names not seen for long are forgotten."""

    def __init__(
        self, *, per_second: float, burst: float, most: int = MOST_BUCKETS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second, self._burst, self._most, self._clock = per_second, burst, most, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str) -> int:
        """Take a token of `name`: 0, or, if there is none, the whole seconds after which there is one."""
        with self._lock:
            now = self._clock()
            tokens, then = self._buckets.pop(name, (self._burst, now))
            tokens = min(self._burst, tokens + (now - then) * self._per_second)
            wait = 0 if tokens >= 1 else max(1, math.ceil((1 - tokens) / self._per_second))
            self._buckets[name] = (tokens if wait else tokens - 1, now)
            while len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
            return wait

    def __len__(self) -> int:
        return len(self._buckets)
