"""A vector as it is stored: the direction alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from imageyard.ray_jobs.extractors.base import Row


def direction(name: str, vector: np.ndarray) -> Row:
    """`vector` of the model `name` as float16, little-endian, of length 1 as near as that comes (0.001).

    One without a direction has `error` instead.
    """
    import numpy as np

    exact = vector.astype(np.float64)
    length = np.sqrt(np.square(exact).sum())
    if not np.isfinite(length):
        return {"error": f"not-a-number: {name} gave a vector with what is no number"}
    if length == 0:
        return {"error": f"no-direction: {name} gave a vector of zeros"}
    return {"vector": (exact / length).astype("<f2").tobytes()}
