"""dHash: 64 bits of where a 9 x 8 thumbnail grows brighter to the right, the same bits as imagehash gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

WIDTH = 9
HEIGHT = 8


def dhash(gray: np.ndarray) -> np.ndarray:
    """64-bit difference hashes of `gray`, uint8 of shape (n, 8, 9), as uint64 of shape (n,).

    Bit-equal to imagehash.dhash on the same thumbnails. Bit 63 is the top left, bits go along rows, as in
    imagehash's hex.
    """
    import numpy as np

    bits = (gray[:, :, 1:] > gray[:, :, :-1]).reshape(-1, HEIGHT * (WIDTH - 1))
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).reshape(-1)
