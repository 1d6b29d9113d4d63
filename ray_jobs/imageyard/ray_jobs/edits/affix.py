"""Affix: a text before or after every caption."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from imageyard.ray_jobs.caption_text import pieces_of
from imageyard.ray_jobs.edits.base import About, Edit, Words
from imageyard.ray_jobs.edits.wording import Piece, Wording
from imageyard.ray_jobs.state import CAPTION, TAGS, TEXT


class Affix(Edit):
    """Written once: where it stands already, it is not written again."""

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
        if not (self.before.strip() or self.after.strip()):
            raise ValueError("nothing is written; give before: or after:")
        return self

    def edited(self, words: Wording, about: About) -> Wording:
        """The words with the texts around them."""
        text = ", ".join(piece.text for piece in words.pieces)
        before, after = " ".join(self.before.split()), " ".join(self.after.split())
        if before and not (text + " ").startswith((before + self.separator, before + " ", before + ",")):
            text = before + self.separator + text if text else before
        if after and not (" " + text).endswith((self.separator + after, " " + after)):
            text = text + self.separator + after if text else after
        pieces = pieces_of(text)
        return words if [piece.text for piece in words.pieces] == pieces else words.having(tuple(map(Piece, pieces)))
