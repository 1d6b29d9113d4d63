"""Threads that several share: in turn, nobody more than its share, whatever the work of one does."""

import threading
from concurrent.futures import CancelledError
from functools import partial

import pytest

from imageyard.service.abreast import Abreast, Threads

LIMIT = 120.0
"""Seconds for what takes none."""


def test_who_has_much_to_do_is_served_in_turn_with_others() -> None:
    threads, order = Threads[None](1, share=1, called="test"), list[str]()
    begun, held = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        held.wait(LIMIT)

    first = threads.submit("ants", hang)
    assert begun.wait(LIMIT)
    names = ("ants", "ants", "ants", "bees", "cats", "cats")
    rest = [threads.submit(name, partial(order.append, name)) for name in names]
    held.set()
    for future in (first, *rest):
        future.result(LIMIT)
    assert order == ["ants", "bees", "cats", "ants", "cats", "ants"]


def test_nobody_has_more_than_its_share_though_others_have_nothing_to_do() -> None:
    threads, held, begun = Threads[None](4, share=2, called="test"), threading.Event(), threading.Semaphore(0)

    def hang() -> None:
        begun.release()
        held.wait(LIMIT)

    hanging = [threads.submit("ants", hang) for _ in range(8)]
    for _ in range(3):
        assert threads.submit("bees", lambda: None).result(LIMIT) is None
    for _ in range(2):
        assert begun.acquire(timeout=LIMIT)
    assert not begun.acquire(blocking=False)
    threads.close()
    held.set()
    with pytest.raises(CancelledError):
        hanging[-1].result(LIMIT)


def test_what_goes_on_is_not_begun_again_and_what_failed_is_told() -> None:
    abreast, held, calls = Abreast[int](4, called="test"), threading.Event(), list[str]()

    def slow() -> int:
        calls.append("slow")
        held.wait(LIMIT)
        return 1

    def broken() -> int:
        raise ValueError

    work = {"slow": slow, "broken": broken}
    while "broken" not in (ended := abreast.turn(work, patience=0.01)):
        pass
    assert isinstance(ended["broken"].exception(), ValueError)
    assert abreast.busy == {"slow"}
    abreast.turn({"slow": slow}, patience=0.01)
    held.set()
    while "slow" not in (ended := abreast.turn({}, patience=None)):
        pass
    assert (ended["slow"].result(), calls) == (1, ["slow"])
