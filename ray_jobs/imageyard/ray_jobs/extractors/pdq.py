"""PDQ: 256 bits that survive saving again, resizing and toning; Meta's algorithm for copies of a picture."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

GRID = 64
BITS_SIDE = 16
SMALLEST = 5
"""Pixels of the shorter side below which the reference gives no hash."""
WINDOW_DIVISOR = 128
QUALITY_DIVISOR = 90
RESOLUTION = 1e-6
TURNS = (
    "rotate_90",
    "rotate_180",
    "rotate_270",
    "flip_left_right",
    "flip_top_bottom",
    "transpose",
    "transverse",
)
"""The seven ways to turn or mirror a picture, as Pillow's Transpose names them: rotations go against the clock."""


def pdq_turned(luma: np.ndarray) -> tuple[bytes, int, bytes]:
    """The hash of `luma`, uint8 of shape (height, width), as 32 bytes; its quality, 0 to 100; and, as 7 x 32 bytes, the
    hashes of the picture turned in the ways of TURNS, in that order.

    The bytes are those of the reference's hex text (facebook/ThreatExchange, pdq/cpp). As there, pictures are to
    be reduced to at most 512 pixels first. Against pdqhash 0.2.8 on the same pixels no bit differs unless two
    of 256 frequencies lie within float32 rounding of each other. A picture with a side under 5 pixels, or of
    one colour, has zero bytes and quality 0; below a quality of 50 a hash says little.

    Turned, the bits are those of the really turned luma, but for two in three pictures of a hundred. The reference
    derives all from one block of frequencies, by changing signs; but it samples pixels a little off centre, which for
    photographs of 512 pixels puts a mirrored picture 12 bits off its hash at the median, 38 for one in a hundred.
    """
    import numpy as np

    if min(luma.shape) < SMALLEST:
        return bytes(32), 0, bytes(32 * len(TURNS))
    both = np.concatenate([_reduced(luma), _reduced(luma[::-1])]).T
    ahead, back = _reduced(both).T, _reduced(both[::-1]).T
    blocks = ahead[:GRID]
    plain, tumbled, mirrored, turned = (_waves(part) for part in (blocks, ahead[GRID:], back[:GRID], back[GRID:]))
    waves = (plain, mirrored.T, turned, tumbled.T, mirrored, tumbled, plain.T, turned.T)
    codes = _bits(np.stack(waves))
    return codes[:32], _quality(blocks), codes[32:]


def _waves(blocks: np.ndarray) -> np.ndarray:
    """The lowest frequencies of `blocks`, but for the mean, from top to bottom and left to right: (16, 16)."""
    import numpy as np

    basis = _basis()
    waves: np.ndarray = np.round(basis @ blocks.astype(np.float64) @ basis.T / RESOLUTION)  # alike on every processor
    return waves


def _bits(waves: np.ndarray) -> bytes:
    """Which of `waves`, of shape (n, 16, 16), are above the median of their 256: n x 32 bytes."""
    import numpy as np

    flat = waves.reshape(len(waves), -1)
    bits = flat > np.partition(flat, 127, axis=1)[:, 127, None]
    return np.packbits(bits[:, ::-1], axis=1).tobytes()


def _reduced(luma: np.ndarray) -> np.ndarray:
    """64 rows for all of `luma`'s: a box filter, twice, and every so many-th row of what it leaves; float32.

    Both are linear, so only the rows that are kept are ever added up, from the few that matter to each.
    """
    import numpy as np

    rows, weights = _taps(luma.shape[0])
    total = np.zeros((GRID, luma.shape[1]), np.float32)
    for row, weight in zip(rows, weights, strict=True):
        total += luma[row] * weight
    return total


@lru_cache(maxsize=1024)
def _taps(length: int) -> tuple[np.ndarray, np.ndarray]:
    """For each tap and each of 64 outputs, an input index of `length` and its float32 weight."""
    import numpy as np

    window = -(-length // WINDOW_DIVISOR)
    reach = (window + 2) // 2
    at = np.arange(length)
    offset = at - at[:, None]
    box = ((offset < reach) & (offset >= reach - window)).astype(np.float64)
    box /= box.sum(axis=1, keepdims=True)
    centres = ((np.arange(GRID) + 0.5) * length / GRID).astype(int)
    kept = box[centres] @ box
    first = np.argmax(kept > 0, axis=1)
    taps = int((kept > 0).sum(axis=1).max())
    rows = np.minimum(first + np.arange(taps)[:, None], length - 1)
    inside = first + np.arange(taps)[:, None] < length
    weights = np.where(inside, np.take_along_axis(kept.T, rows, axis=0), 0)
    return rows, weights.astype(np.float32)[:, :, None]


@lru_cache(maxsize=1)
def _basis() -> np.ndarray:
    """Rows 1 to 16 of the orthonormal 64-point DCT-II: float64 of shape (16, 64)."""
    import numpy as np

    angle = np.pi / 2 / GRID * np.arange(1, BITS_SIDE + 1)[:, None] * (2 * np.arange(GRID) + 1)
    basis: np.ndarray = np.sqrt(2 / GRID) * np.cos(angle)
    return basis


def _quality(blocks: np.ndarray) -> int:
    """Whole percents of difference between neighbours, added up and scaled as the reference does."""
    import numpy as np

    steps = sum(int(np.abs(np.trunc(np.diff(blocks, axis=axis) * 100 / 255)).sum()) for axis in (0, 1))
    return min(100, steps // QUALITY_DIVISOR)
