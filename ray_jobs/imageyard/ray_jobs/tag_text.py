"""Tag names as text: underscores, kaomoji, and the normal form in which tags are compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatchcase

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
_SPACES = re.compile(r"\s+")


def spaced(tag: str) -> str:
    """A tag as captions write it: underscores become spaces, except in kaomoji."""
    return tag if tag in KAOMOJI else tag.replace("_", " ")


def underscored(tag: str) -> str:
    """A tag as boorus write it: without outer spaces, and an underscore for every inner one."""
    return _SPACES.sub("_", tag.strip())


def escaped(tag: str) -> str:
    r"""A tag whose parentheses prompt interfaces do not read as emphasis: `saber \(fate\)`."""
    return re.sub(r"([\\()])", r"\\\1", tag)


def unescaped(tag: str) -> str:
    r"""A tag without the backslashes of `escaped`; any other backslash is one: `\m/` stays."""
    return _ESCAPE.sub(r"\1", tag)


def normal(tag: str) -> str:
    """The form in which two spellings of one tag are equal: un-escaped, spaced, NFC, single spaces, lower case."""
    text = spaced(_ESCAPE.sub(r"\1", tag.strip()))
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip().lower()


class Blacklist:
    """Tags by whole name, or by `*` and `?` wildcards; never by a part of a name."""

    def __init__(self, patterns: Sequence[str]) -> None:
        forms = [normal(pattern) for pattern in patterns]
        self._names = {form for form in forms if not _wild(form)}
        self._patterns = [form.replace("[", "[[]") for form in forms if _wild(form)]

    def __contains__(self, tag: str) -> bool:
        form = normal(tag)
        return form in self._names or any(fnmatchcase(form, pattern) for pattern in self._patterns)


def _wild(form: str) -> bool:
    return any(sign in form for sign in "*?") and form.strip("*?!") != ""
