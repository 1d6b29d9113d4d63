"""Tag names as text: underscores, kaomoji, and the normal form in which tags are compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from fnmatch import translate
from functools import lru_cache

from imageyard.ray_jobs.splitting.patterns import NAME, expression

EXPRESSION = "re:"
"""What a pattern that is a regular expression begins with."""
GROUPS = 9

KAOMOJI = frozenset(
    [
        "0_0",
        "(o)_(o)",
        "+_+",
        "+_-",
        "._.",
        "<o>_<o>",
        "<|>_<|>",
        "=_=",
        ">_<",
        "3_3",
        "6_9",
        ">_o",
        "@_@",
        "^_^",
        "o_o",
        "u_u",
        "x_x",
        "|_|",
        "||_||",
    ]
)
"""Tags whose underscore is part of the face: the 19 that the WD14 reference, imgutils and TagGUI keep."""

_ESCAPE = re.compile(r"\\([\\()])")
_COMMAS = re.compile(r"[\s_]*(?:,[\s_]*)+")
_SPACES = re.compile(r"\s+")


def spaced(tag: str) -> str:
    """A tag as captions write it: underscores become spaces, except in kaomoji, escaped ones too."""
    return tag if "_" not in tag or unescaped(tag) in KAOMOJI else tag.replace("_", " ")


def underscored(tag: str) -> str:
    """A tag as boorus write it: without outer spaces, and an underscore for every inner one."""
    return _SPACES.sub("_", tag.strip())


def escaped(tag: str) -> str:
    r"""A tag whose parentheses prompt interfaces do not read as emphasis: `saber \(fate\)`."""
    return re.sub(r"([\\()])", r"\\\1", tag)


def unescaped(tag: str) -> str:
    r"""A tag without the backslashes of `escaped`; any other backslash is one: `\m/` stays."""
    return _ESCAPE.sub(r"\1", tag)


def with_spaces_for_commas(tag: str, space: str = " ") -> str:
    """A tag that captions can hold: what separates tags there is `space` in it."""
    return _COMMAS.sub(space, tag).strip(" " + space) if "," in tag else tag


def normal(tag: str) -> str:
    """The form in which two spellings of one tag are equal: un-escaped, spaced, NFC, single spaces, lower case.

    What is longer than a tag is not remembered: 65,536 captions could be gigabytes.
    """
    return _remembered(tag) if len(tag) <= NAME else _normal(tag)


def _normal(tag: str) -> str:
    text = spaced(unescaped(tag.strip()))
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip().lower()


_remembered = lru_cache(maxsize=65536)(_normal)


def wild(pattern: str) -> Callable[[str], bool] | None:
    """What tells whether the normal form of a tag is meant by `pattern`; None for a name, which means itself.

    `*` and `?` are wildcards, and after `re:` stands an expression for whole tags, in lower case. Raises ValueError
    for an expression that cannot be used: what is wrong, and what to write.
    """
    if pattern.startswith(EXPRESSION):
        text = pattern.removeprefix(EXPRESSION).strip()
        expression(text, groups=GROUPS)
        found = re.compile(text, re.IGNORECASE).fullmatch
        return lambda form: len(form) <= NAME and found(form) is not None
    form = normal(pattern)
    if "*" not in form and ("?" not in form or not form.strip("?!")):
        return None  # `?`, `!?` and `??` are tags
    shell = re.compile(translate(form.replace("[", "[[]"))).match
    return lambda form: shell(form) is not None


class Blacklist:
    """Tags by whole name, by `*` and `?` wildcards, or by `re:` and an expression; never by a part of a name.

    Raises ValueError for an expression that cannot be used.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        found = [(normal(pattern), wild(pattern)) for pattern in patterns]
        self._names = {form for form, matches in found if matches is None}
        self._patterns = [matches for _, matches in found if matches is not None]

    def __contains__(self, tag: str) -> bool:
        form = normal(tag)
        return form in self._names or any(matches(form) for matches in self._patterns)
