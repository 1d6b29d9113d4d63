"""What a watcher holds in memory: messages not yet deleted, and for each dataset its window, its job, its pause."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from imageyard.service.watch.events import Event, is_older
from imageyard.service.watch.lying import Mark, Watched
from imageyard.service.watch.runners import Ran
from imageyard.service.watch.sqs import Message
from imageyard.service.watch.windows import Pause, Window, grown


@dataclass
class Held:
    """A message that is not deleted before all it told of is dealt with."""

    message: Message
    hidden_until: float
    """By the watcher's clock."""
    left: dict[str, list[Event]]
    """By dataset, events not yet dealt with; their keys are those within the dataset."""


@dataclass(frozen=True)
class Looked:
    """What a job, or a look at the drop folder, found and left."""

    before: frozenset[Mark]
    left: frozenset[Mark]
    new: frozenset[Mark]
    """Of those left, images that no version has inside."""
    ran: Ran | None = None
    """None where nothing was to be done."""


@dataclass
class Lane:
    """One dataset's state."""

    watched: Watched
    window: Window | None = None
    pause: Pause = field(default_factory=Pause)
    held: set[str] = field(default_factory=set)
    """Messages of the open window."""
    latest: dict[str, Event] = field(default_factory=dict)
    """Of the open window, by key."""
    taken: set[str] = field(default_factory=set)
    """Messages of the running job's window."""
    job: Future[Looked] | None = None
    listing: Future[Looked] | None = None
    listed: float = float("-inf")
    """When the drop folder was last listed."""
    waits: frozenset[Mark] = frozenset()
    """What the last job saw and left where it is."""

    @property
    def busy(self) -> bool:
        return self.job is not None or self.listing is not None

    def takes(self, events: Sequence[Event]) -> list[Event]:
        """Of `events`, those that say something that the open window does not know; it remembers them."""
        fresh = []
        for event in events:
            known = self.latest.get(event.key)
            if known is not None and (event == known or is_older(event, known)):
                continue
            self.latest[event.key] = event
            fresh.append(event)
        return fresh

    def opens(self, now: float, events: int) -> None:
        """Open the window, or let it grow."""
        self.window = grown(self.window, now, events)

    def begins(self) -> None:
        """The window closes; what comes from now on belongs to the next."""
        self.taken, self.held = self.held, set()
        self.latest, self.window = {}, None
