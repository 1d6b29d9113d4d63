"""A small JPEG of a picture, for pages and reports."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from imageyard.ray_jobs.canonical import Decoded
from imageyard.ray_jobs.extractors.base import PixelExtractor, Row

if TYPE_CHECKING:
    import pyarrow as pa


class Thumbnail(PixelExtractor):
    """The canonical picture within a square of `side` pixels, without metadata; the same bytes every time."""

    name: ClassVar[str] = "thumbnail"
    version: ClassVar[int] = 1

    side: int = Field(default=160, ge=16, le=1024)

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        """`jpeg`, the file."""
        import pyarrow as pa

        return (pa.field("jpeg", pa.binary()),)

    def measure(self, image: Decoded) -> Row:
        from PIL import Image

        longer = max(image.rgb.size)
        scale = min(1, self.side / longer)
        size = (max(1, round(image.rgb.width * scale)), max(1, round(image.rgb.height * scale)))
        small = image.rgb.resize(size, Image.Resampling.HAMMING, reducing_gap=1.5)
        file = io.BytesIO()
        small.save(file, "JPEG", quality=75)
        return {"jpeg": file.getvalue()}
