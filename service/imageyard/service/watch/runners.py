"""Who runs a window's job: here, this process; the protocol is what a watcher asks of any other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from imageyard.manifests.dataset import Dataset
from imageyard.ray_jobs.engine import Engine
from imageyard.ray_jobs.run import Surroundings, run
from imageyard.ray_jobs.work import Tally
from imageyard.service.watch.lying import Mark, Watched


@dataclass(frozen=True)
class Ran:
    """What came of a job that did not fail."""

    state: Literal["committed", "nothing"]
    version: int | None = None
    job: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    """Of the version, where it was committed."""
    waiting: tuple[tuple[str, str], ...] = ()
    """(key, why) of objects left in the drop folder, where the runner knows."""


class StoppedError(Exception):
    """The watcher stops: the job was stopped or handed over, and its messages must come again."""


class Runner(Protocol):
    """Runs the recipe of a dataset on what lies in its drop folder."""

    @property
    def at_once(self) -> int:
        """How many jobs may run at a time; of one tenant it is a quarter, or one."""
        ...

    def run(self, watched: Watched, lying: Collection[Mark], stopping: Callable[[], bool]) -> Ran:
        """Run to the end; `lying` is what was seen in the drop folder, which may have grown since.

        Raises ImageyardError if the job failed, StoppedError soon after `stopping` says so.
        """
        ...


class LocalRunner:
    """Jobs in this process, one at a time, each with a fresh engine."""

    at_once = 1

    def __init__(self, engine: Callable[[], Engine], models: Path, *, date: datetime | None = None) -> None:
        self._engine, self._models, self._date = engine, models, date

    def run(self, watched: Watched, lying: Collection[Mark], stopping: Callable[[], bool]) -> Ran:
        try:
            with self._engine() as engine:
                around = Surroundings(engine=engine, models=self._models, date=self._date, watcher=_Brake(stopping))
                outcome = run(Dataset.open(watched.url), watched.recipe, around)
        except KeyboardInterrupt:
            raise StoppedError from None
        version = outcome.version
        committed = outcome.state == "committed" and version is not None
        return Ran(
            outcome.state,
            version.number if version else None,
            outcome.job,
            version.counts if version is not None and committed else {},
            outcome.waiting,
        )


class _Brake:
    """Stops a run as Ctrl-C would, between two shards; not any more when it commits."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._committing = False

    def phase(self, name: str, *, brief: bool = False) -> None:
        self._committing = self._committing or name == "committing"
        self._look()

    def expect(self, images: int) -> None:
        self._look()

    def advance(self, tally: Tally) -> None:
        self._look()

    def _look(self) -> None:
        if self._stopping() and not self._committing:
            raise KeyboardInterrupt
