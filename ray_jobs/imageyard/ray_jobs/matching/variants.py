"""The matcher of variants: pictures cropped, framed, written on or toned, proposed by hashes and verified by sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.matching.base import Keys, Look, Matcher, Related
from imageyard.ray_jobs.matching.copies import COPY_BITS, PDQ_BYTES, pdq_codes
from imageyard.ray_jobs.matching.members import members
from imageyard.ray_jobs.search.certificate import Certificate
from imageyard.ray_jobs.search.pairs import find_pairs
from imageyard.ray_jobs.search.scheme import Mode

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

VERIFIED = 32_768
"""Pairs that are looked at together."""


class Variants(Matcher):
    """The same picture changed: small hashes propose, small pictures laid over each other agree."""

    tier: ClassVar[str] = "variant"
    version: ClassVar[int] = 1
    source: ClassVar[str] = Hashes.name
    columns: ClassVar[tuple[str, ...]] = ("pdq", "phash", "dhash", "pdq_quality")

    phash: int = Field(ge=-1, le=16)
    """Bits of 64 up to which pHash proposes a pair; -1 proposes none."""
    dhash: int = Field(ge=-1, le=16)
    agree: float = Field(ge=0, le=1)
    """Agreement from which a pair is kept, as 1 - agreement."""
    min_quality: int = Field(ge=0, le=100)
    mode: Mode = "auto"

    def codes(self, facts: pa.Table) -> pa.Array:
        """PDQ, pHash and dHash side by side: pictures that are equal in all three are one."""
        return pdq_codes(facts, ["pdq", "phash", "dhash"], self.min_quality)

    def relate(self, codes: np.ndarray, keys: Keys, fresh: int, look: Look) -> Related:
        """Pairs that a hash proposes, that are no copies already, and whose pictures agree."""
        import numpy as np

        n, proposed = len(codes), [np.zeros(0, np.int64)]
        certificates: list[Certificate] = []
        for at, within in ((PDQ_BYTES, self.phash), (PDQ_BYTES + 8, self.dhash)):
            if within >= 0:
                small = np.ascontiguousarray(codes[:, at : at + 8]).view(np.uint64)
                found = find_pairs(small, within, fresh=fresh, mode=self.mode, run=look.run)
                first, second, _ = members(found, fresh)
                proposed.append(first * n + second)
                certificates.append(found.certificate)
        pairs = np.unique(np.concatenate(proposed))
        first, second = pairs // n, pairs % n
        pdq = np.ascontiguousarray(codes[:, :PDQ_BYTES]).view(np.uint64)
        apart = np.bitwise_count(pdq[first] ^ pdq[second]).sum(axis=1)
        first, second = first[apart > COPY_BITS], second[apart > COPY_BITS]
        agreed = self._agreement(first, second, keys, look)
        kept = agreed >= self.agree
        distance = np.round(1 - agreed[kept].astype(np.float64), 4)
        return Related(first[kept], second[kept], distance, tuple(certificates))

    def _agreement(self, first: np.ndarray, second: np.ndarray, keys: Keys, look: Look) -> np.ndarray:
        import numpy as np

        from imageyard.ray_jobs.alike import agreement

        rows, places = np.unique(np.concatenate([first, second]), return_inverse=True)
        if not len(rows):
            return np.zeros(0, np.float32)
        seen = look.facts(Hashes.name, keys(rows), ["gray"]).column("gray").combine_chunks()
        side = int(seen.type.byte_width**0.5)
        pictures = np.frombuffer(seen.buffers()[1], np.uint8)[: len(rows) * side * side].reshape(-1, side, side)
        a, b = places[: len(first)], places[len(first) :]
        parts = [
            agreement(pictures[a[at : at + VERIFIED]], pictures[b[at : at + VERIFIED]])
            for at in range(0, len(a), VERIFIED)
        ]
        return np.concatenate(parts)
