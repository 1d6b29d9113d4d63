"""A named prefix in a store that holds images, facts, jobs and versions; the only thing that commits a version."""

from __future__ import annotations

import hashlib
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice

from imageyard.manifests.errors import CommitError, ManifestError, NotFoundError, StoreError, VersionError
from imageyard.manifests.lines import trusted
from imageyard.manifests.sample import Sample
from imageyard.manifests.store import Entry, Store, Writer
from imageyard.manifests.version import (
    ROLES,
    ManifestEntry,
    Range,
    Role,
    Version,
    decode_version,
    version_key,
)

RANGE_BYTES = 4 * 1024 * 1024
"""Lines are grouped into ranges of about this size, the unit of parallel reading."""

LISTED = 1000
"""Versions that are listed to find the newest: one request's worth; among more than these it is searched for."""

ATTEMPTS = 30
"""Commits tried before giving up; each loss means that another job has just won."""


@dataclass(frozen=True)
class Draft:
    """Manifests written under a fresh transaction, not yet a version."""

    transaction: str
    manifests: Mapping[Role, ManifestEntry]
    consumed: ManifestEntry | None


Build = Callable[[Version | None], Version | None]
"""Makes the record that would follow a parent, its manifests written; None when there is nothing to commit."""


class Dataset:
    """The dataset whose prefix is `store`."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def open(cls, url: str) -> Dataset:
        """The dataset at `url`, which need not exist yet."""
        return cls(Store.open(url))

    @property
    def url(self) -> str:
        return self.store.url

    def numbers(self) -> list[int]:
        """Numbers of all versions, rising."""
        return sorted(_numbers(self.store.list("versions")))

    def version(self, number: int) -> Version:
        """Version `number`; VersionError, saying which there are, if there is no such version."""
        try:
            data = self.store.get(version_key(number))
        except NotFoundError as error:
            numbers = self.numbers()
            have = f"it has 1 to {numbers[-1]}" if numbers else "it has none yet"
            raise VersionError(f"{self.url}: no version {number}; {have}") from error
        return decode_version(data, where=self.store.address(version_key(number)))

    def newest(self) -> Version | None:
        """The version a new one would follow. For tools; training names a number."""
        number = self._newest_number()
        return self.version(number) if number else None

    def _newest_number(self) -> int:
        """Of the newest version, 0 if there is none; numbers have no gaps, for each is that of the parent and one."""
        found = list(islice(_numbers(self.store.list("versions")), LISTED + 1))
        low = max(found, default=0)
        if len(found) <= LISTED:
            return low
        step = 1
        while self._is_there(low + step):
            low, step = low + step, 2 * step
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._is_there(middle) else (low, middle)
        return low

    def _is_there(self, number: int) -> bool:
        try:
            self.store.head(version_key(number))
        except NotFoundError:
            return False
        return True

    def read(self, version: Version, role: Role, *, threads: int = 4) -> Iterator[Sample]:
        """The samples of one role in the order of its manifest, ranges fetched `threads` at a time."""
        entry = version.manifests.get(role)
        if entry is None:
            return
        for block in self.blocks(entry, threads=threads):
            yield from trusted([block])

    def read_range(self, entry: ManifestEntry, index: int) -> list[Sample]:
        """The samples of one line-aligned range of a manifest; ManifestError if the manifest was tampered with."""
        part = entry.ranges[index]
        samples = list(trusted([self.store.get_range(entry.key, part.offset, part.length)]))
        if len(samples) != part.lines:
            raise ManifestError(
                f"{self.store.address(entry.key)}: {len(samples)} lines at byte {part.offset}, but the version "
                f"says {part.lines}; the object was changed after its commit"
            )
        return samples

    def consumed(self, version: Version) -> set[tuple[str, str]]:
        """The drop-folder events, as (key, ETag), that are known to be inside `version`."""
        import orjson

        if version.consumed is None:
            return set()
        events = (orjson.loads(line) for line in self.store.get(version.consumed.key).splitlines())
        return {(event["key"], event["etag"]) for event in events}

    def draft(self, samples: Iterable[tuple[Role, Sample]], *, consumed: Iterable[tuple[str, str]] = ()) -> Draft:
        """Write manifests under a fresh transaction, streaming; nothing of it shows until it is committed."""
        import orjson

        transaction = uuid.uuid4().hex
        folder = f"manifests/{transaction}"
        with ExitStack() as stack:
            parts: dict[Role, ManifestWriter] = {}
            for role, sample in samples:
                if role not in parts:
                    key = f"{folder}/{role}.manifest"
                    parts[role] = ManifestWriter(key, stack.enter_context(self.store.writer(key)))
                parts[role].write(sample.line)
            for part in parts.values():
                part.flush()
        manifests = {role: parts[role].entry() for role in ROLES if role in parts}
        ledger = [orjson.dumps({"key": key, "etag": etag}) for key, etag in sorted(consumed)]
        if not ledger:
            return Draft(transaction, manifests, None)
        key = f"{folder}/consumed.jsonl"
        with self.store.writer(key) as writer:
            part = ManifestWriter(key, writer)
            for line in ledger:
                part.write(line)
            part.flush()
        return Draft(transaction, manifests, part.entry())

    def commit(
        self, build: Build, *, pause: Callable[[float], None] = time.sleep, attempts: int = ATTEMPTS
    ) -> Version | None:
        """Build on the newest version and create the next record; build again on what another job made first.

        Returns the committed version, or None if `build` had nothing to commit. A reply that was lost is
        recognised by its transaction. Raises CommitError after `attempts` lost races.
        """
        for attempt in range(attempts):
            record = build(self.newest())
            if record is None:
                return None
            won = self._create(record, pause)
            if won:
                return record
            pause(random.uniform(0, min(5.0, 0.05 * 2**attempt)))  # noqa: S311  # jitter, not a secret
        raise CommitError(
            f"{self.url}: lost the race for the next version {attempts} times; too many jobs commit at once. "
            "Run again: nothing that was measured is lost"
        )

    def _create(self, record: Version, pause: Callable[[float], None]) -> bool:
        """Whether the record of this number is now ours; False if it is another's."""
        failure: StoreError | None = None
        for attempt in range(6):
            try:
                self.store.create(record.key, record.encoded())
            except StoreError as error:
                failure = error
            else:
                return True
            # Refused, or the reply was lost, or a conflicting request is on its way: the object knows.
            try:
                return self.version(record.number).transaction == record.transaction
            except VersionError:
                pause(0.1 * 2**attempt)
            except StoreError as error:
                failure = error
                pause(0.1 * 2**attempt)
        raise CommitError(f"{self.url}: version {record.number} could not be created: {failure}") from failure

    def blocks(self, entry: ManifestEntry, *, threads: int = 4) -> Iterator[bytes]:
        """The bytes of a manifest range by range, fetched `threads` at a time."""

        def fetch(part: Range) -> bytes:
            return self.store.get_range(entry.key, part.offset, part.length)

        if len(entry.ranges) == 1:
            yield fetch(entry.ranges[0])
            return
        with ThreadPoolExecutor(threads) as pool:
            ranges = iter(entry.ranges)
            waiting = [pool.submit(fetch, part) for part in islice(ranges, threads)]
            while waiting:
                block = waiting.pop(0).result()
                waiting.extend(pool.submit(fetch, part) for part in islice(ranges, 1))
                yield block


