"""Patterns that people write for names: refused when the recipe is read if they could run for ever."""

from __future__ import annotations

import fnmatch
import re
import time
import warnings
from collections.abc import Callable, Iterable, Sequence

LONGEST = 200
"""Characters of a pattern."""
CHOICES = 6
"""Repeats, options and alternatives in one expression; each more may make the worst case a name's length slower."""
WEIGHT = 1_000
"""Signs of an expression in which every `{n}` is written out: names have fewer characters."""
NAME = 256
"""Characters of a name that an expression sees."""
PATIENCE = 0.05
"""Seconds that the longest name may take; an expression that is fit for names takes less than a thousandth."""
IN_ALL = 0.25
"""Seconds that all dull names together may take."""
LENGTHS = (*range(2, 32, 2), 40, 48, 64, 128, NAME)
"""Of dull names. The short ones rise slowly: what doubles with every character is to be seen before it is endless."""
PROBES = "a0A_-. /"
"""Characters that names repeat."""

_COMMENT = re.compile(r"\(\?(?:#|[A-Za-z]*x[A-Za-z-]*[:)])")
"""What begins a comment, or lets `#` begin one: there parentheses mean nothing."""
_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,?\d*\}|.", re.DOTALL)


def expression(text: str, *, groups: int = 1) -> re.Pattern[str]:
    """The regular expression `text`, with so many groups at most.

    Raises ValueError: what is wrong, and what to write.
    A repeat or a choice inside something that is itself repeated, such as `(\\w+)*`, can double the time with every
    character of a name: it is refused unseen. What is left is tried on dull names that grow.
    """
    if not 0 < len(text) <= LONGEST:
        raise ValueError(f"an expression has 1 to {LONGEST} characters; this one has {len(text)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = re.compile(text)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ValueError(f"`{text}` is no regular expression ({error})") from error
    if compiled.groups > groups:
        meant = "; put one around what names the images' group" if groups == 1 else f"; at most {groups} are allowed"
        raise ValueError(f"`{text}` has {compiled.groups} groups{meant}")
    if _COMMENT.search(text):
        raise ValueError(f"`{text}` has a comment, or room for one; write it without")
    _refuse_endless(text)
    _refuse_heavy(text)
    _refuse_slow(compiled)
    return compiled


def _refuse_endless(text: str) -> None:
    holds, closed, choices = [False], False, 0  # whether each open group, and the one just closed, holds such a thing
    before = ""
    for piece in _PIECE.findall(text):
        if piece == "(":
            holds.append(False)
            closed = False
        elif piece == ")":
            closed = holds.pop()
            holds[-1] |= closed
        elif piece in ("*", "+") or (len(piece) > 2 and piece.startswith("{")):
            if closed:
                raise ValueError(
                    f"`{text}` repeats a group that itself holds a repeat or a choice, which can take for ever on a "
                    "long name; repeat a class such as [\\w-]+ instead"
                )
            open_ended = piece in ("*", "+") or "," in piece
            holds[-1] |= open_ended
            choices += open_ended
        else:
            modifies = piece == "?" and (before in ("*", "+", "(") or before.startswith("{"))  # +?, (?:
            choices += piece == "|" or (piece == "?" and not modifies)
            holds[-1] |= piece == "|" or (piece == "?" and not modifies)
            closed = closed and piece == "?"
        before = piece
    if choices > CHOICES:
        raise ValueError(f"`{text}` has {choices} repeats, options and alternatives; at most {CHOICES} are allowed")


def _refuse_heavy(text: str) -> None:
    weights, last = [0], 0  # of each open group, and of the piece or group just closed
    for piece in _PIECE.findall(text):
        if piece == "(":
            weights.append(0)
        elif piece == ")":
            last = max(1, weights.pop())
            weights[-1] += last
        elif len(piece) > 2 and piece.startswith("{"):
            times = max(int(bound or "1") for bound in piece[1:-1].split(","))
            weights[-1] += last * max(0, times - 1)
            last *= max(1, times)
        else:
            last = 1
            weights[-1] += last
        if weights[-1] > WEIGHT:
            raise ValueError(f"`{text}` has numbers of repeats that make it longer than any name; write smaller ones")


def _refuse_slow(compiled: re.Pattern[str]) -> None:
    spent = 0.0
    for length in LENGTHS:
        for character in sorted({*PROBES, *compiled.pattern}):
            begun = time.thread_time()
            compiled.search(character * (length - 1) + "\0")
            took = time.thread_time() - begun
            spent += took
            if took > PATIENCE or spent > IN_ALL:
                raise ValueError(
                    f"`{compiled.pattern}` takes too long on a name of {length} characters; let its repeats not "
                    "follow each other without anything between"
                )


def globs(patterns: Sequence[str]) -> Callable[[Iterable[str]], bool]:
    """Whether any of some names matches one of shell patterns, in which `*` also stands for folders."""
    if not patterns:
        return lambda names: False
    matches = re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns)).match
    return lambda names: any(matches(name) for name in names)
