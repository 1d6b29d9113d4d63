"""Whether a text has a trigger word: as given, or only another spelling of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from imageyard.manifests.errors import VersionError
from imageyard.ray_jobs.analysis.near_tags import one_letter_apart

SHORTEST = 5
"""Letters of a trigger for which a word that is one letter off is taken for a slip."""

_PARTS = re.compile(r"[^\W_]+|[^\w\s\-\\]+")
_WORDS = re.compile(r"[^\s,]+")
_GAP = r"[\s_\-\\]*"


@dataclass(frozen=True)
class Presence:
    """How a text has a trigger."""

    kind: Literal["exact", "variant", "missing"]
    first: bool = False
    """The text begins with it; False unless exact."""
    twice: bool = False
    """It stands there more than once, in whatever spelling; False unless exact."""
    spelling: str | None = None
    """As the text writes a variant."""


class Trigger:
    """A trigger word, or several words, compiled once.

    It is found by whole words, in tag lists and in sentences alike: `sks` is in `photo of sks dog` and not in `sksy`,
    `saria` is neither in `saria_zelda` nor in `saria-zelda`. A variant differs in case, in underscores, hyphens, spaces
    and escapes, or, from SHORTEST letters on, in one letter. Raises VersionError for an empty one.
    """

    def __init__(self, words: str) -> None:
        self.words = words.strip()
        if not self.words:
            raise VersionError("a trigger word is empty, and would stand everywhere; write --trigger my_word")
        parts = _PARTS.findall(self.words) or [self.words]
        self._exact = re.compile(rf"(?<![\w\-]){re.escape(self.words)}(?![\w\-])")
        self._loose = re.compile(rf"(?<![^\W_]){_GAP.join(map(re.escape, parts))}(?![^\W_])", re.IGNORECASE)
        self._letters = "".join(parts).casefold()

    def exactly(self, text: str) -> bool:
        """Whether `text` has the trigger as given."""
        return self._exact.search(text) is not None

    def find(self, text: str) -> Presence:
        """How `text` has the trigger."""
        exact = self._exact.search(text)
        loose = self._loose.findall(text)
        if exact is not None:
            times = max(len(self._exact.findall(text)), len(loose))
            return Presence("exact", first=not text[: exact.start()].strip(" \t\r\n,("), twice=times > 1)
        if loose:
            return Presence("variant", spelling=loose[0])
        slip = self._slip(text)
        return Presence("variant", spelling=slip) if slip else Presence("missing")

    def _slip(self, text: str) -> str | None:
        """The first word of `text` that is the trigger but for one letter."""
        if len(self._letters) < SHORTEST:
            return None
        for word in _WORDS.findall(text):
            if one_letter_apart("".join(_PARTS.findall(word)).casefold(), self._letters):
                return str(word)
        return None
