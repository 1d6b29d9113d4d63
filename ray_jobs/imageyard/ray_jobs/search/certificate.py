"""What a search promises: up to which distance nothing was missed, and what share beyond it, in theory and measured."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Certificate(BaseModel):
    """The promise of one search; equal codes and an equal scheme give an equal certificate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: str
    codes: int
    distinct: int
    """Codes that differ; equal ones are collapsed first."""
    fresh: int
    """Distinct codes that were new, and so were compared with all; the others were compared by an earlier search."""
    bits: int
    distance: int
    """The largest distance that was looked for."""
    tables: int
    exact_to: int
    """No pair up to this distance can have been missed."""
    recall: dict[int, float]
    """By distance beyond `exact_to`: the share of pairs found if bits differ at random."""
    comparisons: int
    hot_buckets: int
    """Buckets too full to be compared plainly, and cut again by the bits they do not share."""
    sampled: int
    """Codes whose pairs were also found the plain way, by comparing each with all."""
    sampled_pairs: int
    sampled_found: int

    @property
    def measured_recall(self) -> float | None:
        """The share of the sampled pairs that the search found; None if the sample has no pair."""
        return self.sampled_found / self.sampled_pairs if self.sampled_pairs else None
