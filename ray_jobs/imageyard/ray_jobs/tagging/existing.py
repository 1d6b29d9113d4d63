"""What people have said of an image already, as far as it concerns its tags."""

from __future__ import annotations

from typing import Literal

from imageyard.manifests.sample import Sample
from imageyard.ray_jobs.caption_text import is_prose, pieces_of
from imageyard.ray_jobs.state import CAPTION, RATING, TAGS, by_person

Existing = Literal["overwrite", "skip", "append", "merge"]


def described(sample: Sample) -> bool:
    """Whether a person wrote its caption or its tags."""
    return by_person(sample, CAPTION) or by_person(sample, TAGS)


def pieces_said(sample: Sample) -> list[str]:
    """The pieces of a person's caption, if it is a list of tags; sentences have none."""
    caption = sample.value(CAPTION)
    if not isinstance(caption, str) or not by_person(sample, CAPTION):
        return []
    pieces = pieces_of(caption)
    return [] if is_prose(pieces) else pieces


def rating_said(sample: Sample) -> str | None:
    """The rating that a person gave, by its name; None for one without a name."""
    if not by_person(sample, RATING):
        return None
    said = (sample.metadata(RATING) or {}).get("class-name", sample.value(RATING))
    return said if isinstance(said, str) else None
