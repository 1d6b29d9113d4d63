"""Which tags are probably one, written differently, found without comparing all with all."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Literal

from imageyard.ray_jobs.tag_text import normal

Why = Literal["spelling", "plural", "letter"]

RATIO = 10
"""A tag is taken for a slip of another from which it differs in a letter if that is more than so many times as
frequent."""
SHORTEST = 4
"""Letters of the words that may differ in one letter: `hat` and `cat` are both words."""

_COUNTED = frozenset(
    [
        "hands",
        "arms",
        "legs",
        "knees",
        "elbows",
        "shoulders",
        "hips",
        "fingers",
        "fists",
        "palms",
        "wings",
        "horns",
        "braids",
        "sleeves",
    ]
)
"""Words whose number says something of the picture: `hand on own hip` and `hands on own hips` are two poses."""
_ESCAPE = re.compile(r"\\([\\()])")
_DROPPED = re.compile("[\\s_\\-\u2010-\u2015'\"`\u00b4\u02bc\u2018-\u201f\\\\]+")
_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class NearTags:
    """Tags that are probably one, written differently."""

    why: Why
    """`spelling`: case, underscore, space, hyphen, escape or quotes; `plural`: an s or es more on a word;
    `letter`: one letter more, less, other or swapped with its neighbour, and one is RATIO times as frequent."""
    forms: tuple[tuple[str, int], ...]
    """(as written, images), the most frequent first: what the others should probably be."""


def near_tags(written: Mapping[str, int], known: Set[str] = frozenset()) -> tuple[NearTags, ...]:
    """Groups of spellings in `written`, (as written → images), the most images that are written otherwise first.

    `known` are normal forms of which a model's vocabulary says that they are tags: two of them are two tags, however
    alike they look.

    Three passes, none over pairs. Spellings are grouped by what is left of them without spaces, underscores, hyphens,
    quotes, escapes and case. What remains is grouped by the same without plural endings. For one letter every tag is
    put under itself and under each of its forms with one letter left out, and only tags under one key are compared:
    whatever differs in one letter shares such a key (the deletion neighbourhood of FastSS and SymSpell). So 10,000 tags
    of 15 letters are 160,000 keys; it takes a second.
    """
    groups: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for form, images in written.items():
        groups[_letters(form)][form] = images
    found = [_group("spelling", forms) for forms in groups.values() if len(forms) > 1]
    whole = {max(forms, key=lambda form: (forms[form], form)): sum(forms.values()) for forms in groups.values()}

    def two(first: str, second: str) -> bool:
        return normal(first) in known and normal(second) in known

    plurals: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for form, images in whole.items():
        plurals[_singular(form)][form] = images
    for forms in plurals.values():
        best = max(forms, key=lambda form: (forms[form], form))
        others = {form: images for form, images in forms.items() if form != best and not two(best, form)}
        if others:
            found.append(_group("plural", {best: forms[best], **others}))
    singular = {form: _singular(form) for form in whole}
    for frequent, slips in _letter_slips(whole):
        others = {
            form: images
            for form, images in slips.items()
            if not two(frequent, form) and singular[form] != singular[frequent]
        }
        if others:
            found.append(_group("letter", {frequent: whole[frequent], **others}))
    return tuple(sorted(found, key=lambda group: (-sum(images for _, images in group.forms[1:]), group.forms)))


def one_letter_apart(first: str, second: str) -> bool:
    """Whether one letter more, less, other, or swapped with its neighbour, makes one of the other."""
    if first == second or abs(len(first) - len(second)) > 1:
        return False
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    a, b = first[start:], second[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[1::-1] == b[:2] and len(a) > 1 and a[2:] == b[2:])


def _letter_slips(whole: Mapping[str, int]) -> Iterator[tuple[str, dict[str, int]]]:
    """(frequent tag, its rare neighbours by images); a rare tag is told of its most frequent neighbour alone."""
    text = {form: normal(form) for form in whole}
    words: Counter[str] = Counter()
    under: defaultdict[str, list[str]] = defaultdict(list)
    for form, images in whole.items():
        words.update(dict.fromkeys(_WORDS.findall(text[form]), images))
        for key in _deletions(text[form]):
            under[key].append(form)
    best: dict[str, str] = {}

    def order(form: str) -> tuple[int, str]:
        return whole[form], form

    for forms in under.values():
        forms.sort(key=order, reverse=True)
        for at, rare in enumerate(forms):
            for frequent in forms[:at]:
                if whole[frequent] <= RATIO * whole[rare]:
                    break
                if rare in best and order(best[rare]) >= order(frequent):
                    break
                if _slip(text[frequent], text[rare], words):
                    best[rare] = frequent
                    break
    slips: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for rare, frequent in best.items():
        slips[frequent][rare] = whole[rare]
    yield from sorted(slips.items())


def _deletions(text: str) -> set[str]:
    """`text`, and `text` without each one of its characters."""
    return {text, *(text[:at] + text[at + 1 :] for at in range(len(text)))}


def _slip(frequent: str, rare: str, images: Mapping[str, int]) -> bool:
    """Whether `rare` is `frequent` but for a slip: one letter of one longer word, not its first and no digit.

    `images` says how often each word stands in any tag: `white skirt` is rare, but skirts are not.
    """
    a, b = _WORDS.findall(frequent), _WORDS.findall(rare)
    if len(a) != len(b) or not one_letter_apart(frequent, rare):
        return False
    differing = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
    if len(differing) != 1:
        return False
    x, y = differing[0]
    digits = [sign for sign in x if sign.isdigit()] != [sign for sign in y if sign.isdigit()]
    long = min(len(x), len(y)) >= SHORTEST
    return long and x[0] == y[0] and not digits and images[x] > RATIO * images[y]


def _letters(form: str) -> str:
    """What of a spelling makes its word; the whole where that would be nothing, as of a face."""
    text = unicodedata.normalize("NFKC", _ESCAPE.sub(r"\1", form)).casefold()
    return _DROPPED.sub("", text) if _WORDS.search(text) else text


def _singular(form: str) -> str:
    """`_letters` of a tag whose words have lost their plural endings."""
    return _letters(_WORDS.sub(lambda word: _without_s(word[0]), normal(form)))


def _without_s(word: str) -> str:
    if len(word) < SHORTEST or word in _COUNTED or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > SHORTEST:
        return word[:-3] + "y"
    if word.endswith(("ses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    return word[:-1]


def _group(why: Why, forms: Mapping[str, int]) -> NearTags:
    return NearTags(why, tuple(sorted(forms.items(), key=lambda found: (-found[1], found[0]))))
