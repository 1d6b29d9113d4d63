"""Manifests with a few samples changed: what no change touches is copied as bytes, or stays where it is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from imageyard.manifests.chunks import Chunks
from imageyard.manifests.dataset import RANGE_BYTES, Dataset, Draft, ManifestWriter
from imageyard.manifests.errors import ManifestError
from imageyard.manifests.finding import Found, Lines
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import ROLES, ManifestEntry, Range, Role, Version


class Edit(NamedTuple):
    """Bytes of a manifest that go, and the line that comes in their place."""

    offset: int
    length: int
    """0 where a line comes between others."""
    line: bytes | None
    """None where one goes."""


def amended(
    dataset: Dataset, version: Version, changes: Mapping[str, tuple[Found, Role, Sample]], chunks: Chunks
) -> Draft:
    """Manifests under a fresh transaction in which the samples of `changes`, by key, stand as they are said to.

    `changes` holds where each sample is found in `version`, its role and itself from now on. A manifest that nothing
    changes is named as it is, below the transaction that wrote it. Raises ManifestError if one was tampered with.
    """
    edits: dict[Role, list[Edit]] = {}
    for key, (found, role, sample) in changes.items():
        line, old = sample.line, found.line
        if role == found.role:
            edits.setdefault(role, []).append(Edit(old.offset, old.end - old.offset, line))
            continue
        edits.setdefault(found.role, []).append(Edit(old.offset, old.end - old.offset, None))
        entry = version.manifests.get(role)
        place = Lines(dataset.store, entry, chunks).place(key) if entry is not None else 0
        edits.setdefault(role, []).append(Edit(place, 0, line))
    transaction = uuid.uuid4().hex
    manifests: dict[Role, ManifestEntry] = {}
    for role in ROLES:
        entry = version.manifests.get(role)
        if role in edits:
            # Of edits at one place, lines that come stand before the one that is there.
            ordered = sorted(edits[role], key=lambda edit: (edit.offset, edit.length > 0, _key(edit)))
            entry = _rewritten(dataset, entry, ordered, f"manifests/{transaction}/{role}.manifest")
        if entry is not None:
            manifests[role] = entry
    return Draft(transaction, manifests, version.consumed)


def _key(edit: Edit) -> str:
    return Sample(edit.line).key if edit.line is not None else ""


def _rewritten(dataset: Dataset, entry: ManifestEntry | None, edits: Sequence[Edit], key: str) -> ManifestEntry | None:
    """The manifest with `edits`, in order of their places, as the new object `key`; None, and no object, if that
    leaves no line."""
    ranges = entry.ranges if entry is not None else ()
    come = sum(edit.line is not None for edit in edits)
    if come + sum(part.lines for part in ranges) == sum(edit.length > 0 for edit in edits):
        return None
    waiting = list(edits)
    with dataset.store.writer(key) as stream:
        writer = ManifestWriter(key, stream)
        for number, (part, block) in enumerate(zip(ranges, dataset.blocks(entry) if entry else (), strict=True)):
            if block.count(b"\n") != part.lines or not block.endswith(b"\n"):
                raise ManifestError(
                    f"{dataset.store.address(entry.key if entry else key)}: not {part.lines} whole lines at byte "
                    f"{part.offset}, as the version says; the object was changed after its commit"
                )
            end = part.offset + part.length
            last = number == len(ranges) - 1
            here = [edit for edit in waiting if last or edit.offset < end]
            waiting = waiting[len(here) :]
            _write(writer, _spliced(block, part, here))
        _write(writer, b"".join(edit.line + b"\n" for edit in waiting if edit.line is not None))
    return writer.entry()


def _spliced(block: bytes, part: Range, edits: Sequence[Edit]) -> bytes:
    """`block`, which is that part of a manifest, with `edits`."""
    if not edits:
        return block
    pieces: list[bytes] = []
    at = 0
    for edit in edits:
        pieces.append(block[at : edit.offset - part.offset])
        if edit.line is not None:
            pieces.append(edit.line + b"\n")
        at = edit.offset - part.offset + edit.length
    return b"".join([*pieces, block[at:]])


def _write(writer: ManifestWriter, block: bytes) -> None:
    """Write whole lines, as one range unless they have grown to twice the size of one."""
    while len(block) > 2 * RANGE_BYTES:
        stop = block.index(b"\n", RANGE_BYTES) + 1
        writer.write_block(block[:stop])
        block = block[stop:]
    if block:
        writer.write_block(block)
