"""What a search promises: up to which distance nothing was missed, and what share beyond it, in theory and measured."""

from __future__ import annotations

from collections.abc import Sequence

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


def combined(certificates: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """One certificate for all searches of a kind: counts added up, sizes those of the largest."""
    kinds: dict[tuple[object, ...], Certificate] = {}
    for one in certificates:
        kind = (one.mode, one.bits, one.distance, one.tables, one.exact_to)
        old = kinds.get(kind)
        kinds[kind] = one if old is None else one.model_copy(update=_added(old, one))
    return tuple(kinds.values())


def _added(one: Certificate, other: Certificate) -> dict[str, int]:
    largest = {name: max(getattr(one, name), getattr(other, name)) for name in ("codes", "distinct")}
    counts = ("fresh", "comparisons", "hot_buckets", "sampled", "sampled_pairs", "sampled_found")
    return largest | {name: getattr(one, name) + getattr(other, name) for name in counts}
