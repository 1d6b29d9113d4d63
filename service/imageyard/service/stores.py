"""Open stores, each kept for the next request: opening one costs a tenth of a second, and holds connections."""

from __future__ import annotations

import threading
from collections import OrderedDict

from imageyard.manifests.store import Store

MOST = 500


class Stores:
    """Stores by URL; the one that was not asked for the longest makes room."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._open: OrderedDict[str, Store] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, url: str) -> Store:
        """The store at `url`; StoreError if it cannot be opened. The caller has checked that it may be."""
        with self._lock:
            known = self._open.get(url)
            if known is not None:
                self._open.move_to_end(url)
                return known
        store = Store.open(url)
        with self._lock:
            store = self._open.setdefault(url, store)
            while len(self._open) > self._most:
                self._open.popitem(last=False)
            return store
