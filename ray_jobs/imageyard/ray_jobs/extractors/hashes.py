"""Perceptual hashes of a picture, by which copies of it are found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from imageyard.ray_jobs.canonical import Decoded, fitted
from imageyard.ray_jobs.extractors.base import PixelExtractor, Row
from imageyard.ray_jobs.extractors.dhash import HEIGHT, WIDTH, dhash
from imageyard.ray_jobs.extractors.pdq import TURNS, pdq_turned
from imageyard.ray_jobs.extractors.phash import SIDE, phash

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL import Image

PDQ_SIDE = 512
STRIP = 256
"""Rows of a picture that are copied at a time."""


class Hashes(PixelExtractor):
    """What shows that pictures are copies, from equal pixels to a crop of a fifth: about 1.5 ms at 512 x 512.

    Equal `pixels` are one picture in two files. `pdq`, at most 31 of its 256 bits apart, both of quality 50 or more,
    is a copy; so is `turned`, for a mirrored or turned one. `phash` and `dhash`, at most 10 of 64 bits apart, and
    `phash_parts` of `gray`, propose what `alike.agreement` of both `gray` decides: crops, frames, text, small turns.

    What is hashed is part of the extractor's version: luma of the canonical picture, for PDQ reduced to 512
    pixels on the longer side (`fitted` with a gap of 1), for pHash and dHash `Decoded.small` reduced to 32 x 32 and
    to 9 x 8 by Lanczos, 0 to 2 bits from imagehash's of the canonical picture (dHash 4, where little is to be seen) in
    an eighth of its time.
    """

    name: ClassVar[str] = "hashes"
    version: ClassVar[int] = 2

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        """`phash`, 64 bits; `pdq`, 32 bytes, as its hex is written; `pdq_quality`, 0 to 100; `dhash`, 64 bits;
        `pixels`, the sha256 of the canonical picture as a binary PPM file, which says width and height too; `turned`,
        seven PDQ hashes in the order of TURNS; `gray`, the luma that pHash saw: the picture stretched to 32 x 32
        pixels, a byte each, row by row.
        """
        import pyarrow as pa

        return (
            pa.field("phash", pa.uint64()),
            pa.field("pdq", pa.binary(32)),
            pa.field("pdq_quality", pa.int16()),
            pa.field("dhash", pa.uint64()),
            pa.field("pixels", pa.binary(32)),
            pa.field("turned", pa.binary(32 * len(TURNS))),
            pa.field("gray", pa.binary(SIDE * SIDE)),
        )

    def measure(self, image: Decoded) -> Row:
        import numpy as np
        from PIL import Image

        lanczos = Image.Resampling.LANCZOS
        thumbnail = np.asarray(image.small.resize((SIDE, SIDE), lanczos, reducing_gap=3.0))
        smaller = np.asarray(image.small.resize((WIDTH, HEIGHT), lanczos, reducing_gap=6.0))
        code, quality, turned = pdq_turned(np.asarray(fitted(image.gray, PDQ_SIDE, gap=1.0)))
        return {
            "phash": int(phash(thumbnail[None])[0]),
            "pdq": code,
            "pdq_quality": quality,
            "dhash": int(dhash(smaller[None])[0]),
            "pixels": _pixels(image.rgb),
            "turned": turned,
            "gray": thumbnail.tobytes(),
        }


def _pixels(rgb: Image.Image) -> bytes:
    """The sha256 of the file that `rgb.save(…, "PPM")` writes. Without its header, other shapes could be equal."""
    digest = hashlib.sha256(b"P6\n%d %d\n255\n" % rgb.size)
    for top in range(0, rgb.height, STRIP):
        digest.update(rgb.crop((0, top, rgb.width, min(top + STRIP, rgb.height))).tobytes())
    return digest.digest()
