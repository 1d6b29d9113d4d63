"""Whether an image is safe for work, by its ratings."""

from __future__ import annotations

from collections.abc import Mapping

from imageyard.manifests.sample import Json
from imageyard.ray_jobs.state import Rejection

UNSAFE = ("questionable", "explicit")
CHECK = "not-safe"


def unsafe(step: str, scores: Mapping[str, float], above: float) -> Rejection | None:
    """Why `step` keeps an image out, by its rating `scores`; None if it is safe.

    It is not if the highest score is of a name in UNSAFE, or if the scores of those together are `above` this.
    `sensitive` is safe.
    """
    highest = max(scores, key=lambda name: scores[name])
    together = round(sum(scores.get(name, 0.0) for name in UNSAFE), 4)
    evidence: dict[str, Json] = {"measured": together, "rating": highest, "scores": dict(scores)}
    if highest in UNSAFE:
        why = f"rated {highest} ({scores[highest]:g}), which sfw keeps out"
        return Rejection(step, CHECK, why, evidence)
    if together > above:
        why = f"questionable and explicit have {together:g} together; at most {above:g} is allowed"
        return Rejection(step, CHECK, why, {**evidence, "threshold": above})
    return None


def said_unsafe(step: str, rating: str) -> Rejection | None:
    """The same for an image that a person has rated."""
    if rating not in UNSAFE:
        return None
    return Rejection(step, CHECK, f"rated {rating} by a person, which sfw keeps out", {"rating": rating})
