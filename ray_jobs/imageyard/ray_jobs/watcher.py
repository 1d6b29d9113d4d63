"""Who looks on while a job runs: a progress bar, a log, nobody."""

from __future__ import annotations

from typing import Protocol

from imageyard.ray_jobs.work import Tally


class Watcher(Protocol):
    """Who looks on while a job runs."""

    def phase(self, name: str, *, brief: bool = False) -> None:
        """What is being done now; a brief phase is over in a moment as a rule."""

    def expect(self, images: int) -> None:
        """How many images will be measured."""

    def advance(self, tally: Tally) -> None:
        """A shard is finished."""


class Unwatched:
    """Nobody looks on."""

    def phase(self, name: str, *, brief: bool = False) -> None:
        return None

    def expect(self, images: int) -> None:
        return None

    def advance(self, tally: Tally) -> None:
        return None
