"""Perceptual hashes of a picture, by which copies of it are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from imageyard.ray_jobs.canonical import Decoded, fitted
from imageyard.ray_jobs.extractors.base import PixelExtractor, Row
from imageyard.ray_jobs.extractors.pdq import pdq
from imageyard.ray_jobs.extractors.phash import SIDE, phash

if TYPE_CHECKING:
    import pyarrow as pa

PDQ_SIDE = 512


class Hashes(PixelExtractor):
    """pHash proposes, PDQ decides: at most 31 of its 256 bits apart, both of quality 50 or more, is a copy.

    What is hashed is part of the extractor's version: luma of the canonical picture, for PDQ reduced to 512
    pixels on the longer side (`fitted` with a gap of 1), for pHash `Decoded.small` reduced to 32 x 32 by
    Lanczos, 0 to 2 bits from imagehash.phash of the canonical picture in an eighth of its time.
    """

    name: ClassVar[str] = "hashes"
    version: ClassVar[int] = 1

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        """`phash`, 64 bits; `pdq`, 32 bytes, as its hex is written; `pdq_quality`, 0 to 100."""
        import pyarrow as pa

        return (
            pa.field("phash", pa.uint64()),
            pa.field("pdq", pa.binary(32)),
            pa.field("pdq_quality", pa.int16()),
        )

    def measure(self, image: Decoded) -> Row:
        import numpy as np
        from PIL import Image

        thumbnail = image.small.resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
        code, quality = pdq(np.asarray(fitted(image.gray, PDQ_SIDE, gap=1.0)))
        return {"phash": int(phash(np.asarray(thumbnail)[None])[0]), "pdq": code, "pdq_quality": quality}
