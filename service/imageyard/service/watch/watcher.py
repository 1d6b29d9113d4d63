"""The watcher: receives events, opens windows, has jobs run, and deletes messages only when all is dealt with.

Exactly-once lies in the run, which takes in what no version has; here it is only decided when. So a message may come
twice, late, never or in any order, two watchers may read one queue, and a watcher may be killed at any moment: what
lies in a drop folder and in no version is found by the next message or by the next listing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from imageyard.manifests.errors import ImageyardError
from imageyard.service.stores import Stores
from imageyard.service.watch.counts import Counts
from imageyard.service.watch.events import Event
from imageyard.service.watch.inbox import Inbox, Tell
from imageyard.service.watch.lanes import Lane, Looked
from imageyard.service.watch.lying import Mark, Routes, Watched, marks, still_new
from imageyard.service.watch.runners import Runner, StoppedError
from imageyard.service.watch.sqs import Message, Queue
from imageyard.service.watch.windows import Pause, Rule, closes, failed

LONGEST_WAIT = 5
"""Seconds of a long poll; a signal is heard after that at the latest."""
LISTERS = 4
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
        self._datasets, self._runner = datasets, runner
        self._pace, self._tell, self._clock = pace or Pace(), tell, clock
        self._inbox = Inbox(queue, hide=self._pace.hide, tell=tell, clock=clock) if queue is not None else None
        self._stopping = threading.Event()
        self._wait = pause or self._stopping.wait
        self._jobs = ThreadPoolExecutor(runner.at_once, thread_name_prefix="job")
        self._lists = ThreadPoolExecutor(LISTERS, thread_name_prefix="list")
        self._lanes: dict[str, Lane] = {}
        self._routes = Routes([])
        self._refreshed = float("-inf")
        self._counts = Counts()
        self._stores = stores or Stores()

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
        return self._counts + self._inbox.counts if self._inbox is not None else self._counts

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
        self._jobs.shutdown(wait=True, cancel_futures=True)
        self._lists.shutdown(wait=True, cancel_futures=True)
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
            self._put_back(lane, lane.held, lambda event: False)
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
        due = [lane for lane in self._lanes.values() if not lane.busy and self._closes(lane) <= now]
        for lane in sorted(due, key=self._closes)[: max(0, self._runner.at_once - self._running())]:
            self._counts += Counts(windows=1)
            lane.begins()
            lane.listed = now
            lane.job = self._jobs.submit(self._work, lane.watched, lane.waits)
        for lane in self._lanes.values():
            if not lane.busy and lane.window is None and now - lane.listed >= self._pace.every:
                lane.listed = now
                lane.listing = self._lists.submit(self._look, lane.watched)

    def _closes(self, lane: Lane) -> float:
        if lane.window is None:
            return float("inf")
        return float("-inf") if self._pace.once else closes(lane.window, lane.pause, self._pace.rule)

    def _patience(self) -> float:
        """Seconds to wait for messages before something else is to be done."""
        if self._pace.once:
            return 0.05 if any(lane.busy for lane in self._lanes.values()) else float(self._inbox is not None)
        now, full = self._clock(), self._running() >= self._runner.at_once
        times = [now + LONGEST_WAIT]
        for lane in self._lanes.values():
            if lane.busy or (lane.window is not None and full):
                times.append(now + 0.2)
            elif lane.window is not None:
                times.append(self._closes(lane))
            else:
                times.append(lane.listed + self._pace.every)
        return min(max(min(times) - now, 0.0), LONGEST_WAIT, self._pace.hide / 4)

    def _running(self) -> int:
        return sum(lane.job is not None for lane in self._lanes.values())

    def _work(self, watched: Watched, waits: frozenset[Mark]) -> Looked:
        """In a thread: run the job of a window, if there is anything that the last one did not see."""
        store = self._stores.dataset(watched.url)
        before = marks(store)
        if before <= waits:
            return Looked(before, before, frozenset())
        ran = self._runner.run(watched, before, self._stopping.is_set)
        left = marks(store)
        return Looked(before, left, still_new(store) if left else frozenset(), ran)

    def _look(self, watched: Watched) -> Looked:
        """In a thread: what lies in the drop folder."""
        before = marks(self._stores.dataset(watched.url))
        return Looked(before, before, frozenset())

    def _collect(self) -> None:
        """Take what has ended: of jobs, and of listings."""
        for lane in self._lanes.values():
            if lane.listing is not None and lane.listing.done():
                done, lane.listing = lane.listing, None
                self._listed(lane, done)
            if lane.job is not None and lane.job.done():
                done, lane.job = lane.job, None
                self._ended(lane, done)

    def _listed(self, lane: Lane, done: Future[Looked]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self._failed(lane, error)
            return
        fresh = done.result().before - lane.waits
        if fresh and lane.window is None:
            self._counts += Counts(found=len(fresh))
            self._tell("found", dataset=lane.watched.url, objects=len(fresh))
            lane.opens(self._clock(), len(fresh))

    def _ended(self, lane: Lane, done: Future[Looked]) -> None:
        """A window's job has ended: its messages are dealt with, or go into the next window."""
        if done.cancelled() or isinstance(done.exception(), StoppedError):
            self._tell("stopped", dataset=lane.watched.url)
            self._put_back(lane, lane.taken, lambda event: True)
            return
        error = done.exception()
        if error is not None:
            self._failed(lane, error)
            return
        looked, now = done.result(), self._clock()
        new, url = looked.new, lane.watched.url
        keys = {key for key, _ in new}
        if looked.ran is not None:
            lane.waits = (looked.left & looked.before) - new  # what came since, the job may not have seen
            images = looked.ran.counts.get("found", 0)
            self._counts += Counts(jobs=1, images=images)
            waiting = looked.ran.waiting or [(key, "") for key, _ in sorted(lane.waits)]
            self._tell(
                looked.ran.state,
                dataset=url,
                version=looked.ran.version,
                job=looked.ran.job,
                counts=dict(looked.ran.counts),
                waiting=[{"key": key, "why": why} for key, why in waiting[:20]],
                waiting_in_all=len(waiting),
            )
            if looked.ran.state == "nothing" and new & looked.before:
                some = sorted(key for key, _ in new & looked.before)[0]
                self._failed(lane, ImageyardError(f"{url}/{some}: lies there, and the job did not take it in"))
                return
        self._put_back(
            lane, lane.taken, lambda event: (event.key, event.etag) in new or (not event.etag and event.key in keys)
        )
        lane.pause = Pause()
        fresh = looked.left - lane.waits
        if fresh and lane.window is None:
            lane.opens(now, len(fresh))

    def _failed(self, lane: Lane, error: BaseException) -> None:
        """A failure costs nothing but time: messages stay, and the next try waits longer than the last."""
        now = self._clock()
        lane.pause = failed(lane.pause, now)
        self._counts += Counts(failures=1)
        again = None if self._pace.once else lane.pause.until - now
        text = str(error) if isinstance(error, ImageyardError) else f"{type(error).__name__}: {error}"
        self._tell("failed", dataset=lane.watched.url, error=text, failures=lane.pause.failures, again_in=again)
        self._put_back(lane, lane.taken, lambda event: True)
        if self._pace.once:
            lane.window = None
        elif lane.window is None:
            lane.opens(now, 1)

    def _put_back(self, lane: Lane, names: Iterable[str], stays: Callable[[Event], bool]) -> None:
        """What of a dataset's messages `stays` belongs to the next window; the rest is dealt with."""
        lane.taken, url = set(), lane.watched.url
        for name in list(names) if self._inbox is not None else ():
            assert self._inbox is not None  # noqa: S101  # for the type checker
            events = [event for event in self._inbox.events(name, url) if stays(event)]
            self._inbox.keep(name, url, events)
            if events:
                lane.takes(events)
                lane.held.add(name)
                lane.opens(self._clock(), len(events))
