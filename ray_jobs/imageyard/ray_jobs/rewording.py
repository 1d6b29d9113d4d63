"""A text before and after: which of its tags or words went, which came, and which only stand elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from imageyard.ray_jobs.caption_text import is_prose, pieces_of, same_as

MOST_PIECES, MOST_WORDS = 200, 400
"""What of one text is compared and shown; SequenceMatcher takes quadratic time at worst."""

Kind = Literal["same", "went", "came", "moved"]
Text = str | tuple[str, ...]
"""A caption, or names of tags."""


@dataclass(frozen=True)
class Rewording:
    """One text of an image before and after, None where there was or is none, and who says so."""

    member: str
    """The pair's name, such as `caption`."""
    before: Text | None
    after: Text | None
    before_by: str = ""
    after_by: str = ""


@dataclass(frozen=True)
class Compared:
    """Both sides in parts; `went` is never after, `came` never before, the rest stands on both sides."""

    tags: bool
    """Whether parts are whole tags; otherwise they are words."""
    before: tuple[tuple[Kind, str], ...]
    after: tuple[tuple[Kind, str], ...]
    cut: bool
    """Whether a side was longer than what is compared."""


def compared(rewording: Rewording) -> Compared:
    """What went and came: by whole tag where both sides are tags, by word where one of them is prose.

    A tag that is only spelled otherwise (case, underscores, escapes, emphasis) went and came. A tag that stands on
    both sides, but not in the same order, has moved.
    """
    tags = not any(isinstance(side, str) and is_prose(side) for side in (rewording.before, rewording.after))
    most = MOST_PIECES if tags else MOST_WORDS
    sides = [_parts(side, tags=tags) for side in (rewording.before, rewording.after)]
    before, after = (parts[:most] for parts in sides)
    old: list[Kind] = ["went"] * len(before)
    new: list[Kind] = ["came"] * len(after)
    for start, other, size in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        for step in range(size):
            old[start + step] = new[other + step] = "same"
    if tags:
        _moved(before, after, old, new)
    return Compared(
        tags,
        tuple(zip(old, before, strict=True)),
        tuple(zip(new, after, strict=True)),
        any(len(parts) > most for parts in sides),
    )


def _moved(before: Sequence[str], after: Sequence[str], old: list[Kind], new: list[Kind]) -> None:
    """Mark as moved what went and came as often."""
    places: dict[str, list[int]] = {}
    for at, part in enumerate(before):
        if old[at] == "went":
            places.setdefault(part, []).append(at)
    for at, part in enumerate(after):
        if new[at] == "came" and places.get(part):
            old[places[part].pop(0)] = new[at] = "moved"


def _parts(side: Text | None, *, tags: bool) -> list[str]:
    if side is None:
        return []
    if isinstance(side, str):
        return [piece for line in side.splitlines() for piece in pieces_of(line)] if tags else side.split()
    return list(side)


def tags_gone_and_come(rewording: Rewording) -> tuple[list[str], list[str]]:
    """The tags that went and those that came, whatever their order and spelling; none of either for prose."""
    if any(isinstance(side, str) and is_prose(side) for side in (rewording.before, rewording.after)):
        return [], []
    before, after = (_parts(side, tags=True) for side in (rewording.before, rewording.after))
    return _surplus(before, after), _surplus(after, before)


def _surplus(of: Sequence[str], over: Sequence[str]) -> list[str]:
    left = Counter(map(same_as, over))
    found = []
    for part in of:
        form = same_as(part)
        if left[form] > 0:
            left[form] -= 1
        else:
            found.append(part)
    return found
