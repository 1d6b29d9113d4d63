"""`imageyard watch`: the world is built here, and what the watcher does is printed line by line."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from imageyard.manifests.errors import RecipeError
from imageyard.ray_jobs.fanout import RayEngine
from imageyard.ray_jobs.job import Options
from imageyard.ray_jobs.recipe import load_recipe
from imageyard.ray_jobs.recipe_yaml import read_yaml
from imageyard.ray_jobs.report_text import printable
from imageyard.ray_jobs.submit import RayJobs
from imageyard.ray_jobs.worker import Place
from imageyard.service.reconcile import Reconciler
from imageyard.service.settings import read_settings
from imageyard.service.watch.cluster import ClusterRunner
from imageyard.service.watch.lying import Watched
from imageyard.service.watch.runners import LocalRunner, Runner
from imageyard.service.watch.sqs import SqsQueue
from imageyard.service.watch.watcher import Pace, Watcher
from imageyard.service.watch.windows import Rule

LISTED_EVERY, LISTED_EVERY_BESIDE_A_QUEUE = 60.0, 900.0
"""Seconds between listings, where listing is all there is, and where it finds what events missed."""


@dataclass(frozen=True)
class Asked:
    """What the command line says."""

    recipes: Sequence[Path]
    queue: str | None
    dead_letters: str | None
    every: float | None
    window: float
    most: int
    hide: int
    once: bool
    actors: int | None
    cpus: int
    gpus: float
    address: str
    as_json: bool


def watch_datasets(asked: Asked) -> bool:
    """Watch until a signal comes, or with `once` until nothing is left to do; whether no job failed.

    Raises RecipeError, QueueError or ClusterError before anything is watched.
    """
    watched = watched_by(asked.recipes)
    runner = _runner(asked, watched)
    queue = SqsQueue.open(asked.queue, dead_letters=asked.dead_letters) if asked.queue else None
    every = asked.every or (LISTED_EVERY_BESIDE_A_QUEUE if queue else LISTED_EVERY)
    lines = Lines(sys.stdout, as_json=asked.as_json)
    watcher = Watcher(
        lambda: watched,
        runner,
        queue=queue,
        pace=Pace(Rule(asked.window, asked.most), every=every, hide=asked.hide, once=asked.once),
        tell=lines.tell,
    )
    lines.tell("watching", datasets=[one.url for one in watched], queue=asked.queue, every=every)
    # Ray prints every worker's death on standard output, which is the lines'; the engine deals with them.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), _until_signalled(watcher):
        watcher.run()
    lines.tell("ended", **asdict(watcher.counts))
    return watcher.counts.failures == 0


def watched_by(recipes: Sequence[Path]) -> list[Watched]:
    """The datasets of recipe files. Raises RecipeError for two of one dataset, and for one that takes nothing in."""
    found: dict[str, Watched] = {}
    for path in recipes:
        recipe = load_recipe(path)
        if recipe.steps[0].kind != "ingest":
            raise RecipeError(f"{path}: has no `ingest` step, so it would never take in what arrives; put it first")
        if recipe.dataset in found:
            raise RecipeError(f"{path}: {recipe.dataset} has a recipe already; what arrives is for one recipe")
        found[recipe.dataset] = Watched(recipe, read_yaml(path))
    return list(found.values())


class Lines:
    """One line for each thing that happens: JSON, or words for a person."""

    def __init__(self, out: TextIO, *, as_json: bool) -> None:
        self._out, self._as_json = out, as_json

    def tell(self, kind: str, **said: Any) -> None:
        now = datetime.now(UTC)
        if self._as_json:
            line = json.dumps({"time": now.isoformat(timespec="milliseconds"), "kind": kind, **said}, default=str)
        else:
            words = [f"{name}={_plain(value)}" for name, value in said.items() if value not in (None, [], {}, "")]
            line = " ".join([f"{now:%H:%M:%S}", f"{kind:<10}", *words])
        self._out.write(line + "\n")
        self._out.flush()


def _plain(value: Any) -> str:
    """A value in a line of words; what people named things cannot end the line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return printable(" ".join(text.splitlines()))


def _runner(asked: Asked, watched: Sequence[Watched]) -> Runner:
    """Jobs in this process, its Ray workers wherever `address` says; or, by a dashboard's address, submitted ones."""
    settings = read_settings()
    if asked.address.startswith(("http://", "https://")):
        options = Options(actors=asked.actors, cpus=asked.cpus, gpus=asked.gpus)
        ray = RayJobs(asked.address, settings.ray_token.get_secret_value() if settings.ray_token else None)
        ray.check()
        loop = Reconciler({"": lambda: [one.url for one in watched]}, ray)
        return ClusterRunner(loop.once, options=options)
    place = Place(cpus=asked.cpus, gpu=asked.gpus > 0)

    def engine() -> RayEngine:
        return RayEngine(address=asked.address, actors=asked.actors, place=place, gpus=asked.gpus)

    return LocalRunner(engine, settings.models, date=settings.date)


@contextmanager
def _until_signalled(watcher: Watcher) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the watcher in its own time; a second one ends the process, which loses nothing either."""
    heard = False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        if heard:
            os._exit(128 + number)
        heard = True
        watcher.stop()

    before = {number: signal.signal(number, hear) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
