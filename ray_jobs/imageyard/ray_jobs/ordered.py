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

    The first calls are begun at once, before the first result is asked for; an error shows where its result would.
    Without a pool the calls are made one by one as results are taken. `items` is read as calls begin.
    """
    if pool is None:
        return map(call, items)
    return (future.result() for future in begun(pool, call, items, ahead=ahead))


def begun(pool: Executor, call: Callable[[T], U], items: Iterable[T], *, ahead: int) -> Iterator[Future[U]]:
    """The calls that `ordered` makes, in the same order, as futures: taking one waits for nothing."""
    rest = iter(items)
    under_way: deque[Future[U]] = deque(pool.submit(call, item) for item in islice(rest, ahead))
    return _taken(pool, call, rest, under_way)


def _taken(
    pool: Executor, call: Callable[[T], U], rest: Iterator[T], under_way: deque[Future[U]]
) -> Iterator[Future[U]]:
    while under_way:
        future = under_way.popleft()
        under_way.extend(pool.submit(call, item) for item in islice(rest, 1))
        yield future
