"""Work in the background of the service: each loop in a thread of its own, restarted with patience when it fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_log = logging.getLogger("imageyard.loops")
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Loop:
    """`turn` again and again, with `every` seconds between the end of one and the next.

    `turn` is given the event that tells it to stop: one that waits long must wait on it. What it raises is logged, and
    it is called again after a pause that doubles, up to a minute, until it succeeds once.
    """

    name: str
    turn: Callable[[threading.Event], None]
    every: float
    first_pause: float = FIRST_PAUSE


@contextmanager
def running(
    loops: Sequence[Loop], *, stopping: threading.Event, patience: float, failed: Callable[[str], None]
) -> Iterator[None]:
    """Run `loops` until the block ends or `stopping` is set; the end sets it, and waits `patience` seconds in all.

    `failed` is called with a loop's name for each turn that raised. A turn that does not end in time is abandoned: it
    is a daemon thread, and every job survives its driver's or the service's death.
    """
    threads = [
        threading.Thread(target=_run, args=(loop, stopping, failed), name=f"imageyard-{loop.name}", daemon=True)
        for loop in loops
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join(patience / len(threads))
            if thread.is_alive():
                _log.warning("%s did not stop in time", thread.name)


def _run(loop: Loop, stopping: threading.Event, failed: Callable[[str], None]) -> None:
    pause = loop.first_pause
    while not stopping.is_set():
        try:
            loop.turn(stopping)
        except Exception:  # noqa: BLE001  # the top of a thread: it says what happened, and goes on
            _log.exception("%s failed; it goes on in %.0f s", loop.name, pause)
            failed(loop.name)
            stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            pause = loop.first_pause
            stopping.wait(loop.every)
