"""The watcher: receives events, opens windows, has jobs run, and deletes messages only when all is dealt with.

Exactly-once lies in the run, which takes in what no version has; here it is only decided when. So a message may come
twice, late, never or in any order, two watchers may read one queue, and a watcher may be killed at any moment: what
lies in a drop folder and in no version is found by the next message or by the next listing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from imageyard.manifests.errors import ImageyardError
from imageyard.service.stores import Stores
from imageyard.service.watch.counts import Counts
from imageyard.service.watch.events import Event
from imageyard.service.watch.hands import Hands
from imageyard.service.watch.inbox import Inbox, Tell
from imageyard.service.watch.lanes import Lane
from imageyard.service.watch.lying import Routes, Watched
from imageyard.service.watch.runners import Runner
from imageyard.service.watch.settling import Settling
from imageyard.service.watch.sqs import Message, Queue
from imageyard.service.watch.windows import Rule, closes

LONGEST_WAIT = 5
"""Seconds of a long poll; a signal is heard after that at the latest."""
REFRESH, REFRESH_SOON = 60.0, 5.0
"""Seconds after which it is asked anew which datasets are watched; the latter when something of none has arrived."""


@dataclass(frozen=True)
class Pace:
    """When things are done."""

    rule: Rule = field(default_factory=Rule)
    every: float = 60.0
    """Seconds between listings of a drop folder, which find what no event told of."""
    hide: int = 300
    """Seconds that a received message is hidden from others; renewed while it is held."""
    most_held: int = 20_000
    """Messages of one dataset, of the 120,000 of a queue that SQS lets be hidden at a time; others come again later."""
    once: bool = False
    """Take what there is, wait for no window, and end."""


class Watcher:
    """One watcher over datasets that may change. Only `stop` may be called from another thread or a signal handler."""

    def __init__(
        self,
        datasets: Callable[[], Iterable[Watched]],
        runner: Runner,
        *,
        queue: Queue | None = None,
        pace: Pace | None = None,
        tell: Tell = lambda kind, **said: None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
        stores: Stores | None = None,
    ) -> None:
        self._datasets = datasets
        self._pace, self._tell, self._clock = pace or Pace(), tell, clock
        self._inbox = Inbox(queue, hide=self._pace.hide, tell=tell, clock=clock) if queue is not None else None
        self._stopping = threading.Event()
        self._wait = pause or self._stopping.wait
        self._settling = Settling(self._inbox, once=self._pace.once, tell=tell, clock=clock)
        self._hands = Hands(runner, stores or Stores(), self._stopping.is_set)
        self._lanes: dict[str, Lane] = {}
        self._crowded: set[str] = set()
        """Datasets whose windows have closed, and for whose jobs there is no place."""
        self._routes = Routes([])
        self._refreshed = float("-inf")
        self._counts = Counts()

    def run(self, until: threading.Event | None = None) -> None:
        """Watch until `stop`, or until that event is set; with `once`, until nothing is left to do. Called once."""
        try:
            while not self._stopping.is_set() and not (self._pace.once and self.idle):
                self.turn()
                if until is not None and until.is_set():
                    break
        finally:
            self.end()

    def stop(self) -> None:
        """End soon: a job that runs here stops between two shards, one that runs elsewhere goes on without us."""
        self._stopping.set()

    @property
    def idle(self) -> bool:
        """Whether all that was seen is dealt with, and everything was looked at."""
        quiet = all(
            not lane.busy and lane.window is None and lane.listed > float("-inf") for lane in self._lanes.values()
        )
        told = self._inbox is None or (self._inbox.emptied and self._inbox.settled)
        return self._refreshed > float("-inf") and quiet and told

    @property
    def busy(self) -> bool:
        """Whether a job or a listing runs."""
        return any(not done.done() for lane in self._lanes.values() for done in (lane.job, lane.listing) if done)

    @property
    def holding(self) -> int:
        """How many messages are held."""
        return self._inbox.holding if self._inbox is not None else 0

    def lag(self, now: float | None = None) -> float:
        """Age in seconds of the oldest message held, 0 if there is none; `now` in seconds since 1970."""
        return self._inbox.lag(time.time() if now is None else now) if self._inbox is not None else 0.0

    @property
    def counts(self) -> Counts:
        """What was done since the start."""
        inbox = self._inbox.counts if self._inbox is not None else Counts()
        return self._counts + self._settling.counts + inbox

    def turn(self) -> None:
        """One round: take what is ready, then wait a little for messages, then start what is due."""
        self._refresh()
        self._collect()
        self._receive()
        self._start()
        if self._inbox is not None:
            if self._inbox.renew():
                for lane in self._lanes.values():
                    lane.latest = {}  # of two messages that say the same, the one that was held may be gone
            self._inbox.delete(last=self._pace.once)

    def end(self) -> None:
        """Stop what runs, and show what is held to other watchers."""
        self._stopping.set()
        self._hands.end()
        self._collect()
        if self._inbox is not None:
            self._inbox.delete(last=True)
            self._inbox.end()

    def _refresh(self, after: float = REFRESH) -> None:
        now = self._clock()
        if now - self._refreshed < after:
            return
        try:
            wanted = {one.url: one for one in self._datasets()}
        except ImageyardError as error:
            self._tell("datasets", error=str(error))
            self._refreshed = now if self._lanes else self._refreshed
            return
        self._refreshed = now
        for url in [url for url, lane in self._lanes.items() if url not in wanted and not lane.busy]:
            lane = self._lanes.pop(url)
            self._settling.put_back(lane, lane.held, lambda event: False)
        for url, one in wanted.items():
            self._lanes.setdefault(url, Lane(one)).watched = one
        self._routes = Routes(list(wanted.values()))

    def _receive(self) -> None:
        wait = self._patience()
        paused = self._inbox.paused if self._inbox is not None else wait
        if self._inbox is None or paused:
            self._wait(min(wait, paused))
            return
        for message, events in self._inbox.receive(wait):
            self._take(self._inbox, message, events)

    def _take(self, inbox: Inbox, message: Message, events: Iterable[Event]) -> None:
        """Hold a message for the datasets that it tells of, as far as it tells them something."""
        said = list(events)
        if any(self._routes.find(event.bucket, event.key) is None for event in said):
            self._refresh(REFRESH_SOON)  # a dataset may be new
        routed: dict[str, list[Event]] = {}
        for event in said:
            place = self._routes.find(event.bucket, event.key)
            if place is None:
                self._counts += Counts(unrouted=1)
            else:
                routed.setdefault(place[0], []).append(replace(event, key=place[1]))
        if any(len(self._lanes[url].held) >= self._pace.most_held for url in routed):
            inbox.give_back(message)
            return
        left = {url: fresh for url, some in routed.items() if (fresh := self._lanes[url].takes(some))}
        self._counts += Counts(duplicates=sum(map(len, routed.values())) - sum(map(len, left.values())))
        inbox.hold(message, left)
        for url, fresh in left.items():
            self._lanes[url].held.add(message.id)
            self._lanes[url].opens(self._clock(), len(fresh))

    def _start(self) -> None:
        """Begin the jobs whose windows are closed, the oldest first, and list what was not looked at for long."""
        now = self._clock()
        lanes = self._lanes.values()
        due = sorted((lane for lane in lanes if not lane.busy and self._closes(lane) <= now), key=self._closes)
        for lane in self._hands.free(due, lanes):
            self._counts += Counts(windows=1)
            lane.begins()
            lane.listed = now
            self._hands.run(lane)
        self._crowded = {lane.watched.url for lane in due if not lane.busy}
        for lane in lanes:
            if not lane.busy and lane.window is None and now - lane.listed >= self._pace.every:
                lane.listed = now
                self._hands.list(lane)

    def _closes(self, lane: Lane) -> float:
        if lane.window is None:
            return float("inf")
        return float("-inf") if self._pace.once else closes(lane.window, lane.pause, self._pace.rule)

    def _patience(self) -> float:
        """Seconds to wait for messages before something else is to be done."""
        if self._pace.once:
            return 0.05 if any(lane.busy for lane in self._lanes.values()) else float(self._inbox is not None)
        now = self._clock()
        times = [now + LONGEST_WAIT]
        for lane in self._lanes.values():
            if lane.busy or lane.watched.url in self._crowded:
                times.append(now + 0.2)
            elif lane.window is not None:
                times.append(self._closes(lane))
            else:
                times.append(lane.listed + self._pace.every)
        return min(max(min(times) - now, 0.0), LONGEST_WAIT, self._pace.hide / 4)

    def _collect(self) -> None:
        """Take what has ended: of jobs, and of listings."""
        for lane in self._lanes.values():
            if lane.listing is not None and lane.listing.done():
                done, lane.listing = lane.listing, None
                self._settling.listed(lane, done)
            if lane.job is not None and lane.job.done():
                done, lane.job = lane.job, None
                self._settling.ended(lane, done)
