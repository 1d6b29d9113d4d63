"""One worker: it fetches a shard's images, decodes each once, measures all that is missing, writes the facts."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageyard.manifests.errors import ChangedError, NotFoundError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import facts, ingest_facts
from imageyard.ray_jobs.canonical import Unreadable, decode
from imageyard.ray_jobs.extractors.base import Extractor, Model, ModelExtractor, PixelExtractor, Row
from imageyard.ray_jobs.fetch import Fetched, fetch
from imageyard.ray_jobs.ordered import ordered
from imageyard.ray_jobs.work import Item, Shard, Tally

if TYPE_CHECKING:
    import numpy as np

MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class Place:
    """What a worker has at its disposal."""

    cpus: int = 1
    gpu: bool = False
    downloads: int = 16


@dataclass(frozen=True)
class _Measured:
    content: str
    rows: dict[str, Row]
    inputs: dict[str, np.ndarray]
    decoded: bool


class Worker:
    """Loaded once, called for shard after shard; calls may overlap, and then download ahead of each other."""

    def __init__(self, store: Store, place: Place) -> None:
        self._store = store
        self._place = place
        self._models: dict[str, Model] = {}
        self._fetchers = ThreadPoolExecutor(place.downloads, thread_name_prefix="fetch")
        inline = place.cpus <= 1 and not place.gpu
        self._decoders = None if inline else ThreadPoolExecutor(place.cpus, thread_name_prefix="decode")
        self._turns = threading.Condition()
        self._turn = 0

    def close(self) -> None:
        """Stop the threads."""
        self._fetchers.shutdown(cancel_futures=True)
        if self._decoders is not None:
            self._decoders.shutdown(cancel_futures=True)

    def prepare(self, extractors: Iterable[Extractor]) -> None:
        """Load every model now; raises ModelError, so that a job fails before any work is done."""
        for extractor in extractors:
            if isinstance(extractor, ModelExtractor):
                self._model(extractor)

    def process(self, shard: Shard, turn: int | None = None) -> Tally:
        """Measure a shard and write its facts; the chunks it makes depend on nothing but the shard.

        With `turn` (0, 1, 2 … for each call), calls compute in that order while later ones already download:
        of a worker that dies, the lowest unfinished turn was the one at work.
        """
        fetched = ordered(  # begins to download before our turn comes
            self._fetchers, lambda item: _fetch_or_none(self._store, item), shard.items, ahead=2 * self._place.downloads
        )
        with self._my_turn(turn):
            return self._measure_all(shard, fetched)

    @contextmanager
    def _my_turn(self, turn: int | None) -> Iterator[None]:
        with self._turns:
            if turn is not None:
                self._turns.wait_for(lambda: self._turn == turn)
        try:
            yield
        finally:
            with self._turns:
                self._turn += 1
                self._turns.notify_all()

    def _measure_all(self, shard: Shard, fetched: Iterable[Fetched | None]) -> Tally:
        tally = Tally(images=len(shard.items))
        wanted = {extractor.identity(): extractor for extractor in shard.extractors}
        models = {name: self._model(e) for name, e in wanted.items() if isinstance(e, ModelExtractor)}
        events: dict[str, Row] = {}
        rows: dict[str, dict[str, Row]] = {name: {} for name in wanted}
        waiting: dict[str, list[tuple[str, np.ndarray]]] = {name: [] for name in models}

        def run(name: str) -> None:
            nonlocal tally
            if waiting[name]:
                rows[name].update(_run(models[name], waiting[name]))
                tally += Tally(model_runs=1, model_images=len(waiting[name]))
                waiting[name] = []

        def to_decode() -> Iterator[Fetched]:
            nonlocal tally
            seen: set[str] = set()
            for got in fetched:
                if got is None:
                    tally += Tally(skipped=1)
                    continue
                if got.row is not None:
                    events[got.item.id] = got.row
                if got.content:
                    tally += Tally(read=1, read_bytes=len(got.data), ingested=int(got.stored))
                    if got.content not in seen:
                        seen.add(got.content)
                        yield got

        # Enough decoded ahead that a model never waits for the rest of its next batch.
        ahead = self._place.cpus + 2 * max((model.batch for model in models.values()), default=1)
        for measured in ordered(self._decoders, lambda got: _measure(got, wanted, models), to_decode(), ahead=ahead):
            tally += Tally(decoded=int(measured.decoded), unreadable=int(not measured.decoded))
            for name, row in measured.rows.items():
                rows[name][measured.content] = row
            for name, array in measured.inputs.items():
                waiting[name].append((measured.content, array))
                if len(waiting[name]) == models[name].batch:
                    run(name)
        for name, extractor in wanted.items():
            if name in models:
                run(name)
            if rows[name]:
                facts.write(self._store, name, extractor.columns(), rows[name])
        if events:  # last: an event that is there has all its facts
            facts.write(self._store, ingest_facts.IDENTITY, ingest_facts.columns(), events)
        return tally

    def _model(self, extractor: ModelExtractor) -> Model:
        identity = extractor.identity()
        if identity not in self._models:
            self._models[identity] = extractor.load(threads=self._place.cpus, gpu=self._place.gpu)
        return self._models[identity]


def _fetch_or_none(store: Store, item: Item) -> Fetched | None:
    """None for an object that changed or went away since it was planned."""
    try:
        return fetch(store, item)
    except (ChangedError, NotFoundError):
        return None


def _measure(got: Fetched, wanted: Mapping[str, Extractor], models: Mapping[str, Model]) -> _Measured:
    """All facts of one image from one decode; an unreadable one has its reason in every row."""
    try:
        image = decode(got.data, max_pixels=MAX_PIXELS)
    except Unreadable as error:
        said = f"{error.check}: {error}"
        return _Measured(got.content, {name: {facts.ERROR: said} for name in wanted}, {}, decoded=False)
    rows = {name: e.measure(image) for name, e in wanted.items() if isinstance(e, PixelExtractor)}
    inputs = {name: model.prepare(image) for name, model in models.items()}
    return _Measured(got.content, rows, inputs, decoded=True)


def _run(model: Model, batch: Sequence[tuple[str, np.ndarray]]) -> dict[str, Row]:
    results = model.run([array for _, array in batch])
    return {content: row for (content, _), row in zip(batch, results, strict=True)}


def quarantine(store: Store, shard: Shard, reason: str) -> Tally:
    """Record that a shard's only image kills every worker that reads it, without decoding it here."""
    (item,) = shard.items
    got = _fetch_or_none(store, item)
    if got is None:
        return Tally(images=1, skipped=1)
    said: Row = {facts.ERROR: f"kills-worker: {reason}"}
    for extractor in shard.extractors:
        facts.write(store, extractor.identity(), extractor.columns(), {got.content: said})
    if got.row is not None:
        facts.write(store, ingest_facts.IDENTITY, ingest_facts.columns(), {item.id: got.row})
    return Tally(images=1, read=1, read_bytes=len(got.data), ingested=int(got.stored), unreadable=1)
