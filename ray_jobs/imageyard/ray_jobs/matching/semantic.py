"""The matcher of likenesses: pictures of much the same thing, by the angle between their embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from imageyard.ray_jobs.extractors.embedding import Embedding, vectors
from imageyard.ray_jobs.matching.base import Keys, Look, Matcher, Related
from imageyard.ray_jobs.matching.members import members
from imageyard.ray_jobs.search.certificate import Certificate
from imageyard.ray_jobs.search.pairs import find_pairs

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

BITS = 256
ALL_UNTIL = 4_000
"""Vectors up to which every two are compared."""
SPREAD = 2.6
"""Standard deviations of differing bits that are searched beyond their mean: 99.5 % of pairs at the threshold."""
LEVELS = 127
SEED = 20_260_101


class Likenesses(Matcher):
    """Embeddings with a cosine from `similarity` on. Signs of random projections propose, cosines decide."""

    tier: ClassVar[str] = "semantic"
    version: ClassVar[int] = 1
    source: ClassVar[str] = Embedding.name
    columns: ClassVar[tuple[str, ...]] = ("vector",)

    similarity: float = Field(gt=0, le=1)

    def codes(self, facts: pa.Table) -> pa.Array:
        import pyarrow as pa

        column = facts.column("vector").combine_chunks()
        width = next((len(value) for value in column.to_pylist() if value is not None), 1)
        return column.cast(pa.binary(width))

    def relate(self, codes: np.ndarray, keys: Keys, fresh: int, look: Look) -> Related:
        """All arithmetic is on whole numbers, so the same pairs are found on every machine."""
        import numpy as np

        whole = np.rint(vectors([row.tobytes() for row in codes]) * 32_767).astype(np.float64)
        length = np.sqrt((whole**2).sum(axis=1))
        certificates: tuple[Certificate, ...] = ()
        if len(whole) <= ALL_UNTIL:
            cosine = whole @ whole[fresh:].T / np.outer(length, length[fresh:])
            first, second = np.nonzero(cosine >= self.similarity)
            second += fresh
            first, second = first[first < second], second[first < second]
        else:
            found = find_pairs(signs(whole), reach(self.similarity), fresh=fresh, run=look.run)
            first, second, _ = members(found, fresh)
            certificates = (found.certificate,)
        cosine = (whole[first] * whole[second]).sum(axis=1) / (length[first] * length[second])
        kept = cosine >= self.similarity
        first, second, distance = first[kept], second[kept], np.round(1 - cosine[kept], 4)
        order = np.lexsort((second, first))
        return Related(first[order], second[order], distance[order], certificates)


def signs(whole: np.ndarray) -> np.ndarray:
    """On which side of each of 256 random planes vectors lie: uint64 of shape (n, 4), from float64 (n, dimensions).

    The planes' normals are of ones and minus ones and the vectors are rounded to 127 levels, so the sums are exact.
    """
    import numpy as np

    normals = np.random.RandomState(SEED).randint(0, 2, (whole.shape[1], BITS)).astype(np.float32) * 2 - 1
    largest = np.abs(whole).max(axis=1, keepdims=True)
    levels = np.rint(whole * (LEVELS / np.maximum(largest, 1))).astype(np.float32)
    return np.packbits(levels @ normals > 0, axis=1).view(np.uint64)


def reach(similarity: float) -> int:
    """Bits within which two vectors of this cosine lie: a plane parts them with probability angle / pi (Charikar)."""
    import math

    parted = math.acos(similarity) / math.pi
    return min(127, math.ceil(BITS * parted + SPREAD * math.sqrt(BITS * parted * (1 - parted))))
