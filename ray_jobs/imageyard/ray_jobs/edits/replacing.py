"""Replace: one tag for another, a phrase for another, or what an expression finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import ClassVar, Self

from pydantic import field_validator, model_validator

from imageyard.manifests.errors import JobError
from imageyard.ray_jobs.caption_text import in_place_of, pieces_of, same_as
from imageyard.ray_jobs.edits.base import About, Edit, refuse_unclear, unique_pieces
from imageyard.ray_jobs.edits.wording import Piece, Wording, text_of
from imageyard.ray_jobs.splitting.patterns import expression
from imageyard.ray_jobs.tag_text import normal

GROUPS = 9
LONGEST = 4_000
"""Characters of a piece that expressions are tried on; none longer is changed by them."""

Change = Callable[[str], str]


class Replace(Edit):
    """What is empty afterwards goes, and what stands twice; a trigger word changes only if it is named whole."""

    kind: ClassVar[str] = "replace"
    shorthand: ClassVar[str] = "tags"

    tags: Mapping[str, str] = {}
    """Whole pieces, in any spelling: `{1girl: woman}`. Several may become one; an empty target removes."""
    phrases: Mapping[str, str] = {}
    """Words in this order inside a piece or a sentence, never a part of a word: `{red car: blue car}`."""
    regex: Mapping[str, str] = {}
    r"""Expressions over each piece, and what becomes of what they find, with \1 for the first group."""
    case: bool = False
    """Whether phrases and expressions heed upper and lower case."""

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for text, target in value.items():
            compiled = expression(text, groups=GROUPS)
            try:
                compiled.sub(target, "")
                re.sub(f"(?:{text})?", target, "", count=1)
            except (re.error, IndexError) as error:
                raise ValueError(f"`{target}` cannot take the place of `{text}` ({error})") from error
        return value

    @model_validator(mode="after")
    def _settles(self) -> Self:
        if not (self.tags or self.phrases or self.regex):
            raise ValueError("nothing is replaced; write tags: {old: new}, phrases: {…} or regex: {…}")
        refuse_unclear("tags", self.tags)
        if not all(normal(old) for old in self.phrases):
            raise ValueError("phrases has an empty one, which stands everywhere; write {old: new}")
        sources = {same_as(old) for old in self.tags}
        for old, new in self.tags.items():
            for piece in pieces_of(new):
                if same_as(piece) in sources and (same_as(piece) != same_as(old) or len(pieces_of(new)) > 1):
                    raise ValueError(
                        f"`{piece}` takes the place of `{old}` and is itself replaced, so a second run would change it "
                        "again; write what is to stand in the end"
                    )
        return self

    @cached_property
    def _whole(self) -> dict[str, list[str]]:
        return {same_as(old): pieces_of(new) for old, new in self.tags.items()}

    @cached_property
    def _changes(self) -> list[Change]:
        flags = 0 if self.case else re.IGNORECASE
        changes = [_phrase(old, new, flags) for old, new in self.phrases.items()]
        return changes + [_found(re.compile(text, flags), new) for text, new in self.regex.items()]

    def edited(self, words: Wording, about: About) -> Wording:
        """The words with the new in place of the old. Raises JobError if what comes of it would be replaced again."""
        once = self._once(words)
        again = once if once is words else self._once(once)
        if again is not once:
            raise _unsettled(words, once, again)
        return once

    def _once(self, words: Wording) -> Wording:
        found: list[Piece] = []
        for piece in words.pieces:
            for one in self._of_whole(piece):
                text = one.text if words.held(one) else self._inside(one.text)
                if text == one.text:
                    found.append(one)
                else:
                    found += [replace(one, text=part, index=None) for part in pieces_of(text)]
        changed = found != list(words.pieces)
        return words.having(unique_pieces(found)) if changed else words

    def _of_whole(self, piece: Piece) -> list[Piece]:
        targets = self._whole.get(same_as(piece.text))
        if targets is None or (len(targets) == 1 and in_place_of(piece.text, targets[0]) == piece.text):
            return [piece]
        return [replace(piece, text=in_place_of(piece.text, target), index=None) for target in targets]

    def _inside(self, text: str) -> str:
        for change in self._changes if len(text) <= LONGEST else ():
            changed = change(text)
            if changed != text and change(changed) != changed:
                raise _unsettled(text, changed, change(changed))
            text = changed
        return text


def _unsettled(*said: str | Wording) -> JobError:
    first, second, third = (repr(one if isinstance(one, str) else text_of([one])) for one in said)
    return JobError(
        f"replace: {first} becomes {second}, and that would become {third} if it were run again; let it not find what "
        "it writes. Nothing was committed"
    )


def _phrase(old: str, new: str, flags: int) -> Change:
    """`new` for the words `old`, but where they are a part of `new` already."""
    words = r"[\s_]+".join(re.escape(word) for word in normal(old).split())
    already = r"[\s_]+".join(re.escape(word) for word in new.split())
    both = re.compile(rf"(?<!\w)(?:({already})|{words})(?!\w)" if already else rf"(?<!\w)(?:(\0)|{words})(?!\w)", flags)
    return lambda text: " ".join(both.sub(lambda found: found[1] or new, text).split())


def _found(pattern: re.Pattern[str], new: str) -> Change:
    return lambda text: " ".join(pattern.sub(new, text).split())
