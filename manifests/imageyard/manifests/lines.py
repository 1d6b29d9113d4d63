"""Manifests as bytes: JSON Lines in, samples out, and back, a block at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imageyard.manifests.errors import ManifestError
from imageyard.manifests.sample import Sample

MAX_LINE = 100_000
"""Characters a line may have: Ground Truth's limit for one object."""

_BOM = b"\xef\xbb\xbf"


def split(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The physical lines of a stream of blocks, without `\\n` or `\\r\\n`; an unfinished last line counts."""
    rest = b""
    for block in blocks:
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        for line in lines:
            yield line[:-1] if line.endswith(b"\r") else line
    if rest:
        yield rest[:-1] if rest.endswith(b"\r") else rest


def parse(blocks: Iterable[bytes], *, name: str) -> Iterator[Sample]:
    """The samples of a manifest called `name`; blank lines and a byte order mark are passed over.

    Raises ManifestError naming `name` and the physical line, counted from 1.
    """
    for number, line in enumerate(split(blocks), start=1):
        text = line[3:] if number == 1 and line.startswith(_BOM) else line
        if not text.strip():
            continue
        if len(text) > MAX_LINE and len(text.decode(errors="replace")) > MAX_LINE:
            raise ManifestError(
                f"{name}, line {number}: longer than {MAX_LINE:,} characters, the limit of a Ground Truth line"
            )
        yield Sample.parse(text, where=f"{name}, line {number}")


def trusted(blocks: Iterable[bytes]) -> Iterator[Sample]:
    """The samples of a manifest that was checked when it was committed; nothing is parsed until it is read."""
    return (Sample(line) for line in split(blocks) if line)
