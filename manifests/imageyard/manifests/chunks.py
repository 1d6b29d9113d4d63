"""Parts of objects that never change, kept in memory up to a number of bytes and shared by all who read them."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from imageyard.manifests.store import Store

CHUNK = 256 * 1024
"""Bytes read at a time: a page of lines or two, and as quick to fetch from a bucket as a single byte."""
MOST = 64 * 1024 * 1024


class Chunks:
    """The chunks that were read last, of `most` bytes together; for any number of threads."""

    def __init__(self, most: int = MOST, *, size: int = CHUNK) -> None:
        self.size = size
        """Bytes of a chunk."""
        self._most = most
        self.held = 0
        """Bytes that are kept now."""
        self._chunks: OrderedDict[tuple[str, str, int], bytes] = OrderedDict()
        self._lock = Lock()

    def read(self, store: Store, key: str, size: int, number: int) -> bytes:
        """Chunk `number` of the object `key`, which is `size` bytes long; shorter than `self.size` at its end alone."""
        name = (store.url, key, number)
        with self._lock:
            known = self._chunks.get(name)
            if known is not None:
                self._chunks.move_to_end(name)
                return known
        start = number * self.size
        found = store.get_range(key, start, min(self.size, size - start))
        with self._lock:
            if name not in self._chunks:
                self._chunks[name] = found
                self.held += len(found)
            while self.held > self._most and len(self._chunks) > 1:
                _, gone = self._chunks.popitem(last=False)
                self.held -= len(gone)
        return found
