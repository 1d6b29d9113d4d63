"""Which tags contradict each other on one picture."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from imageyard.ray_jobs.exclusive_tags import EYES, HAIR, OPENINGS, SEVERAL_EYES, SEVERAL_HAIR, VIEWS, numbers

GIRLS, BOYS = (("1girl", *numbers("girl")), ("1boy", *numbers("boy")))


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


EXCLUSIVE: tuple[Exclusive, ...] = (
    Exclusive("girls", GIRLS, unless=(VIEWS,)),
    Exclusive("boys", BOYS, unless=(VIEWS,)),
    Exclusive("people", ("solo", "no humans")),
    *(
        Exclusive("people", ("solo", several), unless=(VIEWS,))
        for several in (*GIRLS[1:], *BOYS[1:], "multiple girls", "multiple boys")
    ),
    Exclusive("time", ("day", "night"), unless=(VIEWS,)),
    Exclusive("place", ("indoors", "outdoors"), unless=(VIEWS, *OPENINGS)),
    Exclusive("hair colour", tuple(f"{one} hair" for one in HAIR), solo=True, unless=(*SEVERAL_HAIR, VIEWS)),
    Exclusive("eye colour", tuple(f"{one} eyes" for one in EYES), solo=True, unless=(*SEVERAL_EYES, VIEWS)),
    Exclusive("hair length", ("short hair", "medium hair", "long hair"), solo=True, unless=(VIEWS,)),
)
"""What the reference of taggers lists, and what follows from it."""

_ONE = frozenset(["1girl", "1boy", "1other"])
_SEVERAL = frozenset([*GIRLS[1:], *BOYS[1:], "multiple girls", "multiple boys", "multiple others"])


def is_solo(tags: Set[str]) -> bool:
    """Whether tags, in normal form, say that one person is in the picture."""
    return not tags & _SEVERAL and ("solo" in tags or len(tags & _ONE) == 1)


def conflicts(tags: Set[str]) -> list[tuple[str, tuple[str, ...]]]:
    """(axis, contradicting tags in alphabetical order) of one picture's tags, which are in normal form."""
    solo = is_solo(tags)
    found: list[tuple[str, tuple[str, ...]]] = []
    for rule in EXCLUSIVE:
        if rule.solo and not solo:
            continue
        both = tags & frozenset(rule.tags)
        if len(both) > 1 and tags.isdisjoint(rule.unless):
            found.append((rule.axis, tuple(sorted(both))))
    return found
