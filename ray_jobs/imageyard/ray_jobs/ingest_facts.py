"""What taking in one drop object found out: its content's name, its side caption, or why it was refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

IDENTITY = "ingest-1"
COLUMNS = (
    "key",
    "etag",
    "size",
    "content",
    "extension",
    "caption_key",
    "caption_etag",
    "caption",
    "caption_error",
    "check",
    "reason",
)


def columns() -> Sequence[pa.Field]:
    """The columns of a row; the row's key is the event's id, `content` the sha256 of the bytes."""
    import pyarrow as pa

    return [pa.field(name, pa.int64() if name == "size" else pa.string()) for name in COLUMNS]


def image_key(content: str, extension: str) -> str:
    """Where an ingested image lies in its dataset."""
    return f"images/{content[:2]}/{content}.{extension}"
