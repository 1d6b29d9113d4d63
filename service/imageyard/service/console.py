"""What a person sees in a terminal: a progress bar while a job works, tables of what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from imageyard.ray_jobs.work import Tally

PIPED = 180
"""Columns where there is no terminal to say how many it has."""
OUT = Console(width=None if sys.stdout.isatty() else PIPED)
ERR = Console(stderr=True)


class _Rate(ProgressColumn):
    """Images a second."""

    def render(self, task: Any) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f} images/s" if speed else "", style="progress.data.speed")


class Bar:
    """A progress bar with rate and time left; on anything but a terminal, a line for each phase that takes time."""

    def __init__(self, *, silent: bool = False) -> None:
        self._live = ERR.is_terminal and not silent
        self._silent = silent
        self._said = ""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            console=ERR,
            transient=True,
            disable=not self._live,
        )
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def phase(self, name: str, *, brief: bool = False) -> None:
        self._progress.update(self._task, description=name)
        if not self._live and not self._silent and not brief and name != self._said:
            ERR.print(f"{name} …", highlight=False, soft_wrap=True)
        self._said = name

    def expect(self, images: int) -> None:
        self._progress.reset(self._task, total=images)

    def advance(self, tally: Tally) -> None:
        self._progress.advance(self._task, tally.images)


def say(text: str) -> None:
    """A line of prose; never read as markup."""
    OUT.print(escape(text), highlight=False, soft_wrap=True)


def say_json(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table of plain values; numbers stand to the right."""
    grid = Table(title=escape(title) or None, title_justify="left", header_style="bold", title_style="bold")
    for at, head in enumerate(heads):
        number = bool(rows) and all(isinstance(row[at], int | float) for row in rows)
        grid.add_column(head, justify="right" if number else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    OUT.print(grid)


def pairs(title: str, values: Mapping[str, object]) -> None:
    """Names and values, one a line."""
    grid = Table(title=escape(title) or None, title_justify="left", title_style="bold", show_header=False, box=None)
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in values.items():
        grid.add_row(escape(name), _cell(value))
    OUT.print(grid)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return escape(str(value))
