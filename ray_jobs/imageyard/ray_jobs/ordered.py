"""Concurrent calls with results in order and a bounded number of them under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def ordered(pool: Executor | None, call: Callable[[T], U], items: Iterable[T], *, ahead: int) -> Iterator[U]:
    """`call` of every item, in the order of `items`, at most `ahead` of them begun and not yet taken.

    Without a pool the calls are made here, one by one. `items` is read as calls begin.
    """
    if pool is None:
        yield from map(call, items)
        return
    rest = iter(items)
    under_way: deque[Future[U]] = deque(pool.submit(call, item) for item in islice(rest, ahead))
    while under_way:
        result = under_way.popleft().result()
        under_way.extend(pool.submit(call, item) for item in islice(rest, 1))
        yield result
