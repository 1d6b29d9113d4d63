"""A caption as pieces between commas, and what of it decides whether two pieces say the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from imageyard.ray_jobs.tag_text import normal

SEPARATOR = ", "
LONG_PIECE, SENTENCE_SHARE = 5, 0.3
"""A text is prose if more than this share of its pieces have more than so many words: kohya's shuffling shreds it."""

FEW_WORDS = 2
"""No sentence has fewer words or as few."""

_STOPPED = re.compile(r"""[^\W_][)\]"'”’]*\.$""")
_EXCLAIMED = re.compile(r"""[^\W_][)\]"'”’]*[!?]+$""")
_WEIGHTED = re.compile(r"\(((?:[^()\\]|\\.|\([^()]*\))+?)(:[+-]?\d+(?:\.\d+)?)\)")
"""Emphasis as prompt interfaces write it: `(red hair:1.2)`; one piece, whatever commas are inside."""
_END = re.compile(r"\s*(?:,|$)")


def pieces_of(text: str) -> list[str]:
    """The pieces of a caption, stripped, without empty ones; an emphasised group is one piece, and no piece goes on
    in the next line."""
    found: list[str] = []
    at, whole = 0, SEPARATOR.join(" ".join(line.split()) for line in text.splitlines())
    while at < len(whole):
        while at < len(whole) and whole[at] in " ,":
            at += 1
        group = _WEIGHTED.match(whole, at)
        end = group.end() if group and _END.match(whole, group.end()) else whole.find(",", at)
        end = len(whole) if end < 0 else end
        piece = whole[at:end].strip()
        if piece:
            found.append(piece)
        at = end + 1
    return found


def joined(pieces: Iterable[str]) -> str:
    """The caption of `pieces`."""
    return SEPARATOR.join(pieces)


def bare(piece: str) -> str:
    """A piece without its emphasis: `(red hair:1.2)` is `red hair`."""
    group = _WEIGHTED.fullmatch(piece)
    return group[1].strip() if group else piece


def with_words(piece: str, words: str) -> str:
    """`piece` with other words and the same emphasis."""
    group = _WEIGHTED.fullmatch(piece)
    return f"({words}{group[2]})" if group else words


def in_place_of(piece: str, words: str) -> str:
    """`words` where `piece` stood: with its emphasis, unless they bring their own."""
    return words if bare(words) != words else with_words(piece, words)


@lru_cache(maxsize=65_536)  # the same few thousand tags come again and again
def same_as(piece: str) -> str:
    """The form in which two pieces are the same: `normal`, without emphasis."""
    return normal(bare(piece))


def unique(pieces: Iterable[str]) -> list[str]:
    """`pieces` without those that an earlier one says already."""
    first: dict[str, str] = {}
    for piece in pieces:
        first.setdefault(same_as(piece), piece)
    return list(first.values())


def is_prose(text: str | Sequence[str]) -> bool:
    """Whether a caption, or its pieces, are sentences and not tags.

    A full stop ends a sentence, and so does a mark behind the last few words; that `...` and `!?` are tags, and that
    `love live!` ends like an exclamation, makes no sentence.
    """
    pieces = pieces_of(text if isinstance(text, str) else joined(text))
    lengths = [len(piece.split()) for piece in pieces]
    if max(lengths, default=0) <= FEW_WORDS:
        return False
    if _STOPPED.search(pieces[-1]) or (lengths[-1] > FEW_WORDS and _EXCLAIMED.search(pieces[-1])):
        return True
    if any(length > FEW_WORDS and _STOPPED.search(piece) for length, piece in zip(lengths, pieces, strict=True)):
        return True
    return sum(length > LONG_PIECE for length in lengths) > SENTENCE_SHARE * len(pieces)
