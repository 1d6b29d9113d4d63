"""What is wrong with one training text, told by rules that need no other text."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from imageyard.ray_jobs.analysis.conflicts import conflicts
from imageyard.ray_jobs.analysis.said import form_of
from imageyard.ray_jobs.caption_text import bare

RESERVED = ("|||", ";;;", "{", "}")
"""What kohya's trainer reads as separators and wildcards."""

_FORMAT: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("doubled comma", re.compile(r",[^\S\n]*,")),
    ("comma at the beginning", re.compile(r"\A\s*,")),
    ("comma at the end", re.compile(r",\s*\Z")),
    ("no space after a comma", re.compile(r",(?=[^\s,\d])|(?<!\d),(?=\d)")),
    ("semicolon", re.compile(r"(?<=[^\W_]);(?=\s|\w|\Z)|(?<=\));(?=\s|\Z)")),
    ("tab", re.compile(r"\t")),
    ("doubled space", re.compile(r"\S[^\S\n\t]{2,}\S")),
    ("full stop alone", re.compile(r"(?:\A|,)\s*\.{1,2}\s*(?=,|\Z)")),
)

_BOILERPLATE: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        (
            "the image shows",
            r"\b(?:th(?:e|is)|an?) (?:image|picture|photo(?:graph)?) (?:shows?|depicts?|features?|is of)\b",
        ),
        ("in the image", r"\bin (?:the|this) (?:image|picture|photo(?:graph)?)\b"),
        ("there is", r"\A\s*there (?:is|are)\b"),
        ("arafed", r"\ba ?rafed?\b|\baraffe\b"),
        ("it appears", r"\b(?:it (?:appears|seems)|appears to be|seems to be)\b"),
        ("overall atmosphere", r"\bthe overall (?:atmosphere|mood|scene|impression)\b"),
        ("I cannot", r"\bI(?:'m| am) (?:sorry|unable)\b|\bI (?:cannot|can't)\b"),
    )
)
_QUALITY = frozenset(
    [
        "masterpiece",
        "best quality",
        "amazing quality",
        "great quality",
        "good quality",
        "high quality",
        "highest quality",
        "normal quality",
        "low quality",
        "worst quality",
        "highres",
        "absurdres",
        "lowres",
        "ultra-detailed",
        "ultra detailed",
        "highly detailed",
        "extremely detailed",
        "4k",
        "8k",
        "uhd",
        "hdr",
        "very aesthetic",
        "newest",
        "award-winning",
        "score_9",
        "score_8_up",
        "score_7_up",
        "score_6_up",
        "score_5_up",
        "score_4_up",
        "trending on artstation",
    ]
)
_QUALITY_FORMS = frozenset(map(form_of, _QUALITY))
_QUOTED = re.compile(r'"[^"\n]*[^\W_][^"\n]*"|“[^”\n]+”')

_FAMILIES = {"HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean", "CJK": "Chinese"}


def lines_of(text: str) -> int:
    """Lines that are not blank."""
    return sum(bool(line.strip()) for line in text.splitlines())


def format_faults(text: str) -> list[str]:
    """What is wrong between words: commas, spaces, tabs, semicolons."""
    return [name for name, pattern in _FORMAT if pattern.search(text.replace(";;;", "   "))]


def reserved_signs(text: str) -> list[str]:
    """Signs that a trainer would obey."""
    return [sign for sign in RESERVED if sign in text]


def repeated_tags(pieces: Iterable[str]) -> list[str]:
    """Tags that stand twice, as first written."""
    first: dict[str, str] = {}
    times: Counter[str] = Counter()
    for piece in pieces:
        form = form_of(piece)
        first.setdefault(form, bare(piece))
        times[form] += 1
    return [first[form] for form, count in times.items() if count > 1]


def contradictions(pieces: Iterable[str]) -> list[str]:
    """Tags that contradict each other, such as `day + night`."""
    return [" + ".join(tags) for _, tags in conflicts({form_of(piece) for piece in pieces})]


def boilerplate(text: str, pieces: Iterable[str], *, prose: bool) -> list[str]:
    """Phrases that say nothing of the picture: captioners' openings, words of quality, and in sentences quoted text,
    which captioners invent."""
    found = [name for name, pattern in _BOILERPLATE if pattern.search(text)]
    if not prose:
        found += sorted({bare(piece) for piece in pieces if form_of(piece) in _QUALITY_FORMS})
    elif _QUOTED.search(text):
        found.append("quoted text")
    return found


def script_of(text: str) -> str | None:
    """The script of most letters, such as `Latin`; None for a text without letters. Japanese is what has kana."""
    counts: Counter[str] = Counter(script for script in map(_script, text) if script)
    if not counts:
        return None
    if counts["Japanese"]:
        counts["Japanese"] += counts.pop("Chinese", 0)
    return min(counts, key=lambda script: (-counts[script], script))


def phrases(text: str, length: int) -> Iterator[str]:
    """The different runs of `length` words of a text, in lower case and without punctuation."""
    words = re.findall(r"[\w'’-]+", text.lower())
    return iter(dict.fromkeys(" ".join(words[at : at + length]) for at in range(len(words) - length + 1)))


@lru_cache(maxsize=4096)
def _script(sign: str) -> str | None:
    if not sign.isalpha():
        return None
    name = unicodedata.name(sign, "").split(" ")[0].split("-")[0]
    return _FAMILIES.get(name, name.capitalize()) or None
