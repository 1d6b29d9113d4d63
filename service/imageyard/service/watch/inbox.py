"""What a watcher does with its queue: messages are received, held hidden, and deleted when all is dealt with."""

from __future__ import annotations

import math
from collections.abc import Callable

from imageyard.manifests.errors import QueueError
from imageyard.service.watch.counts import Counts
from imageyard.service.watch.events import Event, Malformed, parse
from imageyard.service.watch.lanes import Held
from imageyard.service.watch.sqs import Message, Queue
from imageyard.service.watch.windows import Pause, failed

AT_ONCE = 100
"""Messages of one receive."""
BACK_AFTER = 900
"""Seconds after which a message comes again that there was no room for."""

Tell = Callable[..., None]
"""Says what happened: a kind, then named values. They hold no message bodies, but names that people chose."""


class Inbox:
    """The messages that are held; a queue that cannot be asked is told of, and asked again after a pause."""

    def __init__(self, queue: Queue, *, hide: int, tell: Tell, clock: Callable[[], float]) -> None:
        self._queue, self._hide, self._tell, self._clock = queue, hide, tell, clock
        self._messages: dict[str, Held] = {}
        self._settled: list[Message] = []
        self._pause = Pause()
        self.emptied = False
        """Whether the last look found no message, or the queue could not be asked."""
        self.counts = Counts()

    @property
    def paused(self) -> float:
        """Seconds before the queue is asked again."""
        return max(0.0, self._pause.until - self._clock())

    @property
    def settled(self) -> bool:
        """Whether no message is left that is to be deleted."""
        return not self._settled

    @property
    def holding(self) -> int:
        """How many messages are held."""
        return len(self._messages)

    def lag(self, now: float) -> float:
        """Age in seconds of the oldest message held, 0 if there is none; `now` in seconds since 1970."""
        sent = [held.message.sent for held in list(self._messages.values())]
        return max(0.0, now - min(sent)) if sent else 0.0

    def receive(self, wait: float) -> list[tuple[Message, tuple[Event, ...]]]:
        """Messages that are not held yet, and what they say; those that say nothing to anybody are buried."""
        try:
            found = self._queue.receive(wait=math.ceil(wait), hide=self._hide, most=AT_ONCE)
        except QueueError as error:
            self._pause = failed(self._pause, self._clock())
            self.emptied = True
            self._tell("queue", error=str(error), again_in=self.paused)
            return []
        self._pause, self.emptied = Pause(), not found
        fresh = []
        for message in found:
            known = self._messages.get(message.id)
            self.counts += Counts(received=1, duplicates=int(known is not None))
            if known is not None:
                known.message, known.hidden_until = message, self._clock() + self._hide
                continue
            events = parse(message.body)
            if isinstance(events, Malformed):
                self._bury(message, events.reason)
            else:
                fresh.append((message, events))
        return fresh

    def hold(self, message: Message, left: dict[str, list[Event]]) -> None:
        """Hold a message until every dataset of `left` has settled it; with none, it is to be deleted."""
        if left:
            self._messages[message.id] = Held(message, self._clock() + self._hide, left)
        else:
            self._settled.append(message)

    def give_back(self, message: Message) -> None:
        """Let a message come again much later: there is no room for it."""
        self.counts += Counts(given_back=1)
        try:
            self._queue.hide([message], BACK_AFTER)
        except QueueError as error:
            self._tell("queue", error=str(error))

    def events(self, name: str, url: str) -> list[Event]:
        """What a message still says of a dataset; nothing if it is not held any more."""
        held = self._messages.get(name)
        return held.left.get(url, []) if held is not None else []

    def keep(self, name: str, url: str, events: list[Event]) -> None:
        """Of a message that is held, what is left for a dataset; when no dataset has any left, it is to be deleted."""
        held = self._messages.get(name)
        if held is None:
            return
        if events:
            held.left[url] = events
            return
        held.left.pop(url, None)
        if not held.left:
            del self._messages[name]
            self._settled.append(held.message)

    def renew(self) -> bool:
        """Keep held messages hidden; whether some are ours no longer: these come again, and are forgotten."""
        now = self._clock()
        due = [held for held in self._messages.values() if held.hidden_until - now < self._hide / 2]
        if not due:
            return False
        try:
            lost = self._queue.hide([held.message for held in due], self._hide)
        except QueueError as error:
            self._tell("queue", error=str(error))
            return False
        for held in due:
            held.hidden_until = now + self._hide
        for name in lost:
            del self._messages[name]
        return bool(lost)

    def delete(self, *, last: bool = False) -> None:
        """Delete what is settled; what cannot be deleted now is tried again, or, for the last time, comes again."""
        if not self._settled:
            return
        try:
            self._queue.delete(self._settled)
        except QueueError as error:
            self._tell("queue", error=str(error))
            self._settled = [] if last else self._settled
            return
        self.counts += Counts(deleted=len(self._settled))
        self._settled = []

    def end(self) -> None:
        """Show everything that is held to other watchers."""
        back = [held.message for held in self._messages.values()]
        self._messages = {}
        if not back:
            return
        try:
            self._queue.hide(back, 0)
        except QueueError as error:
            self._tell("queue", error=str(error))
            return
        self.counts += Counts(given_back=len(back))

    def _bury(self, message: Message, reason: str) -> None:
        buried = False
        try:
            buried = self._queue.bury(message, reason)
        except QueueError as error:
            self._tell("queue", error=str(error))
        self.counts += Counts(malformed=1, buried=int(buried))
        self._tell("malformed", message=message.id, reason=reason, receives=message.receives, buried=buried)
