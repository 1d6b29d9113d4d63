"""The matcher of variants: pictures cropped, framed, written on or toned, proposed by hashes and verified by sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.extractors.phash import SIDE
from imageyard.ray_jobs.matching.base import Keys, Look, Matcher, Related
from imageyard.ray_jobs.matching.binaries import binaries, rows_of
from imageyard.ray_jobs.matching.copies import PDQ_BYTES, pdq_codes
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
    columns: ClassVar[tuple[str, ...]] = ("pdq", "phash", "gray", "pdq_quality")

    whole: int = Field(ge=0, le=16)
    """Bits of 64 up to which the pHashes of two pictures propose them."""
    part: int = Field(ge=-1, le=16)
    """Bits of 64 up to which the pHash of a picture and of a part of the other propose them; -1 proposes none."""
    agree: float = Field(ge=0, le=1)
    """Agreement from which a pair is kept, as 1 - agreement."""
    min_quality: int = Field(ge=0, le=100)
    mode: Mode = "auto"

    def codes(self, facts: pa.Table) -> pa.Array:
        """PDQ, pHash and the pHashes of parts side by side: pictures that are equal in all are one."""
        import numpy as np

        from imageyard.ray_jobs.extractors.phash import phash_parts

        plain = pdq_codes(facts, ["pdq", "phash"], self.min_quality)
        known = np.asarray(plain.is_valid(), dtype=bool)
        gray = rows_of(facts.column("gray").combine_chunks().filter(plain.is_valid()))
        if not len(gray):
            return plain
        parts = phash_parts(gray.reshape(-1, SIDE, SIDE)).view(np.uint8).reshape(len(gray), -1)
        return binaries(np.concatenate([rows_of(plain.drop_null()), parts], axis=1), known)

    def relate(self, codes: np.ndarray, keys: Keys, fresh: int, look: Look) -> Related:
        """Pairs that a hash proposes and whose pictures agree; copies too, whatever a recipe takes for one."""
        import numpy as np

        n, proposed = len(codes), [np.zeros(0, np.int64)]
        certificates: list[Certificate] = []
        whole = np.ascontiguousarray(codes[:, PDQ_BYTES : PDQ_BYTES + 8]).view(np.uint64)
        found = find_pairs(whole, self.whole, fresh=fresh, mode=self.mode, run=look.run)
        first, second, _ = members(found, fresh)
        proposed.append(first * n + second)
        certificates.append(found.certificate)
        if self.part >= 0:
            parts = np.ascontiguousarray(codes[:, PDQ_BYTES + 8 :]).view(np.uint64)
            for old, new, swapped in ((whole, parts[fresh:], False), (parts[:fresh], whole[fresh:], True)):
                both = np.concatenate([old.reshape(-1, 1), new.reshape(-1, 1)])
                found = find_pairs(both, self.part, fresh=old.size, across=True, mode=self.mode, run=look.run)
                one, other, _ = members(found, old.size, across=True)
                other -= old.size
                a = one // parts.shape[1] if swapped else one
                b = fresh + (other if swapped else other // parts.shape[1])
                proper = a != b
                proposed.append((np.minimum(a, b) * n + np.maximum(a, b))[proper])
                certificates.append(found.certificate)
        pairs = np.unique(np.concatenate(proposed))
        first, second = pairs // n, pairs % n
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
        pictures = rows_of(seen).reshape(-1, SIDE, SIDE)
        a, b = places[: len(first)], places[len(first) :]
        parts = [
            agreement(pictures[a[at : at + VERIFIED]], pictures[b[at : at + VERIFIED]])
            for at in range(0, len(a), VERIFIED)
        ]
        return np.concatenate(parts)
