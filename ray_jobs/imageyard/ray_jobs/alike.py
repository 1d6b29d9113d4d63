"""Whether two small pictures show the same thing, one perhaps cropped, framed, turned a little, toned or written on."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from imageyard.ray_jobs.extractors.phash import SIDE

if TYPE_CHECKING:
    import numpy as np

ENOUGH = 0.9
"""From here on two pictures are one. Of 447 million pairs of files made from 532 photographs of different scenes, each
changed in 56 ways, hashes proposed 23,000: none agreed so far, and six, screenshots of one viewer, to 0.88. Of crops,
frames, captions and small turns that PDQ misses and hashes proposed, 97 in 100 did (tests/bench/transformations.py)."""
ANGLE = 4.0
"""Degrees: parts are also compared turned by so much; half of it either way costs little."""


def agreement(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far the pictures of each pair agree: float32 of shape (n,), 0 to 1 in steps of 0.0001.

    `a` and `b` are uint8 of shape (n, SIDE, SIDE), the `gray` facts of n pairs. 1 for equal pictures that show
    anything; 0 where at most EVIDENCE of the common area does. A pair's value depends neither on the other pairs, nor
    on its order, nor on the processor: all that is summed up in no fixed order is whole numbers. 18,000 pairs a second
    and core, and other threads run meanwhile.

    It is a mean of Pearson correlations, one for each window of WINDOW x WINDOW pixels of the common area, of which
    all with texture count alike. So a change of tone costs nothing, text costs what it covers, and a frame, bar or
    backdrop that different pictures share gains little, which for one correlation of all pixels is most of the picture.

    The common area is both pictures whole, or one as a part of the other, whichever agrees better. The part is a
    rectangle anywhere in it, of 0.72 to 1 of each side, upright or turned by ANGLE either way, that correlates best:
    looked for at half size first, in both directions, and then in the better one, to half a pixel. Of text at the top
    or bottom: the better of all rows and those without ENDS at both ends counts.
    """
    import numpy as np

    from imageyard.ray_jobs.laying import agreements

    if a.shape != b.shape or a.shape[1:] != (SIDE, SIDE) or not a.dtype == b.dtype == np.uint8:
        said = f"{a.dtype} of {a.shape} with {b.dtype} of {b.shape}"
        raise ValueError(f"pairs of uint8 pictures of {SIDE} x {SIDE} are compared, not {said}")
    result = np.empty(len(a), np.float32)
    agreements(_plain(a), _plain(b), (_turning(-ANGLE), _turning(ANGLE)), result)
    return result


def _plain(pictures: np.ndarray) -> np.ndarray:
    """The same in one piece, and not to be written to: for each other kind of array numba compiles all anew."""
    import numpy as np

    plain = np.ascontiguousarray(pictures).view()
    plain.flags.writeable = False
    return plain


@lru_cache(maxsize=2)
def _turning(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel of a picture turned about its centre: the first of four that it lies between, and weights."""
    import numpy as np

    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    centre, last = (SIDE - 1) / 2, SIDE - 1
    down, right = np.clip(cosine * y - sine * x + centre, 0, last), np.clip(sine * y + cosine * x + centre, 0, last)
    row, column = np.minimum(down.astype(np.int64), last - 1), np.minimum(right.astype(np.int64), last - 1)
    below, beside = down - row, right - column
    weights = np.stack(
        [(1 - below) * (1 - beside), (1 - below) * beside, below * (1 - beside), below * beside], axis=-1
    )
    return (row * SIDE + column).reshape(-1), np.round(weights * 256).reshape(-1, 4).astype(np.float32) / 256
