"""Who works for a watcher: jobs and listings in threads, so many at a time, and of one tenant at most a quarter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from imageyard.service.abreast import Threads
from imageyard.service.stores import Stores
from imageyard.service.watch.lanes import Lane, Looked
from imageyard.service.watch.lying import Mark, Watched, marks, still_new
from imageyard.service.watch.runners import Runner

LISTS = 16
"""Listings at a time."""


class Hands:
    """Threads that run jobs by `runner`, and list drop folders, until `stopping` says so."""

    def __init__(self, runner: Runner, stores: Stores, stopping: Callable[[], bool]) -> None:
        self._runner, self._stores, self._stopping = runner, stores, stopping
        self._jobs = ThreadPoolExecutor(runner.at_once, thread_name_prefix="job")
        self._lists = Threads[Looked](LISTS, share=_share(LISTS), called="list")

    def free(self, due: Sequence[Lane], lanes: Collection[Lane]) -> list[Lane]:
        """Of those that are `due`, in order, the ones for whose jobs there is a place beside the jobs of `lanes`.

        Who has the fewest jobs is served first, and nobody is given more than its share.
        """
        most = self._runner.at_once
        taken, share = Counter(lane.watched.tenant for lane in lanes if lane.job is not None), _share(most)
        served, left = list[Lane](), list(due)
        while left and taken.total() < most:
            lane = min(left, key=lambda lane: taken[lane.watched.tenant])
            if taken[lane.watched.tenant] >= share:
                break
            taken[lane.watched.tenant] += 1
            served.append(lane)
            left.remove(lane)
        return served

    def run(self, lane: Lane) -> None:
        """Begin the job of a window that has closed."""
        lane.job = self._jobs.submit(self._work, lane.watched, lane.waits)

    def list(self, lane: Lane) -> None:
        """List a drop folder, when there is a thread for it."""
        lane.listing = self._lists.submit(lane.watched.tenant, partial(self._look, lane.watched))

    def end(self) -> None:
        """Wait until the jobs that run have ended; what has not begun is not begun."""
        self._lists.close()
        self._jobs.shutdown(wait=True, cancel_futures=True)

    def _work(self, watched: Watched, waits: frozenset[Mark]) -> Looked:
        """Run the job of a window, if there is anything that the last one did not see."""
        store = self._stores.dataset(watched.url)
        before = marks(store)
        if before <= waits:
            return Looked(before, before, frozenset())
        ran = self._runner.run(watched, before, self._stopping)
        left = marks(store)
        return Looked(before, left, still_new(store) if left else frozenset(), ran)

    def _look(self, watched: Watched) -> Looked:
        """What lies in the drop folder."""
        before = marks(self._stores.dataset(watched.url))
        return Looked(before, before, frozenset())


def _share(most: int) -> int:
    return max(1, most // 4)
