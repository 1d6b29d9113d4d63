"""Standardise: one spelling for what means the same, and one style of commas, case and brackets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from imageyard.ray_jobs.caption_text import bare, pieces_of, same_as, with_words
from imageyard.ray_jobs.edits.base import About, Edit, refuse_unclear, unique_pieces
from imageyard.ray_jobs.edits.wording import Piece, Wording
from imageyard.ray_jobs.state import TAGS
from imageyard.ray_jobs.tag_text import escaped, spaced, underscored, unescaped, with_spaces_for_commas

_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " ", "，": ","})
_UNDERSCORES: Mapping[str, Callable[[str], str]] = {"keep": str, "spaces": spaced, "underscores": underscored}


class Standardise(Edit):
    """Commas are always followed by one space, and nothing stands twice; trigger words keep their spelling."""

    kind: ClassVar[str] = "standardise"
    restyling: ClassVar[bool] = True

    synonyms: Mapping[str, str] = {}
    """What is written for what, by whole piece and in any spelling: `{grey hair: gray hair}`."""
    case: Literal["keep", "lower"] = "keep"
    underscores: Literal["keep", "spaces", "underscores"] = "keep"
    """Kaomoji keep theirs."""
    brackets: Literal["keep", "escape", "plain"] = "keep"
    r"""`escape`: `saber \(fate\)`, as prompt interfaces want it."""
    quotes: Literal["keep", "straight"] = "straight"

    @model_validator(mode="after")
    def _settles(self) -> Self:
        refuse_unclear("synonyms", self.synonyms)
        sources = {same_as(old) for old in self.synonyms}
        for old, new in self.synonyms.items():
            if "," in new or not new.strip():
                raise ValueError(f"`{new}`, for `{old}`, is not one piece; `replace` can remove or write several")
            if bare(new.strip()) != new.strip():
                raise ValueError(f"`{new}`, for `{old}`, has emphasis, which is no spelling; `replace` can give it")
            if same_as(new) in sources and same_as(new) != same_as(old):
                raise ValueError(f"`{new}` is the spelling for `{old}` and has another itself; name the last for both")
        return self

    @cached_property
    def _names(self) -> dict[str, str]:
        return {same_as(old): new.strip() for old, new in self.synonyms.items()}

    def edited(self, words: Wording, about: About) -> Wording:
        """The words in the one style."""
        pieces = [one for piece in words.pieces for one in self._parts(piece, words)]
        return words.having(pieces if words.prose else unique_pieces(pieces))

    def _parts(self, piece: Piece, words: Wording) -> list[Piece]:
        """The piece, or the pieces between commas that looked otherwise; none if nothing is left of it."""
        if words.held(piece):
            return [piece]
        text = piece.text.translate(_QUOTES) if self.quotes == "straight" else piece.text
        parts = pieces_of(text) if words.attribute != TAGS else [with_spaces_for_commas(text)]
        found = [self._one(piece, part, words) for part in parts]
        return [one for one in found if one.text]

    def _one(self, piece: Piece, text: str, words: Wording) -> Piece:
        name = self._names.get(same_as(text), bare(text))
        if not words.prose:
            name = name.lower() if self.case == "lower" else name
            name = " ".join(_UNDERSCORES[self.underscores](name).split())
            if self.brackets != "keep":
                name = unescaped(name) if self.brackets == "plain" else escaped(unescaped(name))
        text = with_words(text, name) if name else ""
        same = same_as(text) == same_as(piece.text)
        return piece if text == piece.text else replace(piece, text=text, index=piece.index if same else None)
