"""What the end of a job or of a listing means: for its dataset's window and pause, and for its messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future

from imageyard.manifests.errors import ImageyardError
from imageyard.service.watch.counts import Counts
from imageyard.service.watch.events import Event
from imageyard.service.watch.inbox import Inbox, Tell
from imageyard.service.watch.lanes import Lane, Looked
from imageyard.service.watch.runners import StoppedError
from imageyard.service.watch.windows import Pause, failed


class Settling:
    """Of one watcher: what failed is tried again, unless it does everything `once`."""

    def __init__(self, inbox: Inbox | None, *, once: bool, tell: Tell, clock: Callable[[], float]) -> None:
        self._inbox, self._once, self._tell, self._clock = inbox, once, tell, clock
        self.counts = Counts()

    def listed(self, lane: Lane, done: Future[Looked]) -> None:
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

    def ended(self, lane: Lane, done: Future[Looked]) -> None:
        """A window's job has ended: its messages are dealt with, or go into the next window."""
        if done.cancelled() or isinstance(done.exception(), StoppedError):
            self._tell("stopped", dataset=lane.watched.url)
            self.put_back(lane, lane.taken, lambda event: True)
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
        self.put_back(
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
        self.counts += Counts(failures=1)
        again = None if self._once else lane.pause.until - now
        text = str(error) if isinstance(error, ImageyardError) else f"{type(error).__name__}: {error}"
        self._tell("failed", dataset=lane.watched.url, error=text, failures=lane.pause.failures, again_in=again)
        self.put_back(lane, lane.taken, lambda event: True)
        if self._once:
            lane.window = None
        elif lane.window is None:
            lane.opens(now, 1)

    def put_back(self, lane: Lane, names: Iterable[str], stays: Callable[[Event], bool]) -> None:
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
