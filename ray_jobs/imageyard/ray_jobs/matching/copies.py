"""Matchers of copies: equal pixels, and PDQ codes a few bits apart, as they are, turned or mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.matching.base import Keys, Look, Matcher, Related
from imageyard.ray_jobs.matching.binaries import binaries, rows_of
from imageyard.ray_jobs.matching.members import members
from imageyard.ray_jobs.search.pairs import find_pairs
from imageyard.ray_jobs.search.scheme import Mode

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

PDQ_BYTES = 32
COPY_BITS = 31
"""Hamming bits of 256 up to which Meta's PDQ paper takes pictures for copies."""


class EqualPixels(Matcher):
    """Pictures of which every decoded pixel is the same, whatever file they are in."""

    tier: ClassVar[str] = "pixels"
    version: ClassVar[int] = 1
    source: ClassVar[str] = Hashes.name
    columns: ClassVar[tuple[str, ...]] = ("pixels",)

    def codes(self, facts: pa.Table) -> pa.Array:
        return facts.column("pixels").combine_chunks()

    def relate(self, codes: np.ndarray, keys: Keys, fresh: int, look: Look) -> Related:
        """Nothing: equal codes are one node of the index already."""
        import numpy as np

        none = np.zeros(0, np.int64)
        return Related(none, none, np.zeros(0), ())


class Copies(Matcher):
    """The same picture saved, resized or toned again: PDQ codes within some bits of 256."""

    tier: ClassVar[str] = "copy"
    version: ClassVar[int] = 1
    source: ClassVar[str] = Hashes.name
    columns: ClassVar[tuple[str, ...]] = ("pdq", "pdq_quality")

    within: int = Field(ge=0, le=127)
    min_quality: int = Field(ge=0, le=100)
    """PDQ quality below which an image is too featureless to be compared."""
    mode: Mode = "auto"

    def codes(self, facts: pa.Table) -> pa.Array:
        return pdq_codes(facts, ["pdq"], self.min_quality)

    def relate(self, codes: np.ndarray, keys: Keys, fresh: int, look: Look) -> Related:
        import numpy as np

        found = find_pairs(codes.view(np.uint64), self.within, fresh=fresh, mode=self.mode, run=look.run)
        return Related(found.first, found.second, found.distance.astype(np.float64), (found.certificate,))


class Mirrored(Matcher):
    """The same picture turned or mirrored: the PDQ code of one within some bits of a turned code of the other."""

    tier: ClassVar[str] = "mirrored"
    version: ClassVar[int] = 1
    source: ClassVar[str] = Hashes.name
    columns: ClassVar[tuple[str, ...]] = ("pdq", "turned", "pdq_quality")

    within: int = Field(ge=0, le=127)
    min_quality: int = Field(ge=0, le=100)
    mode: Mode = "auto"

    def codes(self, facts: pa.Table) -> pa.Array:
        """Eight PDQ codes each: of the picture, then of its seven turns."""
        return pdq_codes(facts, ["pdq", "turned"], self.min_quality)

    def relate(self, codes: np.ndarray, keys: Keys, fresh: int, look: Look) -> Related:
        """Each turn of the new ones against all as they are, and each turn of the old ones against the new.

        A turn of one is within a few bits as far from the other as the inverse turn of the other from it: the smaller
        distance counts, whichever came first.
        """
        import numpy as np

        upright = np.ascontiguousarray(codes[:, :PDQ_BYTES])
        parts, certificates = [], []
        for turn in range(1, codes.shape[1] // PDQ_BYTES):
            turned = codes[fresh:, turn * PDQ_BYTES : (turn + 1) * PDQ_BYTES]
            both = np.concatenate([upright, turned]).view(np.uint64)
            found = find_pairs(both, self.within, fresh=len(upright), across=True, mode=self.mode, run=look.run)
            certificates.append(found.certificate)
            one, other, distance = members(found, len(upright), across=True)
            parts.append((one, other - len(upright) + fresh, distance))
            if fresh:
                turned = codes[:fresh, turn * PDQ_BYTES : (turn + 1) * PDQ_BYTES]
                both = np.concatenate([turned, upright[fresh:]]).view(np.uint64)
                found = find_pairs(both, self.within, fresh=fresh, across=True, mode=self.mode, run=look.run)
                certificates.append(found.certificate)
                parts.append(members(found, fresh, across=True))
        a, b, d = (np.concatenate([part[at] for part in parts]) for at in range(3))
        low, high = np.minimum(a, b), np.maximum(a, b)
        order = np.lexsort((d, high, low))
        low, high, d = low[order], high[order], d[order]
        first = np.ones(len(low), bool)
        first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        first &= low != high  # a picture may be its own mirror image
        return Related(low[first], high[first], d[first].astype(np.float64), tuple(certificates))


def pdq_codes(facts: pa.Table, columns: Sequence[str], min_quality: int) -> pa.Array:
    """The columns of each image side by side; null below the quality, where a code says little."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    quality = facts.column("pdq_quality").cast(pa.int16()).combine_chunks()
    known = pc.fill_null(pc.greater_equal(quality, min_quality), False)
    parts = [rows_of(facts.column(name).combine_chunks().filter(known)) for name in columns]
    return binaries(np.concatenate(parts, axis=1), np.asarray(known, dtype=bool))
