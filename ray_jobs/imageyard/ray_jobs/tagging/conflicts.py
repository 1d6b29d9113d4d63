"""Conflicts: tags that cannot be true together; the one with the highest score stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from imageyard.ray_jobs.exclusive_tags import EYES, HAIR, OPENINGS, SEVERAL_EYES, SEVERAL_HAIR, VIEWS, numbers

Alternatives = Sequence[frozenset[str]]


def _each(*names: str) -> list[frozenset[str]]:
    return [frozenset([name]) for name in names]


def _counts(one: str) -> list[frozenset[str]]:
    return [frozenset([f"1{one}"]), *(frozenset([number, f"multiple {one}s"]) for number in numbers(one))]


_COUNTED = [_counts(one) for one in ("girl", "boy", "other")]
_SEVERAL = frozenset(name for group in _COUNTED for alternative in group[1:] for name in alternative)
_PEOPLE: Sequence[Alternatives] = (*_COUNTED, [frozenset(["solo"]), _SEVERAL])
_SCENES: Sequence[Alternatives] = (
    _each("day", "night"),
    _each("indoors", "outdoors"),
    _each("from above", "from below"),
    _each("facing viewer", "from behind"),
    [*_each("close-up", "portrait", "upper body", "cowboy shot", "lower body"), frozenset(["full body", "wide shot"])],
)
_PLACES, _OPENED = frozenset(["indoors", "outdoors"]), frozenset(OPENINGS)
_LOOKS: Sequence[tuple[Alternatives, frozenset[str]]] = (
    (_each(*(f"{colour} hair" for colour in HAIR)), frozenset(SEVERAL_HAIR)),
    (_each(*(f"{colour} eyes" for colour in EYES)), frozenset(SEVERAL_EYES)),
    (
        [
            frozenset(["short hair", "very short hair"]),
            frozenset(["medium hair"]),
            frozenset(["long hair", "very long hair", "absurdly long hair"]),
        ],
        frozenset(),
    ),
)
"""What one person has once, and the tags that say it may be more than once."""
_KNOWN = (
    _OPENED
    | {VIEWS}
    | {
        name
        for group in (*_PEOPLE, *_SCENES, *([*group, exempt] for group, exempt in _LOOKS))
        for alternative in group
        for name in alternative
    }
)


def contradicted(forms: Iterable[str]) -> set[str]:
    """Of one image's tags, in normal form and by falling score, those that a higher one rules out.

    Hair and eyes are left alone where more than one person may be meant, and where a tag says that they are of
    several colours; the inside and the outside where there is a window or a door; and all where there are several
    views.
    """
    here = [form for form in forms if form in _KNOWN]
    gone: set[str] = set()
    if len(here) < 2 or VIEWS in here:
        return gone
    for group in (*_PEOPLE, *_SCENES):
        gone |= _ruled_out(here, group)
    if not _OPENED.isdisjoint(here):
        gone -= _PLACES
    left = {form for form in here if form not in gone}
    if not _alone(left):
        return gone
    for group, exempt in _LOOKS:
        if left.isdisjoint(exempt):
            gone |= _ruled_out(here, group)
    return gone


def _alone(forms: set[str]) -> bool:
    people = sum(not forms.isdisjoint(frozenset().union(*group)) for group in _COUNTED)
    return people < 2 and forms.isdisjoint(_SEVERAL)


def _ruled_out(forms: Sequence[str], group: Alternatives) -> set[str]:
    open_still = list(group)
    gone = set()
    for form in forms:
        holding = [alternative for alternative in group if form in alternative]
        fitting = [alternative for alternative in open_still if form in alternative]
        if fitting:
            open_still = fitting
        elif holding:
            gone.add(form)
    return gone
