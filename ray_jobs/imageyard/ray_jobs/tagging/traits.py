"""Traits: tags that a trigger word should take in, as they say what a character always looks like."""

from __future__ import annotations

from functools import lru_cache

_LAST = frozenset(
    [
        "eyes",
        "skin",
        "hair",
        "bun",
        "bangs",
        "cut",
        "sidelocks",
        "twintails",
        "braid",
        "afro",
        "ahoge",
        "drill",
        "bald",
        "dreadlocks",
        "ponytail",
        "updo",
        "beard",
        "mustache",
        "ear",
        "horn",
    ]
)
"""Last words of traits, those of imgutils."""
_LAST_TWO = frozenset([("side", "up"), ("pointy", "ears")])
_FIRST_TWO = frozenset([("hair", "over"), ("hair", "between")])
_STATES = frozenset(
    [
        "closed eyes",
        "half-closed eyes",
        "empty eyes",
        "blank eyes",
        "covered eyes",
        "crazy eyes",
        "narrowed eyes",
        "wide eyes",
        "heart-shaped eyes",
        "disheveled hair",
        "messy hair",
        "tousled hair",
        "windswept hair",
        "wet hair",
        "undone hair",
        "paper cut",
    ]
)
"""What changes from picture to picture, though it ends like a trait."""
_ACTS = frozenset(["in", "on", "with", "through", "under", "behind", "from", "against", "own"])
"""Words of tags that say what is done: `hand in own hair`."""


@lru_cache(maxsize=65536)
def is_trait(form: str) -> bool:
    """Whether a tag, in normal form, says what does not change; never for a state such as `closed eyes`."""
    words = tuple(form.split())
    if words[:2] in _FIRST_TWO:
        return True
    if form in _STATES or any(word in _ACTS or word.endswith("'s") for word in words[:-1]):
        return False
    if len(words) > 1 and len(words[0]) > 5 and words[0].endswith("ing"):
        return False  # `glowing eyes`, `adjusting hair`
    last = words[-1] if words else ""
    return last in _LAST or last.removesuffix("s") in _LAST or words[-2:] in _LAST_TWO
