"""What stands at a position of an epoch, its line of the manifest with the bytes of its image, fetched in threads."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from imageyard.manifests.errors import ManifestError, NotFoundError
from imageyard.manifests.sample import Sample
from imageyard.manifests.store import Store

if TYPE_CHECKING:
    from imageyard.manifests.dataset import Dataset
    from imageyard.manifests.order import EpochOrder
    from imageyard.manifests.rows import Rows


class Fetched(NamedTuple):
    """What stands at one position."""

    sample: Sample
    data: bytes | None
    """None if there is no such object."""


class Fetcher:
    """Reads lines and images by position, in threads, keeping the ranges used last."""

    def __init__(
        self, dataset: Dataset, rows: Rows, order: EpochOrder, pool: ThreadPoolExecutor, *, ranges: int
    ) -> None:
        self._dataset = dataset
        self._rows = rows
        self._order = order
        self._pool = pool
        self._most = ranges
        self._ranges: OrderedDict[int, Future[list[Sample]]] = OrderedDict()
        self._stores: dict[str, Store] = {}
        self._lock = Lock()

    def start(self, position: int) -> Future[Fetched]:
        """Begin to fetch what stands at `position` of the epoch."""
        place = self._order.place(position)
        lines = self._ranges.pop(place.range, None)
        if lines is None:
            # Before the first sample that waits for it in the pool's queue, so no thread waits for ever.
            lines = self._pool.submit(self._dataset.read_range, self._rows.entry, place.range)
        self._ranges[place.range] = lines
        if len(self._ranges) > self._most:
            self._ranges.popitem(last=False)
        return self._pool.submit(self._fetch, lines, place.range, self._rows.line(place))

    def _fetch(self, lines: Future[list[Sample]], nth: int, row: int) -> Fetched:
        where = f"{self._dataset.store.address(self._rows.entry.key)}, range {nth}, line {row + 1}"
        sample = Sample.parse(lines.result()[row].line, where=where)
        store, key = self._located(sample.source_ref, where)
        try:
            return Fetched(sample, store.get(key))
        except NotFoundError:
            return Fetched(sample, None)

    def _located(self, source_ref: str, where: str) -> tuple[Store, str]:
        """The store and key of an image, which may lie in another bucket than the dataset."""
        key = self._dataset.store.key_of(source_ref)
        if key is not None:
            return self._dataset.store, key
        scheme, separator, rest = source_ref.partition("://")
        bucket, _, key = rest.partition("/")
        if not separator or not key:
            raise ManifestError(f"{where}: source-ref is {source_ref!r}, not the URL of an object")
        url = f"{scheme}://{bucket}" if bucket else f"{scheme}:///"
        with self._lock:
            if url not in self._stores:
                self._stores[url] = Store.open(url)
            return self._stores[url], key
