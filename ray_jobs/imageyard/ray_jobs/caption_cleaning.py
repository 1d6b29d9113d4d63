"""A captioner's words made fit for a caption: openers, artefacts, loops and dangling halves taken out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from imageyard.manifests.errors import RecipeError

_PICTURE = r"(?:image|photo|photograph|picture|illustration|drawing|painting|snapshot|close-up)"
_KIND = rf"(?:[\w-]+ ){{0,3}}?{_PICTURE}"
_SHOWS = r"(?:shows?|depicts?|features?|displays?|captures?|presents?|portrays?|contains?|showcases?)"
OPENERS: tuple[str, ...] = (
    rf"(?:the|this) {_KIND} (?:{_SHOWS}|is of|is showing|is depicting)(?! that\b),? ",
    rf"(?:(?:the|this) {_PICTURE} is|this is|it is|it's|here is) (?:a|an|the) {_KIND} "
    r"(?:of|showing|depicting|featuring) ",
    rf"in (?:the|this) {_PICTURE},? (?:we (?:can )?see|you can see|there (?:is|are)|we have) ",
    rf"in (?:the|this) {_PICTURE}, ",
    rf"(?:a|an|the) {_PICTURE} (?:of|showing|depicting) ",
    r"(?:there (?:is|are)|we (?:can )?see|you can see) ",
)
"""How long captions begin without saying anything; each is matched at the beginning only, in any case."""

INVENTED_TEXT: tuple[str, ...] = (
    r"\b(?:with|and|that has|that have) (?:the |a |an )?(?:words?|numbers?|letters?|names?|text)\b.*$",
    r"\b(?:that|which) (?:says?|reads?)\b.*$",
)
"""Tails of captions about writing, which GIT makes up; kohya's `--remove_words` drops them too. For `removed`."""

_ARTEFACT = re.compile(r"\b(an? )?araff?e+d*s?\b ?(\w?)", re.IGNORECASE)
_DANGLING = re.compile(
    r"(?:[\s,;:–—-]+|(?:^|\s)(?:a|an|and|are|as|at|by|for|from|has|in|is|of|on|or|that|the|to|which|while|with))+$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?…][\"'”’)\]]*(?=\s|$)")
_EDGES = ".,;:!?\"'“”‘’()[]"


def clean(
    text: str,
    *,
    finished: bool = True,
    remove: Iterable[str] = (),
    openers: Sequence[str] = OPENERS,
) -> str:
    """`text` on one line, without `remove`, BLIP's artefact, repeats and `openers`, and cut back if not `finished`.

    What it gives is left as it is when it is cleaned again as a finished text. Raises RecipeError for an expression
    that is none.
    """
    text = collapsed(text)
    while True:
        before = text
        text = removed(text, remove)
        text = without_artefact(text)
        text = without_repeats(text)
        text = without_openers(text, openers)
        if text == before:
            break
    return text if finished else _settled(finish(text), remove, openers)


def _settled(text: str, remove: Iterable[str], openers: Sequence[str]) -> str:
    """What is left of a text that was cut back may need the rest again."""
    return clean(text, remove=tuple(remove), openers=openers)


def collapsed(text: str) -> str:
    """`text` on one line, with single spaces, and none at its ends."""
    return " ".join(text.split())


def removed(text: str, patterns: Iterable[str]) -> str:
    """`text` without what any of `patterns` matches, in any case, and without the commas and spaces that this leaves.

    Raises RecipeError for one that is no regular expression.
    """
    for pattern in patterns:
        try:
            found = re.sub(pattern, "", text, flags=re.IGNORECASE)
        except re.error as error:
            raise RecipeError(f"`remove` {pattern!r} is no regular expression ({error})") from error
        if found != text:
            text = _tidied(found)
    return text


def without_artefact(text: str) -> str:
    """`text` without `arafed` and its like: a word that BLIP-large says of many pictures, and that means nothing."""

    def replaced(found: re.Match[str]) -> str:
        article, letter = found[1] or "", found[2]
        if article and letter:
            article = article[0] + ("n " if letter.lower() in "aeiou" else " ")
        return article + letter

    found = _ARTEFACT.sub(replaced, text)
    return text if found == text else _tidied(found)


def without_repeats(text: str) -> str:
    """`text` up to where it begins to go round in circles.

    That is where three words or more follow that just were there: all words of a phrase, or all but its last. So
    `a woman with a woman with a woman` becomes `a woman`, and `a black cat and a black dog` stays.
    """
    words = text.split()
    bare = [word.strip(_EDGES).lower() for word in words]
    for at in range(len(words)):
        for period in range(1, (len(words) - at) // 2 + 2):
            again = 0
            while at + period + again < len(words) and bare[at + again] == bare[at + period + again]:
                again += 1
            if again >= max(3, period - 1):
                return _undangled(" ".join(words[: at + period]))
    return text


def without_openers(text: str, openers: Sequence[str] = OPENERS) -> str:
    """`text` without what says only that there is a picture; what follows begins as `text` did, large or small.

    Never all of it. Raises RecipeError for an opener that is no regular expression.
    """
    changed = True
    while changed:
        changed = False
        for opener in openers:
            try:
                found = re.match(opener, text, re.IGNORECASE)
            except re.error as error:
                raise RecipeError(f"`openers` {opener!r} is no regular expression ({error})") from error
            rest = text[found.end() :].lstrip(" ,:") if found and found.end() else ""
            if rest:
                text = rest[0].upper() + rest[1:] if text[0].isupper() else rest
                changed = True
    return text


def finish(text: str) -> str:
    """An unfinished text cut back: to its last whole sentence; else to its last comma; else by dangling words."""
    ends = [found.end() for found in _SENTENCE.finditer(text)]
    if ends:
        return text[: ends[-1]]
    head, comma, _ = text.rpartition(",")
    return _undangled(head if comma and head.strip() else text)


def _undangled(text: str) -> str:
    """`text` without commas and joining words at its end; itself if nothing else is in it."""
    return _DANGLING.sub("", text) or text


def _tidied(text: str) -> str:
    """What is left after a removal, without doubled commas, spaces before commas and stops, and loose ends."""
    text = collapsed(text)
    text = re.sub(r"\s+([,.;:!?])", r"\1", text)
    text = re.sub(r"(,\s*){2,}", ", ", text)
    text = re.sub(r",+([.;!?])", r"\1", text)
    return collapsed(text.strip(" ,;"))
