"""Unique: what stands twice in one text, in any spelling, stands once."""

from __future__ import annotations

from typing import ClassVar

from imageyard.ray_jobs.edits.base import About, Edit, unique_pieces
from imageyard.ray_jobs.edits.wording import Wording


class Unique(Edit):
    """The first of equal pieces stays; of trigger words the trigger step sees to it."""

    kind: ClassVar[str] = "unique"

    def edited(self, words: Wording, about: About) -> Wording:
        """The words, each once."""
        return words.having(unique_pieces(words.pieces))
