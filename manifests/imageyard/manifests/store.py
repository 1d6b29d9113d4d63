"""A URL opened as a few verbs: get, get range, head, list, create, remove, sign; nothing else talks to storage."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import obstore
from obstore import exceptions as raised
from obstore.store import LocalStore, MemoryStore

from imageyard.manifests.errors import ExistsError, NotFoundError, StoreError
from imageyard.manifests.s3_control import Entry, Form, S3Control
from imageyard.manifests.store_errors import as_ours
from imageyard.manifests.store_opening import on_s3, opened

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer
    from obstore.store import ObjectStore

__all__ = ["Entry", "Form", "Store", "Writer"]

PART = 1024 * 1024
"""Bytes fetched at a time where parts of an object are read."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Store:
    """Objects below one URL; keys are relative to it and never begin with a slash.

    Every verb raises StoreError, or a subclass, naming the object's URL.
    """

    def __init__(self, backend: ObjectStore, url: str, *, s3: S3Control | None = None) -> None:
        self.url = url.rstrip("/")
        self._backend = backend
        self._s3 = s3

    @classmethod
    def open(cls, url: str, *, hasty: bool = False) -> Store:
        """The store at `url`; credentials and endpoint as boto3 finds them for s3://, as obstore does for the rest.

        `hasty` gives up after seconds instead of a minute: for the first look at a store.
        """
        backend, control = opened(url, hasty=hasty)
        return cls(backend, url, s3=control)

    def below(self, folder: str) -> Store:
        """The store of a folder of this one, with the same session: on S3 a small part of the cost of opening it."""
        url = self.address(folder)
        if self._s3 is None or _unaddressable(folder):
            return Store.open(url)
        control = self._s3.below(folder)
        return Store(on_s3(control), url, s3=control)

    def address(self, key: str) -> str:
        """The URL of `key`, as a manifest's source-ref writes it."""
        return f"{self.url}/{key}"

    def key_of(self, address: str) -> str | None:
        """The key of an address below this store, else None."""
        return address[len(self.url) + 1 :] if address.startswith(self.url + "/") else None

    def get(self, key: str, *, etag: str | None = None) -> bytes:
        """The bytes of `key`. With `etag`, ChangedError if the object is not that one any more."""
        with self._errors(key):
            if self._s3 is not None and _unaddressable(key):
                return self._s3.get(key, etag)
            return obstore.get(self._backend, key, options={"if_match": etag} if etag else None).bytes().to_bytes()

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """`length` bytes of `key` from `offset`."""
        with self._errors(key):
            return obstore.get_range(self._backend, key, start=offset, length=length).to_bytes()

    def reader(self, key: str) -> io.BufferedReader:
        """`key` as a seekable file, for reading parts of a large object."""
        return io.BufferedReader(_Parts(self, key, self.head(key).size), PART)

    def head(self, key: str) -> Entry:
        """Size, ETag and time of `key`."""
        with self._errors(key):
            return _entry(cast(Mapping[str, Any], obstore.head(self._backend, key)))

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every object below the folder `prefix`, in no promised order."""
        with self._errors(prefix or "/"):
            try:
                for page in obstore.list(self._backend, prefix or None, chunk_size=1000):
                    for meta in page:
                        yield _entry(cast(Mapping[str, Any], meta))
                return
            except raised.InvalidPathError:
                if self._s3 is None:
                    raise
        # A key such as a//b makes the whole listing fail in the data plane; the control plane can say it.
        yield from self._s3.list(prefix)

    def folders(self, prefix: str = "") -> Sequence[str]:
        """Names of the folders directly below the folder `prefix`, in order; without listing what is in them.

        A folder is there while an object is below it. Where a file system is behind the store, and on servers that
        keep directories as it does, a folder whose last object was removed may still be named.
        """
        with self._errors(prefix or "/"):
            try:
                found = obstore.list_with_delimiter(self._backend, prefix or None)["common_prefixes"]
            except raised.InvalidPathError:
                if self._s3 is None:
                    raise
            else:
                return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)
        # As in `list`: a key such as a//b.
        return sorted(self._s3.folders(prefix))

    def create(self, key: str, data: bytes) -> None:
        """Make the object `key`; ExistsError, and nothing changed, if there is one.

        After any other StoreError the object may or may not be there: read it to know.
        """
        with self._errors(key):
            obstore.put(self._backend, key, data, mode="create", use_multipart=False)

    def ensure(self, key: str, data: bytes) -> bool:
        """Make `key` unless it is there already; whether it was made. For names that determine the content."""
        try:
            self.create(key, data)
        except ExistsError:
            return False
        return True

    @contextmanager
    def writer(self, key: str) -> Iterator[Writer]:
        """A stream into the new object `key`, which shows only when the block ends without an error.

        For names nobody else can have, such as those below a fresh transaction id: it does not look whether
        the object exists.
        """
        with self._errors(key):
            stream = obstore.open_writer(self._backend, key, buffer_size=8 * 1024 * 1024)
        yield Writer(stream, self, key)
        with self._errors(key):
            stream.close()

    def remove(self, entry: Entry) -> bool:
        """Delete the object that `entry` listed; False, and nothing done, if it has changed or is gone."""
        with self._errors(entry.key):
            if self._s3 is not None:
                return self._s3.remove(entry)
            try:
                now = self.head(entry.key)
            except NotFoundError:
                return False
            if now.etag != entry.etag:
                return False
            obstore.delete(self._backend, entry.key)
            return True

    @property
    def signs(self) -> bool:
        """Whether it has signed URLs: s3, gs and az do."""
        return not isinstance(self._backend, LocalStore | MemoryStore)

    def sign(self, key: str, *, expires: timedelta, filename: str | None = None) -> str:
        """A URL by which anyone may read `key` until it expires; s3, gs and az only.

        On s3, a browser saves what it gets as `filename`, which is of letters, digits, dashes and dots.
        """
        with self._errors(key):
            if not self.signs:
                raise StoreError(f"{self.address(key)}: this kind of store has no signed URLs")
            if self._s3 is not None and filename is not None:
                return self._s3.sign(key, expires=expires, filename=filename)
            return obstore.sign(cast(Any, self._backend), "GET", key, expires)

    def form(self, key: str, *, size: int, content_type: str, expires: timedelta) -> Form | None:
        """A form by which anyone may write `key`, of `size` bytes and a type like `content_type`, until it expires.

        None where the store has no such forms: all but s3. The object may be there already; it is replaced.
        """
        if self._s3 is None:
            return None
        return self._s3.form(key, size=size, content_type=content_type, expires=expires)

    def refuse_unless_create_only(self, key: str, data: bytes) -> bool:
        """Create `key`, and prove that the store refuses to create it twice; whether it was new.

        Commits rest on this: a store that overwrites instead is refused with StoreError.
        """
        new = self.ensure(key, data)
        try:
            self.create(key, data)
        except ExistsError:
            return new
        raise StoreError(
            f"{self.url}: the store overwrote an object it was asked only to create (it ignores If-None-Match: *), "
            "so two jobs could destroy each other's versions; use a store with conditional writes, such as Amazon S3, "
            "Google Cloud Storage, Azure, SeaweedFS or Ceph"
        )

    def _errors(self, key: str) -> AbstractContextManager[None]:
        return as_ours(self.address(key))


class _Parts(io.RawIOBase):
    """An object as a raw file: each read is one ranged request."""

    def __init__(self, store: Store, key: str, size: int) -> None:
        self._store, self._key, self._size, self._at = store, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        length = max(0, min(len(view), self._size - self._at))
        if length:
            view[:length] = self._store.get_range(self._key, self._at, length)
        self._at += length
        return length


class Writer:
    """A growing object; StoreError names it if it cannot grow."""

    def __init__(self, stream: obstore.WritableFile, store: Store, key: str) -> None:
        self._stream, self._store, self._key = stream, store, key

    def write(self, data: bytes) -> None:
        with self._store._errors(self._key):
            self._stream.write(data)


def _entry(meta: Mapping[str, Any]) -> Entry:
    return Entry(meta["path"], meta["size"], meta["e_tag"] or "", meta["last_modified"])


def _unaddressable(key: str) -> bool:
    """Whether the data plane refuses a key that S3 allows: of an odd segment, or with a control character in it."""
    return any(segment in ("", ".", "..") for segment in key.split("/")) or _CONTROL.search(key) is not None
