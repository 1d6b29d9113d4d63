"""What the labels of a model are called in captions: spelled, replaced, expanded, or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from imageyard.ray_jobs.caption_text import bare, pieces_of, same_as, with_words
from imageyard.ray_jobs.tag_categories import CHARACTER, GENERAL
from imageyard.ray_jobs.tag_text import KAOMOJI, Blacklist, escaped, normal, spaced, unescaped, with_spaces_for_commas

_QUALIFIED = re.compile(r"(.*[^\s_])[\s_]\(([^()]*[^()\s_][^()]*)\)")


@dataclass(frozen=True, slots=True)
class Label:
    """One output of a tagger."""

    index: int
    tag: str
    category: int


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """One tag that may be written."""

    text: str
    form: str
    """Normal form of `text`: names of one form are one tag."""
    index: int | None
    """The class of the model; None for a name that the model does not have."""
    category: int
    label: str = ""
    """What the model calls it, by which equal scores are ordered; "" where no model says it."""
    place: tuple[int, int] = (-1, 0)
    """Number of the model, and the label's index there."""
    renamed: bool = False
    """Whether `label` held a comma, which `text` does not."""
    said: int | None = None
    """Which piece of a person's caption it is; nothing drops it then."""


Pick = tuple[Name, float]
"""A tag of one image with its score."""


class Naming:
    """The rules for names; each name is replaced at most once, so replacements do not chain.

    `replace` has new names by old name: several new ones stand between commas, and none means that the tag goes.
    Raises ValueError for a pattern of `blacklist` that cannot be used.
    """

    def __init__(
        self,
        *,
        blacklist: Sequence[str] = (),
        replace: Mapping[str, str] = MappingProxyType({}),
        expand_characters: bool = False,
        keep_underscores: bool = False,
        escape: bool = False,
    ) -> None:
        self._blacklist = Blacklist(blacklist)
        self._new = {normal(old): pieces_of(new) for old, new in replace.items()}
        self._expands = expand_characters
        self._keeps = keep_underscores
        self._escapes = escape

    def names(self, label: Label, model: int = 0) -> tuple[Name, ...]:
        """What `label` is called, mostly one name; none if it is on the blacklist, which new names may be too."""
        if label.tag in self._blacklist:
            return ()
        form, place = normal(label.tag), (model, label.index)
        texts = self._texts(label, form)
        names = []
        for text in texts:
            own = same_as(text) == form or texts == [self.spelled(label.tag)]
            if same_as(text) and text not in self._blacklist:
                index, renamed = (label.index, "," in label.tag) if own else (None, False)
                names.append(Name(text, same_as(text), index, label.category, label.tag, place, renamed))
        return tuple(names)

    def spelled(self, tag: str) -> str:
        """A model's name for a tag as captions write it, without the comma that would tear it apart there."""
        text = with_spaces_for_commas(tag, "_") if self._keeps else with_spaces_for_commas(spaced(tag))
        return escaped(text) if self._escapes else text

    def as_said(self, text: str) -> str:
        """A name of the recipe: as it stands there, but for the escaping."""
        words = unescaped(bare(text))
        return with_words(text, escaped(words) if self._escapes else words)

    def of_recipe(self, text: str) -> Name:
        """A tag that the recipe brings."""
        return Name(self.as_said(text), same_as(text), None, GENERAL)

    def _texts(self, label: Label, form: str) -> list[str]:
        if form in self._new:
            return self._replaced(form)
        parts = expanded(label.tag) if self._expands and label.category == CHARACTER else (label.tag,)
        if len(parts) == 1:
            return [self.spelled(label.tag)]
        found: list[str] = []
        for part in parts:
            found += self._replaced(normal(part)) if normal(part) in self._new else [self.spelled(part)]
        return found

    def _replaced(self, form: str) -> list[str]:
        return [self.as_said(piece) for piece in self._new[form]]


def expanded(tag: str) -> tuple[str, ...]:
    """A character's name and series: of `saber_(fate)` `saber` and `fate`; by the last parentheses alone.

    A tag that has no name before them, or nothing in them, is itself, and so is every face.
    """
    found = _QUALIFIED.fullmatch(tag)
    return (found[1], found[2].strip(" _")) if found and tag not in KAOMOJI else (tag,)


def said(piece: str, place: int) -> Pick:
    """A piece of a person's caption, the `place`th: it is as sure as can be."""
    return (Name(piece, same_as(piece), None, GENERAL, place=(-1, place), said=place), 1.0)
