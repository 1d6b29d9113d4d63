"""Affix: a text before or after every caption."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from imageyard.ray_jobs.caption_text import joined, pieces_of
from imageyard.ray_jobs.edits.base import About, Edit, Words
from imageyard.ray_jobs.edits.wording import Piece, Wording
from imageyard.ray_jobs.state import CAPTION, TAGS, TEXT

_WORDS = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for the words of a caption."""


class Affix(Edit):
    """Written once: where it stands already, be it behind or before a trigger word, it is not written again."""

    kind: ClassVar[str] = "affix"

    on: Words = (CAPTION, TEXT)
    before: str = Field(default="", max_length=500)
    after: str = Field(default="", max_length=500)
    separator: str = Field(default=" ", max_length=10)
    """Between it and the caption; kohya's own prefix has a space there and no comma."""

    @field_validator("on")
    @classmethod
    def _no_tags(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if TAGS in value:
            raise ValueError("tags are a list, with no text before or after it; `trigger` puts tags at its ends")
        return value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (pieces_of(self.before) or pieces_of(self.after)):
            raise ValueError("nothing is written; give before: or after:")
        return self

    @cached_property
    def _around(self) -> tuple[str, str, str, str]:
        """`before` and `after` as captions have them, alone and with what stands between them and the words."""
        first = joined(pieces_of(self.before + self.separator + _WORDS)).removesuffix(_WORDS)
        last = joined(pieces_of(_WORDS + self.separator + self.after)).removeprefix(_WORDS)
        return joined(pieces_of(self.before)), first, joined(pieces_of(self.after)), last

    def edited(self, words: Wording, about: About) -> Wording:
        """The words with the texts around them."""
        text = joined(piece.text for piece in words.pieces)
        inner = joined(piece.text for piece in words.pieces if not words.held(piece))
        before, first, after, last = self._around
        if not text:
            text = joined(filter(None, (before, after)))
        if before and not any((one + " ").startswith((first, before + " ", before + ",")) for one in (text, inner)):
            text = first + text
        if after and not any((" " + one).endswith((last, " " + after)) for one in (text, inner)):
            text = text + last
        pieces = pieces_of(text)
        return words if [piece.text for piece in words.pieces] == pieces else words.having(tuple(map(Piece, pieces)))
