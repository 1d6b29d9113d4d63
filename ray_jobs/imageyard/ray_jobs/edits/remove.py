"""Remove: tags, and pieces of captions, that are named whole or by wildcards, go."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import ClassVar

from pydantic import Field, field_validator

from imageyard.ray_jobs.caption_text import bare
from imageyard.ray_jobs.edits.base import About, Edit, Words
from imageyard.ray_jobs.edits.wording import Wording
from imageyard.ray_jobs.tag_text import Blacklist, normal


class Remove(Edit):
    """By whole piece, never by a part of one; a trigger word goes only if it is named itself."""

    kind: ClassVar[str] = "remove"
    shorthand: ClassVar[str] = "tags"

    tags: Words = Field(min_length=1)
    """Names in any spelling, wildcards such as `*_hair`, `*` for all, `re:` and an expression."""
    but: Words = ()
    """Names or wildcards that stay."""

    @field_validator("tags", "but")
    @classmethod
    def _patterns_hold(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Blacklist(value)
        for pattern in value:
            if not normal(pattern):
                raise ValueError(f"{pattern!r} names no tag; write a name, a pattern such as *_hair, or * for all")
        return value

    @cached_property
    def _lists(self) -> tuple[Blacklist, Blacklist, frozenset[str]]:
        return Blacklist(self.tags), Blacklist(self.but), frozenset(map(normal, self.tags))

    @property
    def _all(self) -> bool:
        return any(pattern.strip() == "*" for pattern in self.tags)

    @cached_property
    def _judged(self) -> Callable[[str], tuple[bool, bool]]:
        """Whether a piece goes, and whether it is named itself; the same few thousand come again and again."""
        gone, stays, named = self._lists

        @lru_cache(maxsize=65_536)
        def judge(piece: str) -> tuple[bool, bool]:
            name = bare(piece)
            return (self._all or name in gone) and name not in stays, normal(name) in named

        return judge

    def edited(self, words: Wording, about: About) -> Wording:
        """The words without those that are named."""
        kept = []
        for piece in words.pieces:
            out, named = self._judged(piece.text)
            if not out or (words.held(piece) and not named):
                kept.append(piece)
        return words.having(kept)