class ManifestWriter:
    """A manifest as it is written: its digest and its ranges of whole lines."""

    def __init__(self, key: str, writer: Writer) -> None:
        self._key = key
        self._writer = writer
        self._digest = hashlib.sha256()
        self._ranges: list[Range] = []
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._offset = 0

    def write(self, line: bytes) -> None:
        self._pending.append(line)
        self._pending_bytes += len(line) + 1
        if self._pending_bytes >= RANGE_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self._pending:
            return
        block = b"\n".join(self._pending) + b"\n"
        self._pending, self._pending_bytes = [], 0
        self.write_block(block)

    def write_block(self, block: bytes) -> None:
        """Write whole lines, each with its line break, as one range."""
        self._writer.write(block)
        self._digest.update(block)
        self._ranges.append(Range(self._offset, len(block), block.count(b"\n")))
        self._offset += len(block)

    def entry(self) -> ManifestEntry:
        lines = sum(part.lines for part in self._ranges)
        return ManifestEntry(
            key=self._key,
            lines=lines,
            bytes=self._offset,
            sha256=self._digest.hexdigest(),
            ranges=tuple(self._ranges),
        )


def _numbers(entries: Iterable[Entry]) -> Iterator[int]:
    """Numbers of the versions among the objects of their folder."""
    names = (entry.key.rsplit("/", 1)[-1] for entry in entries)
    return (int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdigit())


def listed(entries: Iterable[Entry]) -> list[Entry]:
    """Entries in order of their keys, which a store's own listing does not promise."""
    return sorted(entries, key=lambda entry: entry.key)
