"""Which tags contradict each other on one picture."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

HAIR = (
    "aqua blonde blue brown green grey gray orange pink purple red silver white black light_brown light_blue "
    "platinum_blonde dark_blue dark_green light_purple"
)
EYES = "aqua black blue brown green grey gray orange pink purple red silver white yellow golden amber hazel"

GIRLS = ("1girl", "2girls", "3girls", "4girls", "5girls", "6+girls")
BOYS = ("1boy", "2boys", "3boys", "4boys", "5boys", "6+boys")


@dataclass(frozen=True)
class Exclusive:
    """Tags of which a picture has one."""

    axis: str
    tags: tuple[str, ...]
    """In normal form."""
    solo: bool = False
    """True where they contradict each other on one person alone."""
    unless: tuple[str, ...] = ()
    """Tags that explain why several are right."""


def _of(colours: str, noun: str) -> tuple[str, ...]:
    return tuple(f"{colour.replace('_', ' ')} {noun}" for colour in colours.split())


EXCLUSIVE: tuple[Exclusive, ...] = (
    Exclusive("girls", GIRLS, unless=("multiple views",)),
    Exclusive("boys", BOYS, unless=("multiple views",)),
    Exclusive("people", ("solo", "no humans")),
    *(
        Exclusive("people", ("solo", several), unless=("multiple views",))
        for several in (*GIRLS[1:], *BOYS[1:], "multiple girls", "multiple boys")
    ),
    Exclusive("time", ("day", "night"), unless=("multiple views",)),
    Exclusive("place", ("indoors", "outdoors"), unless=("multiple views", "window", "door")),
    Exclusive(
        "hair colour",
        _of(HAIR, "hair"),
        solo=True,
        unless=(
            "multicolored hair",
            "two-tone hair",
            "gradient hair",
            "streaked hair",
            "colored inner hair",
            "colored tips",
            "split-color hair",
            "rainbow hair",
            "highlights",
            "multiple views",
        ),
    ),
    Exclusive(
        "eye colour",
        _of(EYES, "eyes"),
        solo=True,
        unless=(
            "heterochromia",
            "multicolored eyes",
            "two-tone eyes",
            "gradient eyes",
            "rainbow eyes",
            "multiple views",
        ),
    ),
    Exclusive("hair length", ("short hair", "medium hair", "long hair"), solo=True, unless=("multiple views",)),
)
"""What the reference of taggers lists, and what follows from it; extend it by passing a longer one."""

_ONE = frozenset(["1girl", "1boy", "1other"])
_SEVERAL = frozenset([*GIRLS[1:], *BOYS[1:], "multiple girls", "multiple boys", "multiple others"])


def is_solo(tags: Set[str]) -> bool:
    """Whether tags, in normal form, say that one person is in the picture."""
    return not tags & _SEVERAL and ("solo" in tags or len(tags & _ONE) == 1)


def conflicts(tags: Set[str], table: tuple[Exclusive, ...] = EXCLUSIVE) -> list[tuple[str, tuple[str, ...]]]:
    """(axis, contradicting tags in alphabetical order) of one picture's tags, which are in normal form."""
    solo = is_solo(tags)
    found: list[tuple[str, tuple[str, ...]]] = []
    for rule in table:
        if rule.solo and not solo:
            continue
        both = tags & frozenset(rule.tags)
        if len(both) > 1 and tags.isdisjoint(rule.unless):
            found.append((rule.axis, tuple(sorted(both))))
    return found
