"""The tag part of kohya's clean_captions_and_tags.py: what of several people on one picture cannot be told apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LENGTH = re.compile(r"(long|short|medium) hair")
_GROUPS = (
    _LENGTH,
    re.compile(r"(bob|hime) cut"),
    re.compile(r"[\w-]+ eyes"),
    re.compile(r"[\w-]+ sleeves|sleeveless"),
    re.compile(
        r"ponytail|braid|ahoge|twintails|[\w-]+ bun|single hair bun|single side bun|two side up|two tails|[\w-]+ braid"
        r"|sidelocks"
    ),
)
_COLOUR = re.compile(r"[\w-]+ hair")
_WORD = re.compile(r"[\w-]+|hair ornament")


def unclear(forms: Sequence[str]) -> set[str]:
    """Which of one image's tags, in normal form and in order, the script drops.

    All from the first that begins with `rating`. If there are girls or boys, every group of hair length, cut, eyes,
    sleeves, hairdo and hair colour that has several. What is one word, if another tag ends in it.
    """
    end = next((at for at, form in enumerate(forms) if form.startswith("rating") and at), len(forms))
    kept = list(forms[:end])
    if any("girls" in form or "boys" in form for form in kept):
        for group in _GROUPS:
            kept = _without_several(kept, group)
        lengths = [form for form in kept if _LENGTH.fullmatch(form)]
        others = _without_several([form for form in kept if form not in lengths], _COLOUR)
        kept = [form for form in kept if form in lengths or form in others]
    ends = {tail for form in kept for tail in _ends(form)}
    kept = [form for form in kept if not (form in ends and _WORD.fullmatch(form))]
    return set(forms) - set(kept)


def _without_several(forms: list[str], group: re.Pattern[str]) -> list[str]:
    found = {form for form in forms if group.fullmatch(form)}
    return [form for form in forms if form not in found] if len(found) > 1 else forms


def _ends(form: str) -> list[str]:
    """What `form` ends in after at least one plain word."""
    words = form.split()
    plain = next((at for at, word in enumerate(words) if not re.fullmatch(r"\w+", word)), len(words))
    return [" ".join(words[at:]) for at in range(1, len(words)) if at <= plain]
