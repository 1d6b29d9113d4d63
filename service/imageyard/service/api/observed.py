"""What jobs said of themselves, as numbers for Prometheus: each event is counted once."""

from __future__ import annotations

import threading
from collections import Counter as Counts
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from imageyard.service.watch.counts import Counts as Watching

MOST_JOBS = 10_000
"""Jobs, and datasets, remembered: for one forgotten, late events may be counted anew."""
STATES: Mapping[str, str] = {
    "submitted": "submitted",
    "handed": "pending",
    "running": "running",
    "progress": "running",
    "compared": "running",
    "alive": "running",
    "lost": "submitted",
    "cancelling": "cancelling",
    "committed": "committed",
    "nothing": "nothing",
    "failed": "failed",
    "cancelled": "cancelled",
    "stopped": "stopped",
}
"""By kind of event."""
ENDED = ("committed", "nothing", "failed", "cancelled")
OPEN = ("submitted", "pending", "running", "cancelling", "stopped")
_WORK = {"images": "measured", "ingested": "ingested", "unreadable": "unreadable"}
_IDLE = {
    "waited_for_shard_seconds": "shard",
    "waited_for_store_seconds": "store",
    "waited_for_decode_seconds": "decode",
    "padding_seconds": "padding",
    "loading_seconds": "loading",
}


@dataclass
class _Job:
    state: str = ""
    last: str = ""
    work: dict[str, dict[str, float]] = field(default_factory=dict)
    """By attempt, what its tally had come to."""


class Observed:
    """`event` is called with each event of each job, `queue` with how late the queue is, `conflict` for a lost commit.

    Safe to call from several threads; an event given twice, or after a later one of its job, changes nothing.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs: OrderedDict[tuple[str, str], _Job] = OrderedDict()
        self._rejects: OrderedDict[str, dict[str, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._open = Gauge("imageyard_jobs", "Jobs that are not ended, by state.", ("state",), registry=registry)
        self._ended = Counter("imageyard_jobs_ended", "Jobs that ended, by state.", ("state",), registry=registry)
        self._images = Counter("imageyard_images", "Images, by what was done to them.", ("done",), registry=registry)
        self._model = Counter("imageyard_model_seconds", "Seconds that models were at work.", registry=registry)
        self._idle = Counter(
            "imageyard_model_idle_seconds", "Seconds that models, and their GPUs, waited.", ("on",), registry=registry
        )
        self._rejected = Gauge(
            "imageyard_rejected_images", "Rejected in the newest versions, by reason.", ("reason",), registry=registry
        )
        self._conflicts = Counter("imageyard_commit_conflicts", "Commits that lost to another.", registry=registry)
        self._lag = Gauge("imageyard_queue_lag_seconds", "Age of the oldest event not taken in.", registry=registry)
        self._waiting = Gauge("imageyard_queue_messages", "Events not taken in.", registry=registry)
        self._watched = Counter(
            "imageyard_watched", "What became of messages, windows and their jobs.", ("what",), registry=registry
        )
        self._counted = Watching()
        for state in OPEN:
            self._open.labels(state).set(0)

    def event(self, dataset: str, job: str, name: str, event: Mapping[str, Any], *, old: bool = False) -> None:
        """Count an event; `name` is that of its object, which sorts by time.

        Of an `old` one, said before this process began to count, only the job's state counts, and what its work had
        come to is where counting begins.
        """
        with self._lock:
            known = self._jobs.pop((dataset, job), None) or _Job()
            self._jobs[dataset, job] = known
            if name <= known.last:
                return
            known.last = name
            self._move(known, STATES.get(str(event.get("kind")), known.state))
            self._add_work(known, str(event.get("attempt")), event.get("work"), old=old)
            conflicts = event.get("conflicts")
            if isinstance(conflicts, int) and conflicts > 0 and not old:
                self._conflicts.inc(conflicts)
            if isinstance(event.get("counts"), Mapping):
                self._count_rejects(dataset, event["counts"])
            while len(self._jobs) > MOST_JOBS:
                _, gone = self._jobs.popitem(last=False)
                self._move(gone, "")

    def conflict(self) -> None:
        """A commit of the service itself lost to another."""
        self._conflicts.inc()

    def queue(self, *, lag_seconds: float, messages: int) -> None:
        """How old the oldest event is that was not taken in, and how many there are."""
        self._lag.set(lag_seconds)
        self._waiting.set(messages)

    def watched(self, counts: Watching) -> None:
        """What a watcher has done by now; one that begins anew counts from nothing."""
        for part in fields(counts):
            now, before = getattr(counts, part.name), getattr(self._counted, part.name)
            self._watched.labels(part.name).inc(now - before if now >= before else now)
        self._counted = counts

    def _move(self, job: _Job, state: str) -> None:
        if state == job.state or job.state in ENDED:
            return
        if job.state:
            self._open.labels(job.state).dec()
        if state in ENDED:
            self._ended.labels(state).inc()
        elif state:
            self._open.labels(state).inc()
        job.state = state

    def _add_work(self, job: _Job, attempt: str, work: object, *, old: bool) -> None:
        if not isinstance(work, Mapping):
            return
        before = job.work.setdefault(attempt, {})
        for name in (*_WORK, *_IDLE, "model_seconds"):
            now = work.get(name)
            if not isinstance(now, int | float) or now <= before.get(name, 0):
                continue
            more = now - before.get(name, 0)
            before[name] = now
            if old:
                continue
            if name in _WORK:
                self._images.labels(_WORK[name]).inc(more)
            elif name in _IDLE:
                self._idle.labels(_IDLE[name]).inc(more)
            else:
                self._model.inc(more)

    def _count_rejects(self, dataset: str, counts: Mapping[str, Any]) -> None:
        now = {
            name.removeprefix("rejected-"): int(count)
            for name, count in counts.items()
            if name.startswith("rejected-") and isinstance(count, int)
        }
        before = self._rejects.pop(dataset, {})
        self._rejects[dataset] = now
        changes = Counts(now)
        changes.subtract(before)
        if len(self._rejects) > MOST_JOBS:
            changes.subtract(self._rejects.popitem(last=False)[1])
        for reason, more in changes.items():
            self._rejected.labels(reason[:60]).inc(more)
