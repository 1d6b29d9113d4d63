"""Fetching one item: its bytes, the name its content gives it, and its place among the dataset's images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from imageyard.manifests.errors import ChangedError, NotFoundError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import ingest_facts
from imageyard.ray_jobs.canonical import extension
from imageyard.ray_jobs.extractors.base import Row
from imageyard.ray_jobs.work import Item, SideCaption

MAX_BYTES = 256 * 1024 * 1024
"""Larger objects are refused unread."""
MAX_CAPTION_BYTES = 64 * 1024


@dataclass(frozen=True)
class Fetched:
    """An item's bytes."""

    item: Item
    content: str
    """sha256 of the bytes, or "" where they were not read."""
    data: bytes
    row: Row | None
    """The ingest row of a drop object."""
    stored: bool
    """Whether the image was new to the dataset."""


def fetch(store: Store, item: Item) -> Fetched:
    """Read `item`; a drop object is stored under its content's name. ChangedError or NotFoundError if it is gone."""
    if item.sha256 is not None:
        return Fetched(item, item.sha256, store.get(item.key), None, stored=False)
    row: Row = {"key": item.key, "etag": item.etag, "size": item.size}
    if item.size > MAX_BYTES:
        reason = f"{item.size:,} bytes; the largest image taken is {MAX_BYTES:,} bytes"
        return Fetched(item, "", b"", row | {"check": "too-large", "reason": reason}, stored=False)
    data = store.get(item.key, etag=item.etag or None)
    content, suffix = hashlib.sha256(data).hexdigest(), extension(data)
    stored = store.ensure(ingest_facts.image_key(content, suffix), data)
    row |= {"content": content, "extension": suffix}
    if item.caption is not None:
        row |= _caption(store, item.caption)
    return Fetched(item, content, data, row, stored)


def _caption(store: Store, side: SideCaption) -> Row:
    said: Row = {"caption_key": side.key, "caption_etag": side.etag}
    try:
        return said | {"caption": read_caption(store, side)}
    except UnicodeError as error:
        return said | {"caption_error": str(error)}
    except (ChangedError, NotFoundError):
        return {}


def read_caption(store: Store, side: SideCaption) -> str:
    """The text of a caption file: UTF-8, with or without a byte order mark, or UTF-16 with one; lines kept.

    Raises UnicodeError, saying what to do, for anything else or anything too long to be a caption.
    """
    if side.size > MAX_CAPTION_BYTES:
        raise UnicodeError(f"{side.size:,} bytes; a caption has at most {MAX_CAPTION_BYTES:,}")
    data = store.get(side.key, etag=side.etag or None)
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnicodeError(f"not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error
    return text.replace("\r\n", "\n").strip()
