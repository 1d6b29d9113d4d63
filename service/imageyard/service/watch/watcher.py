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

from imageyard.manifests.errors import ImageyardError, QueueError
from imageyard.manifests.store import Store
from imageyard.service.watch.counts import Counts
from imageyard.service.watch.events import Event, Malformed, parse
from imageyard.service.watch.lanes import Held, Lane, Looked
from imageyard.service.watch.lying import Mark, Routes, Watched, marks, still_new
from imageyard.service.watch.runners import Runner, StoppedError
from imageyard.service.watch.sqs import Message, Queue
from imageyard.service.watch.windows import Pause, Rule, closes, failed

LONGEST_WAIT = 5
"""Seconds of a long poll; a signal is heard after that at the latest."""
AT_ONCE = 100
"""Messages of one receive."""
MOST_HELD = 20_000
"""Messages of one dataset; SQS lets 120,000 of a queue be hidden at a time."""
BACK_AFTER = 900
"""Seconds after which a message comes again that there was no room for."""
LISTERS = 4
REFRESH = 60.0
"""Seconds after which it is asked anew which datasets are watched."""

Tell = Callable[..., None]
"""Says what happened: a kind, then named values. They hold no message bodies, but names that people chose."""


@dataclass(frozen=True)
class Pace:
    """When things are done."""

    rule: Rule = field(default_factory=Rule)
    every: float = 60.0
    """Seconds between listings of a drop folder, which find what no event told of."""
    hide: int = 300
    """Seconds that a received message is hidden from others; renewed while it is held."""
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
    ) -> None:
        self._datasets, self._runner, self._queue = datasets, runner, queue
        self._pace, self._tell, self._clock = pace or Pace(), tell, clock
        self._stopping = threading.Event()
        self._wait = pause or self._stopping.wait
        self._jobs = ThreadPoolExecutor(runner.at_once, thread_name_prefix="job")
        self._lists = ThreadPoolExecutor(LISTERS, thread_name_prefix="list")
        self._lanes: dict[str, Lane] = {}
        self._routes = Routes([])
        self._refreshed = float("-inf")
        self._messages: dict[str, Held] = {}
        self._settled: list[Message] = []
        self._queue_pause = Pause()
        self._emptied = queue is None
        self.counts = Counts()

    def run(self) -> None:
        """Watch until `stop`; with `once`, until nothing is left to do."""
        try:
            while not self._stopping.is_set() and not (self._pace.once and self.idle):
                self.turn()
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
        return self._refreshed > float("-inf") and quiet and self._emptied and not self._settled

    @property
    def busy(self) -> bool:
        """Whether a job or a listing runs."""
        return any(not done.done() for lane in self._lanes.values() for done in (lane.job, lane.listing) if done)

    def lag(self, now: float | None = None) -> float:
        """Age in seconds of the oldest message held, 0 if there is none; `now` in seconds since 1970."""
        now = time.time() if now is None else now
        sent = [held.message.sent for held in list(self._messages.values())]
        return max(0.0, now - min(sent)) if sent else 0.0

    def turn(self) -> None:
        """One round: take what is ready, then wait a little for messages, then start what is due."""
        self._refresh()
        self._collect()
        self._receive()
        self._renew()
        self._start()
        self._delete()

    def end(self) -> None:
        """Stop what runs, and show what is held to other watchers."""
        self._stopping.set()
        self._jobs.shutdown(wait=True, cancel_futures=True)
        self._lists.shutdown(wait=True, cancel_futures=True)
        self._collect()
        self._delete()
        if self._queue is not None and self._messages:
            back = [held.message for held in self._messages.values()]
            try:
                self._queue.hide(back, 0)
                self.counts += Counts(given_back=len(back))
            except QueueError as error:
                self._tell("queue", error=str(error))
        self._messages = {}

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._refreshed < REFRESH:
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
            for name in lane.held:
                self._settle(name, url)
        for url, one in wanted.items():
            self._lanes.setdefault(url, Lane(one)).watched = one
        self._routes = Routes(list(wanted.values()))

    def _receive(self) -> None:
        now, wait = self._clock(), self._patience()
        if self._queue is None or self._queue_pause.until > now:
            self._wait(min(wait, max(0.0, self._queue_pause.until - now)) if self._queue else wait)
            return
        try:
            found = self._queue.receive(wait=int(wait), hide=self._pace.hide, most=AT_ONCE)
        except QueueError as error:
            self._queue_pause = failed(self._queue_pause, now)
            self._emptied = True
            self._tell("queue", error=str(error), again_in=self._queue_pause.until - now)
            return
        self._queue_pause, self._emptied = Pause(), not found
        for message in found:
            self._take(message)

    def _take(self, message: Message) -> None:
        """Hold a message for the datasets that it tells of; deal with it at once if it tells of none."""
        known = self._messages.get(message.id)
        self.counts += Counts(received=1, duplicates=int(known is not None))
        if known is not None:
            known.message, known.hidden_until = message, self._clock() + self._pace.hide
            return
        events = parse(message.body)
        if isinstance(events, Malformed):
            self._bury(message, events.reason)
            return
        routed: dict[str, list[Event]] = {}
        for event in events:
            place = self._routes.find(event.bucket, event.key)
            if place is None:
                self.counts += Counts(unrouted=1)
            else:
                routed.setdefault(place[0], []).append(replace(event, key=place[1]))
        if any(len(self._lanes[url].held) >= MOST_HELD for url in routed):
            self._give_back(message)
            return
        left = {url: fresh for url, said in routed.items() if (fresh := self._lanes[url].takes(said))}
        self.counts += Counts(duplicates=sum(map(len, routed.values())) - sum(map(len, left.values())))
        if not left:
            self._settled.append(message)
            return
        now = self._clock()
        self._messages[message.id] = Held(message, now + self._pace.hide, left)
        for url, fresh in left.items():
            self._lanes[url].held.add(message.id)
            self._lanes[url].opens(now, len(fresh))

    def _bury(self, message: Message, reason: str) -> None:
        assert self._queue is not None  # noqa: S101  # messages come from it
        self.counts += Counts(malformed=1)
        buried = False
        try:
            buried = self._queue.bury(message, reason)
        except QueueError as error:
            self._tell("queue", error=str(error))
        self.counts += Counts(buried=int(buried))
        self._tell("malformed", message=message.id, reason=reason, receives=message.receives, buried=buried)

    def _give_back(self, message: Message) -> None:
        assert self._queue is not None  # noqa: S101  # messages come from it
        self.counts += Counts(given_back=1)
        try:
            self._queue.hide([message], BACK_AFTER)
        except QueueError as error:
            self._tell("queue", error=str(error))

    def _renew(self) -> None:
        """Keep held messages hidden; those that are ours no longer come again, and are forgotten."""
        if self._queue is None:
            return
        now = self._clock()
        due = [held for held in self._messages.values() if held.hidden_until - now < self._pace.hide / 2]
        if not due:
            return
        try:
            lost = self._queue.hide([held.message for held in due], self._pace.hide)
        except QueueError as error:
            self._tell("queue", error=str(error))
            return
        for held in due:
            held.hidden_until = now + self._pace.hide
        for name in lost:
            del self._messages[name]

    def _start(self) -> None:
        """Begin the jobs whose windows are closed, the oldest first, and list what was not looked at for long."""
        now = self._clock()
        due = [lane for lane in self._lanes.values() if not lane.busy and self._closes(lane) <= now]
        running = sum(lane.job is not None for lane in self._lanes.values())
        for lane in sorted(due, key=self._closes)[: max(0, self._runner.at_once - running)]:
            self.counts += Counts(windows=1)
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
            return 0.05 if any(lane.busy for lane in self._lanes.values()) else float(self._queue is not None)
        now = self._clock()
        times = [now + LONGEST_WAIT]
        for lane in self._lanes.values():
            if lane.busy:
                times.append(now + 0.2)
            elif lane.window is not None:
                times.append(self._closes(lane))
            else:
                times.append(lane.listed + self._pace.every)
        return min(max(min(times) - now, 0.0), LONGEST_WAIT)

    def _work(self, watched: Watched, waits: frozenset[Mark]) -> Looked:
        """In a thread: run the job of a window, if there is anything that the last one did not see."""
        store = Store.open(watched.url)
        before = marks(store)
        if before <= waits:
            return Looked(before, before, frozenset())
        ran = self._runner.run(watched, before, self._stopping.is_set)
        left = marks(store)
        return Looked(before, left, still_new(store) if left else frozenset(), ran)

    def _look(self, watched: Watched) -> Looked:
        """In a thread: what lies in the drop folder."""
        before = marks(Store.open(watched.url))
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
            self.counts += Counts(found=len(fresh))
            self._tell("found", dataset=lane.watched.url, objects=len(fresh))
            lane.opens(self._clock(), len(fresh))

    def _ended(self, lane: Lane, done: Future[Looked]) -> None:
        """A window's job has ended: its messages are dealt with, or go into the next window."""
        if done.cancelled() or isinstance(done.exception(), StoppedError):
            self._tell("stopped", dataset=lane.watched.url)
            self._put_back(lane, lambda event: True)
            return
        error = done.exception()
        if error is not None:
            self._failed(lane, error)
            return
        looked, now = done.result(), self._clock()
        new, url = looked.new, lane.watched.url
        keys = {key for key, _ in new}
        if looked.ran is not None:
            lane.waits = looked.left - new
            images = looked.ran.counts.get("found", 0)
            self.counts += Counts(jobs=1, images=images)
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
        self._put_back(lane, lambda event: (event.key, event.etag) in new or (not event.etag and event.key in keys))
        lane.pause = Pause()
        if new and lane.window is None:
            lane.opens(now, len(new))

    def _failed(self, lane: Lane, error: BaseException) -> None:
        """A failure costs nothing but time: messages stay, and the next try waits longer than the last."""
        now = self._clock()
        lane.pause = failed(lane.pause, now)
        self.counts += Counts(failures=1)
        again = None if self._pace.once else lane.pause.until - now
        text = str(error) if isinstance(error, ImageyardError) else f"{type(error).__name__}: {error}"
        self._tell("failed", dataset=lane.watched.url, error=text, failures=lane.pause.failures, again_in=again)
        self._put_back(lane, lambda event: True)
        if self._pace.once:
            lane.window = None
        elif lane.window is None:
            lane.opens(now, 1)

    def _put_back(self, lane: Lane, stays: Callable[[Event], bool]) -> None:
        """What of the job's messages `stays` belongs to the next window; the rest is dealt with."""
        taken, lane.taken = lane.taken, set()
        for name in taken:
            held = self._messages.get(name)
            if held is None:
                continue
            events = [event for event in held.left.get(lane.watched.url, ()) if stays(event)]
            if not events:
                self._settle(name, lane.watched.url)
                continue
            held.left[lane.watched.url] = events
            lane.takes(events)
            lane.held.add(name)
            lane.opens(self._clock(), len(events))

    def _settle(self, name: str, url: str) -> None:
        """A dataset has dealt with a message; when all have, it is to be deleted."""
        held = self._messages.get(name)
        if held is None:
            return
        held.left.pop(url, None)
        if not held.left:
            del self._messages[name]
            self._settled.append(held.message)

    def _delete(self) -> None:
        if self._queue is None or not self._settled:
            return
        try:
            self._queue.delete(self._settled)
        except QueueError as error:
            self._tell("queue", error=str(error))
            return
        self.counts += Counts(deleted=len(self._settled))
        self._settled = []
