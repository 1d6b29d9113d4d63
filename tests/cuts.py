"""A real store in a process that dies at any moment that matters to others."""

from collections.abc import Iterator

from imageyard.manifests import Store
from imageyard.manifests.store import Entry, Writer


class PowerCut(BaseException):
    """Not an Exception: nothing in the product may catch it and tidy up."""


class FailingStore(Store):
    """A real store in a process that dies at its nth change, just before or just after it."""

    left = 10**9
    after = False
    changes = 0

    def _change(self) -> Iterator[None]:
        self.changes += 1
        self.left -= 1
        if self.left < 0 or (self.left == 0 and not self.after):
            raise PowerCut
        yield
        if self.left == 0:
            raise PowerCut

    def create(self, key: str, data: bytes) -> None:
        for _ in self._change():
            super().create(key, data)

    def remove(self, entry: Entry) -> bool:
        gone = False
        for _ in self._change():
            gone = super().remove(entry)
        return gone

    def writer(self, key: str) -> "_Cut":  # type: ignore[override]
        return _Cut(self, key)


class _Cut:
    """A writer whose object never shows if the power goes before it is whole."""

    def __init__(self, store: FailingStore, key: str) -> None:
        self._store, self._inner = store, Store.writer(store, key)

    def __enter__(self) -> Writer:
        return self._inner.__enter__()

    def __exit__(self, *error: object) -> None:
        for _ in self._store._change():
            self._inner.__exit__(*error)  # type: ignore[arg-type]
