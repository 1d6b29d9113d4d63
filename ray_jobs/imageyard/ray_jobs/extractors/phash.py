"""pHash: 64 bits of the low frequencies of a 32 x 32 thumbnail, the same bits as imagehash gives it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SIDE = 32
LOW = 8
PARTS = (
    *((x, y, share, share) for share in (0.9, 0.8) for x, y in ((0.5, 0.5), (0, 0), (1, 0), (0, 1), (1, 1))),
    *((x, y, 0.9, 1) for x, y in ((0, 0), (1, 0))),
    *((x, y, 1, 0.9) for x, y in ((0, 0), (0, 1))),
)
"""Parts of a picture that people crop to, or frame, in shares: how much of what is cut off lies at the left, and at the
top; how much of the width and of the height is left."""
RESOLUTION = 1e-6
"""Of what parts are made of: finer differences depend on the processor."""


def phash(gray: np.ndarray) -> np.ndarray:
    """64-bit DCT perceptual hashes of `gray`, uint8 of shape (n, 32, 32), as uint64 of shape (n,).

    Bit-equal to imagehash.phash on the same thumbnails, also of flat, symmetric and periodic ones, where bits
    hang on how a transform rounds. Bit 63 is the mean; bits go along rows of rising horizontal frequency, as
    in imagehash's hex.
    """
    import numpy as np

    low = _dct(_dct(gray.swapaxes(1, 2).astype(np.float64))[:, :, :LOW].swapaxes(1, 2))[:, :, :LOW]
    low = low.reshape(-1, LOW * LOW)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).reshape(-1)


def phash_parts(gray: np.ndarray) -> np.ndarray:
    """pHashes of PARTS of `gray`, uint8 of shape (n, 32, 32), as uint64 of shape (n, len(PARTS)).

    A crop's own hash is near that of one part of its original, and one part of a framed picture has a hash near that
    of the original. Of crops, frames, captions and small turns that PDQ misses, pHashes of whole pictures at most 10
    bits apart propose 41 in 100, and with them those of a part and a whole at most 8 apart 94, for hardly more that is
    wrong (tests/bench/transformations.py). Bits are those of `phash` of the part enlarged to 32 x 32, but for a few.
    50 µs a picture.
    """
    import numpy as np

    pixels = gray.astype(np.float64)
    hashes = np.empty((len(gray), len(PARTS)), np.uint64)
    for number, (x, y, width, height) in enumerate(PARTS):
        low = np.round(_low(y, height) @ pixels @ _low(x, width).T / RESOLUTION).reshape(-1, LOW * LOW)
        bits = low > np.median(low, axis=1, keepdims=True)
        hashes[:, number] = np.packbits(bits, axis=1).view(">u8").reshape(-1)
    return hashes


@lru_cache(maxsize=16)
def _low(place: float, share: float) -> np.ndarray:
    """What enlarges a `share` of one side to SIDE pixels and takes its lowest frequencies: float64 of shape (8, 32)."""
    import numpy as np

    at = np.clip((1 - share) * place * SIDE + (np.arange(SIDE) + 0.5) * share - 0.5, 0, SIDE - 1)
    enlarging = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(SIDE)))
    waves = np.cos(math.pi / (2 * SIDE) * np.arange(LOW)[:, None] * (2 * np.arange(SIDE) + 1))
    low: np.ndarray = waves @ enlarging
    return low


def _dct(x: np.ndarray) -> np.ndarray:
    """scipy.fftpack.dct(x) along the last axis, of length 32: DCT-II, not normalised.

    In the steps of pocketfft, which scipy uses and numpy's FFT is, so that it also rounds alike: neighbours
    are paired to a half-complex sequence, which is transformed back and turned.
    """
    import numpy as np

    half = SIDE // 2
    packed = np.empty((*x.shape[:-1], half + 1), np.complex128)
    odd, even = x[..., 1:-1:2], x[..., 2::2]
    packed[..., 0] = 2 * x[..., 0]
    packed[..., 1:half] = (odd + even) + 1j * (even - odd)
    packed[..., half] = 2 * x[..., -1]
    c = np.fft.irfft(packed, SIDE, norm="forward")
    out = np.empty_like(c)
    turn = _turn()
    ahead, back = c[..., 1:half], c[..., :half:-1]
    w, v = turn[: half - 1], turn[: half - 1 : -1]
    first = w * back + v * ahead
    second = w * ahead - v * back
    out[..., 0] = c[..., 0]
    out[..., 1:half] = 0.5 * (first + second)
    out[..., :half:-1] = 0.5 * (first - second)
    out[..., half] = c[..., half] * turn[half - 1]
    return out


@lru_cache(maxsize=1)
def _turn() -> np.ndarray:
    """cos(pi k / 64) for k = 1 … 31; from 16 on as pocketfft has it, by the sum of two angles."""
    import numpy as np

    angles = [math.pi / (2 * SIDE) * k for k in range(SIDE // 2)]
    low, high = math.sin(math.pi / 4), math.cos(math.pi / 4)
    second = [math.cos(angle) * low - math.sin(angle) * high for angle in angles]
    return np.array([math.cos(angle) for angle in angles[1:]] + second)
