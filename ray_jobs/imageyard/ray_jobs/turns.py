"""Turns: calls that overlap pass a point in the order that was given them."""

from __future__ import annotations

import threading


class Turns:
    """Turns 0, 1, 2 …: each begins when all before it have ended."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._now = 0

    @property
    def now(self) -> int:
        """The turn that has begun, or may."""
        return self._now

    def wait(self, turn: int) -> None:
        """Return when it is the turn of `turn`, or past it."""
        with self._changed:
            self._changed.wait_for(lambda: self._now >= turn)

    def end(self, turn: int) -> None:
        """End `turn`, when it has come; ending it again changes nothing."""
        with self._changed:
            self._changed.wait_for(lambda: self._now >= turn)
            self._now = max(self._now, turn + 1)
            self._changed.notify_all()
