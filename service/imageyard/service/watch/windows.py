"""When a dataset's job starts: windows over what arrives, and pauses after failures; times are given, in seconds."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 900.0
"""Seconds before a failed job is tried again: doubled with each failure."""


@dataclass(frozen=True)
class Rule:
    """A window closes `seconds` after the first event, or with the event that makes `most`."""

    seconds: float = 30.0
    most: int = 5000


@dataclass(frozen=True)
class Window:
    """What has arrived since a dataset's last job began."""

    opened: float
    events: int


@dataclass(frozen=True)
class Pause:
    """Failures in a row, and when the next try may begin."""

    failures: int = 0
    until: float = float("-inf")


def grown(window: Window | None, now: float, events: int = 1) -> Window:
    """The window with so many more events; opened by them if there is none."""
    return Window(now, events) if window is None else Window(window.opened, window.events + events)


def closes(window: Window, pause: Pause, rule: Rule) -> float:
    """When the job of a window begins: never before the pause is over."""
    time = window.opened if window.events >= rule.most else window.opened + rule.seconds
    return max(time, pause.until)


def failed(pause: Pause, now: float) -> Pause:
    """The pause after one more failure."""
    length = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(pause.failures, 30))
    return Pause(pause.failures + 1, now + length)
