"""A manifest as lines at byte offsets: from any of them onwards, and to a sample by its key, without reading it all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from imageyard.manifests.chunks import Chunks
from imageyard.manifests.errors import ManifestError
from imageyard.manifests.sample import Sample
from imageyard.manifests.store import Store
from imageyard.manifests.version import ROLES, ManifestEntry, Role, Version

_LEAPS, _GUESSES = 3, 40
"""Looks that go as far as the difference of keys says, and looks before a search goes on by halves."""


class Line(NamedTuple):
    """A line where it stands."""

    offset: int
    """Of its first byte."""
    sample: Sample

    @property
    def end(self) -> int:
        """Where the next line begins."""
        return self.offset + len(self.sample.line) + 1


class Lines:
    """The lines of one manifest, whose samples are in order of key, as every version writes them."""

    def __init__(self, store: Store, entry: ManifestEntry, chunks: Chunks) -> None:
        self._store = store
        self._entry = entry
        self._chunks = chunks
        self._size = chunks.size

    def begins(self, offset: int) -> bool:
        """Whether a line begins at `offset`; the end of the manifest counts."""
        if not 0 <= offset <= self._entry.bytes:
            return False
        return offset == 0 or self._chunk((offset - 1) // self._size)[(offset - 1) % self._size] == ord("\n")

    def at(self, offset: int) -> Line:
        """The line that begins at `offset`, which is no end."""
        number, start = divmod(offset, self._size)
        chunk = self._chunk(number)
        stop = chunk.find(b"\n", start)
        parts = [chunk[start : stop if stop >= 0 else None]]
        while stop < 0:
            number += 1
            if number * self._size >= self._entry.bytes:
                raise ManifestError(
                    f"{self._store.address(self._entry.key)}: no line ends after byte {offset}; the object was changed "
                    "after its commit"
                )
            chunk = self._chunk(number)
            stop = chunk.find(b"\n")
            parts.append(chunk[: stop if stop >= 0 else None])
        return Line(offset, Sample(b"".join(parts)))

    def following(self, offset: int) -> Iterator[Line]:
        """The lines from `offset`, where one begins, to the end."""
        while offset < self._entry.bytes:
            number, start = divmod(offset, self._size)
            chunk = self._chunk(number)
            stop = chunk.rfind(b"\n", start)
            if stop < 0:
                line = self.at(offset)
                yield line
                offset = line.end
                continue
            for text in chunk[start:stop].split(b"\n"):
                yield Line(offset, Sample(text))
                offset += len(text) + 1

    def place(self, key: str) -> int:
        """Where the first line begins whose key is not before `key`; the end of the manifest if there is none."""
        low, high = 0, self._entry.bytes if key else 0
        # Keys are digests, so how far on a key stands says nearly where: a few reads instead of a dozen. From there by
        # steps that double, so that the place is soon between two lines; by halves if digests they are not.
        guess, step, below, tries = int(_share(key) * high), 4096, None, 0
        while low < high:
            if tries > _GUESSES or not low <= guess < high:
                guess = (low + high) // 2
            line = self.at(self._start(guess, low))
            tries += 1
            if line.sample.key < key:
                low = line.end
                step = 2 * step if below else 4096
                ahead = int((_share(key) - _share(line.sample.key)) * self._entry.bytes)
                guess, below = low + (ahead if tries < _LEAPS else 0) + step, True
            else:
                high = line.offset
                step = 4096 if below else 2 * step
                back = int((_share(line.sample.key) - _share(key)) * self._entry.bytes)
                guess, below = high - (back if tries < _LEAPS else 0) - step, False
        return low

    def find(self, key: str) -> Line | None:
        """The line of the sample `key`."""
        offset = self.place(key)
        if offset == self._entry.bytes:
            return None
        line = self.at(offset)
        return line if line.sample.key == key else None

    def _start(self, offset: int, low: int) -> int:
        """Where the line begins that has the byte `offset`; not before `low`, where a line begins."""
        number, stop = divmod(offset, self._size)
        while True:
            found = self._chunk(number).rfind(b"\n", 0, stop)
            if found >= 0:
                return max(low, number * self._size + found + 1)
            if number * self._size <= low:
                return low
            number, stop = number - 1, self._size

    def _chunk(self, number: int) -> bytes:
        return self._chunks.read(self._store, self._entry.key, self._entry.bytes, number)


def _share(key: str) -> float:
    """Of all digests the share that comes before `key`; a half for what is none."""
    try:
        return int(key[:12], 16) / 16**12
    except ValueError:
        return 0.5


class Found(NamedTuple):
    """A sample where it stands in a version."""

    role: Role
    line: Line


def find(store: Store, version: Version, key: str, chunks: Chunks) -> Found | None:
    """The sample `key` of a version, whatever its role; a few small reads, whatever the size of the version."""
    for role in ROLES:
        entry = version.manifests.get(role)
        line = Lines(store, entry, chunks).find(key) if entry is not None else None
        if line is not None:
            return Found(role, line)
    return None
