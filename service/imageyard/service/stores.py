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
        return self._kept(url, Store.open(url))

    def dataset(self, url: str) -> Store:
        """The store of a dataset: below that of the folder it lies in, which it has in common with others."""
        prefix, _, name = url.rpartition("/")
        return self.below(prefix, name) if prefix.partition("://")[2] else self.open(url)

    def below(self, url: str, folder: str) -> Store:
        """The store of a folder of the one at `url`, which costs less than a store of its own."""
        with self._lock:
            known = self._open.get(f"{url}/{folder}")
            if known is not None:
                self._open.move_to_end(known.url)
                return known
        return self._kept(f"{url}/{folder}", self.open(url).below(folder))

    def _kept(self, url: str, store: Store) -> Store:
        with self._lock:
            store = self._open.setdefault(url, store)
            while len(self._open) > self._most:
                self._open.popitem(last=False)
            return store
