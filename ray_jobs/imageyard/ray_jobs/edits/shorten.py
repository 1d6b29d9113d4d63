"""Shorten: texts that are longer than a trainer reads are cut between tags, or at the end of a sentence."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from typing import ClassVar, Literal

from pydantic import Field

from imageyard.ray_jobs.caption_text import joined, pieces_of, same_as
from imageyard.ray_jobs.edits.base import About, Edit
from imageyard.ray_jobs.edits.wording import Piece, Wording

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class Shorten(Edit):
    """At most so many tokens of CLIP, tags or words; trigger words are never what goes, nor is all there is."""

    kind: ClassVar[str] = "shorten"
    shorthand: ClassVar[str] = "most"
    counting: ClassVar[bool] = True

    most: int = Field(ge=1)
    unit: Literal["tokens", "tags", "words"] = "tokens"
    """`tokens`: of CLIP, without its two marks; it reads 75 at a time."""
    drop: Literal["last", "score", "frequency"] = "last"
    """Which tags go first: the last, the least certain, the least frequent. Of sentences it is always the last."""

    def edited(self, words: Wording, about: About) -> Wording:
        """The words that fit."""
        pieces = list(words.pieces)
        if self._fits(pieces):
            return words
        if words.prose:
            whole = self._first_sentences(words)
            if whole:
                return words.having(whole)
        weights = self._weights(words, about)
        order = sorted(range(len(pieces)), key=lambda at: (weights(pieces[at]), -at))
        spare = [at for at in order if not words.held(pieces[at])]
        if len(spare) == len(pieces):
            spare.pop()

        def without(count: int) -> list[Piece]:
            gone = set(spare[:count])
            return [piece for place, piece in enumerate(pieces) if place not in gone]

        fewest = bisect_left(range(len(spare)), True, key=lambda count: self._fits(without(count)))
        return words.having(without(fewest))

    def _weights(self, words: Wording, about: About) -> Callable[[Piece], float]:
        if words.prose:
            return lambda piece: 0.0
        if self.drop == "score":
            return lambda piece: 0.0 if piece.score is None else piece.score
        if self.drop == "frequency":
            return lambda piece: float(about.counts[same_as(piece.text)])
        return lambda piece: 0.0

    def _first_sentences(self, words: Wording) -> list[Piece]:
        """As many whole sentences as fit beside the trigger words, but not all; none if the first alone does not."""
        free = [at for at, piece in enumerate(words.pieces) if not words.held(piece)]
        before = words.pieces[: free[0]]
        behind = [piece for piece in words.pieces[free[0] :] if words.held(piece)]
        sentences = _SENTENCE.split(joined(words.pieces[at].text for at in free))

        def first(count: int) -> list[Piece]:
            return [*before, *map(Piece, pieces_of(" ".join(sentences[:count]))), *behind]

        counts = range(1, len(sentences))
        fitting = bisect_left(counts, True, key=lambda count: not self._fits(first(count)))
        return first(fitting) if fitting else []

    def _fits(self, pieces: list[Piece]) -> bool:
        if self.unit == "tags":
            return len(pieces) <= self.most
        text = joined(piece.text for piece in pieces)
        if self.unit == "words":
            return len(text.split()) <= self.most
        from imageyard.ray_jobs.analysis.clip_tokens import counted

        return counted(text) <= self.most
