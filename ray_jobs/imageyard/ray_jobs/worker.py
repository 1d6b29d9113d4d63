"""One worker: it fetches a shard's images, decodes each once, measures all that is missing, writes the facts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from imageyard.manifests.errors import ChangedError, NotFoundError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import facts, ingest_facts
from imageyard.ray_jobs.batches import Batches, Loaded
from imageyard.ray_jobs.canonical import Unreadable, decode
from imageyard.ray_jobs.extractors.base import Extractor, ModelExtractor, PixelExtractor, Row
from imageyard.ray_jobs.fetch import Fetched, fetch
from imageyard.ray_jobs.ordered import begun, ordered
from imageyard.ray_jobs.turns import Turns
from imageyard.ray_jobs.work import Item, Shard, Tally

if TYPE_CHECKING:
    import numpy as np

MAX_PIXELS = 100_000_000
IMPORTED = ("numpy", "PIL.ImageCms", "PIL.JpegImagePlugin", "PIL.TiffImagePlugin", "pyarrow.parquet")
"""What the first shard needs, and would have the models wait for."""
RUNNERS = 4
"""Threads that call models on a GPU; how many call one model is for its extractor to say."""


@dataclass(frozen=True)
class Place:
    """What a worker has at its disposal."""

    cpus: int = 1
    gpu: bool = False
    downloads: int = 16
    model_threads: int | None = None
    """CPUs that models have to themselves, beside the others, which decode; unset, both have all."""

    @property
    def decoders(self) -> int:
        """Threads that decode; none where one CPU does everything by turns."""
        if self.gpu:
            return self.cpus
        if self.model_threads is not None:
            return max(1, self.cpus - self.model_threads)
        return self.cpus if self.cpus > 1 else 0


@dataclass(frozen=True)
class _Measured:
    """What came of one item; empty for one that went away, or has the content of another of its shard."""

    got: Fetched | None
    fetched: float
    rows: Mapping[str, Row] = field(default_factory=dict)
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0
    decoded: bool = False
    unreadable: bool = False


@dataclass(frozen=True)
class _Found:
    """All that was measured of a shard, not yet written."""

    rows: Mapping[str, Mapping[str, Row]]
    events: Mapping[str, Row]
    tally: Tally


class Worker:
    """Loaded once, called for shard after shard.

    Calls may overlap, in the order of their turns: while the models work on one shard, the next is downloaded and,
    where there are threads for it, decoded, and the facts of the one before are written.
    """

    def __init__(self, store: Store, place: Place) -> None:
        self._store = store
        self._place = place
        self._models: dict[str, Loaded] = {}
        self._fetchers = ThreadPoolExecutor(place.downloads, thread_name_prefix="fetch")
        self._decoders = ThreadPoolExecutor(place.decoders, thread_name_prefix="decode") if place.decoders else None
        self._runners = ThreadPoolExecutor(RUNNERS, thread_name_prefix="run") if place.gpu else None
        self._decoding, self._modelling = Turns(), Turns()
        self._ended: float | None = None

    def close(self) -> None:
        """Stop the threads."""
        for pool in (self._fetchers, self._decoders, self._runners):
            if pool is not None:
                pool.shutdown(cancel_futures=True)

    def prepare(self, extractors: Iterable[Extractor]) -> Tally:
        """Load every model now; raises ModelError, so that a job fails before any work is done."""
        begun_at = time.monotonic()
        for name in IMPORTED:
            import_module(name)
        for extractor in extractors:
            if isinstance(extractor, ModelExtractor):
                self._model(extractor)
        self._ended = time.monotonic()
        return Tally(loading_seconds=self._ended - begun_at)

    def process(self, shard: Shard, turn: int | None = None) -> Tally:
        """Measure a shard and write its facts; the chunks it makes depend on nothing but the shard.

        `turn` is 0, 1, 2 … for each call; unset, calls do not overlap. The tally is that of facts that are written.
        """
        turn = self._modelling.now if turn is None else turn
        try:
            found = self._measure_all(shard, turn)
        finally:
            self._decoding.end(turn)
            self._ended = time.monotonic()
            self._modelling.end(turn)
        begun_at = time.monotonic()
        self._write(shard, found)
        return found.tally + Tally(writing_seconds=time.monotonic() - begun_at)

    def _measure_all(self, shard: Shard, turn: int) -> _Found:
        wanted = {extractor.identity(): extractor for extractor in shard.extractors}
        fetching = begun(  # downloads begin before our turn comes
            self._fetchers, lambda item: _fetched(self._store, item), shard.items, ahead=2 * self._place.downloads
        )
        self._decoding.wait(turn)
        models = {name: self._model(e) for name, e in wanted.items() if isinstance(e, ModelExtractor)}
        measure = _Measuring(wanted, models)
        # Enough decoded ahead that a model never waits for the rest of its next batch.
        ahead = self._place.cpus + 2 * max((loaded.model.batch for loaded in models.values()), default=1)
        decoding = ordered(self._decoders, measure, self._until_all_begun(fetching, turn), ahead=ahead)
        self._modelling.wait(turn)
        idle = time.monotonic() - self._ended if models and self._ended is not None else 0.0
        tally = Tally(images=len(shard.items), waited_for_shard_seconds=idle)
        return _gathered(decoding, wanted, Batches(models, self._runners), tally)

    def _until_all_begun(self, fetching: Iterator[Future[_Bytes]], turn: int) -> Iterator[Future[_Bytes]]:
        """`fetching`; when it is used up, the next turn may begin to decode, behind ours in the queue."""
        yield from fetching
        if self._decoders is not None:
            self._decoding.end(turn)

    def _write(self, shard: Shard, found: _Found) -> None:
        for extractor in shard.extractors:
            rows = found.rows[extractor.identity()]
            if rows:
                facts.write(self._store, extractor.identity(), extractor.columns(), rows)
        if found.events:  # last: an event that is there has all its facts
            facts.write(self._store, ingest_facts.IDENTITY, ingest_facts.columns(), found.events)

    def _model(self, extractor: ModelExtractor) -> Loaded:
        """The model, loaded once. Only one thread may call this at a time."""
        identity = extractor.identity()
        if identity not in self._models:
            threads = self._place.model_threads or self._place.cpus
            model = extractor.load(threads=threads, gpu=self._place.gpu)
            self._models[identity] = Loaded(model, min(extractor.runs_at_once, RUNNERS))
        return self._models[identity]


@dataclass(frozen=True)
class _Bytes:
    """An item's bytes, None if it changed or went away since it was planned; and when that was known."""

    got: Fetched | None
    at: float


