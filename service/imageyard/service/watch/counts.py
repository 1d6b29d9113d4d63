"""What a watcher has done since it started, as numbers that only grow."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Counts:
    """Counts add up."""

    received: int = 0
    """Messages."""
    duplicates: int = 0
    """Messages that came again, events that say what another said, and events of before another of the same key."""
    unrouted: int = 0
    """Events of objects in no dataset's drop folder."""
    malformed: int = 0
    """Messages that are no notifications."""
    buried: int = 0
    """Of these, messages sent to the dead-letter queue."""
    deleted: int = 0
    """Messages, after what they told of was dealt with."""
    given_back: int = 0
    """Messages that another receive may have: of datasets that hold too many, and of a watcher that stops."""
    found: int = 0
    """Objects that no event told of, found by listing."""
    windows: int = 0
    jobs: int = 0
    """Windows that found something to do."""
    images: int = 0
    """Images that the jobs took in."""
    failures: int = 0
    """Jobs that failed."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})