def _fetched(store: Store, item: Item) -> _Bytes:
    got = _fetch_or_none(store, item)
    return _Bytes(got, time.monotonic())


def _fetch_or_none(store: Store, item: Item) -> Fetched | None:
    """None for an object that changed or went away since it was planned."""
    try:
        return fetch(store, item)
    except (ChangedError, NotFoundError):
        return None


class _Measuring:
    """All facts of one image after the other from one decode, each content once; called from any thread."""

    def __init__(self, wanted: Mapping[str, Extractor], models: Mapping[str, Loaded]) -> None:
        self._pixels = {name: e for name, e in wanted.items() if isinstance(e, PixelExtractor)}
        self._wanted = tuple(wanted)
        self._models = models
        self._lock = threading.Lock()
        self._seen: set[str] = set()

    def __call__(self, coming: Future[_Bytes]) -> _Measured:
        """What comes of an item's bytes, once they are there; an unreadable image has its reason in every row."""
        there = coming.result()
        got, fetched = there.got, there.at
        if got is None or not self._is_new(got.content):
            return _Measured(got, fetched)
        begun_at = time.monotonic()
        try:
            image = decode(got.data, max_pixels=MAX_PIXELS)
        except Unreadable as error:
            row: Row = {facts.ERROR: f"{error.check}: {error}"}
            return _Measured(got, fetched, dict.fromkeys(self._wanted, row), unreadable=True)
        rows = {name: extractor.measure(image) for name, extractor in self._pixels.items()}
        inputs = {name: loaded.model.prepare(image) for name, loaded in self._models.items()}
        return _Measured(got, fetched, rows, inputs, time.monotonic() - begun_at, decoded=True)

    def _is_new(self, content: str) -> bool:
        """Whether `content` is worth decoding, and is not being decoded already."""
        with self._lock:
            if not content or content in self._seen:
                return False
            self._seen.add(content)
            return True


def _gathered(decoding: Iterator[_Measured], wanted: Mapping[str, Extractor], batches: Batches, tally: Tally) -> _Found:
    """Everything measured, the models' part too."""
    rows: dict[str, dict[str, Row]] = {name: batches.rows.get(name, {}) for name in wanted}
    events: dict[str, Row] = {}
    seconds = 0.0
    for measured in batches.awaited(decoding):
        got = measured.got
        if got is None:
            tally += Tally(skipped=1)
            continue
        if got.row is not None:
            events[got.item.id] = got.row
        if got.content:
            tally += Tally(read=1, read_bytes=len(got.data), ingested=int(got.stored))
        tally += Tally(decoded=int(measured.decoded), unreadable=int(measured.unreadable))
        seconds += measured.seconds
        for name, row in measured.rows.items():
            rows[name][got.content] = row
        for name, array in measured.inputs.items():
            batches.add(name, got.content, array)
    batches.finish()
    return _Found(rows, events, tally + batches.tally + Tally(decoding_seconds=seconds))


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
