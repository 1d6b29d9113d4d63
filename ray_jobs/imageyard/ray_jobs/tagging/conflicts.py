"""Conflicts: tags that cannot be true together; the one with the highest score stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Alternatives = Sequence[frozenset[str]]


def _each(*names: str) -> list[frozenset[str]]:
    return [frozenset([name]) for name in names]


_COLOURS = (
    "aqua",
    "black",
    "blonde",
    "blue",
    "brown",
    "dark blue",
    "dark green",
    "green",
    "grey",
    "light blue",
    "light brown",
    "light green",
    "light purple",
    "orange",
    "pink",
    "purple",
    "red",
    "white",
    "yellow",
)
_MANY = ("multiple girls", "multiple boys", "multiple others")


def _counts(one: str, several: str, many: str) -> list[frozenset[str]]:
    numbers = [f"{number}{several}" for number in ("2", "3", "4", "5", "6+")]
    return [frozenset([one]), *(frozenset([number, many]) for number in numbers)]


_COUNTED = [_counts(f"1{one}", f"{one}s", f"multiple {one}s") for one in ("girl", "boy", "other")]
_SEVERAL = frozenset(name for group in _COUNTED for alternative in group[1:] for name in alternative)
_PEOPLE: Sequence[Alternatives] = (*_COUNTED, [frozenset(["solo"]), _SEVERAL])
_SCENES: Sequence[Alternatives] = (
    _each("day", "night"),
    _each("indoors", "outdoors"),
    _each("from above", "from below"),
    _each("facing viewer", "from behind"),
    [*_each("close-up", "portrait", "upper body", "cowboy shot", "lower body"), frozenset(["full body", "wide shot"])],
)
_LOOKS: Sequence[tuple[Alternatives, frozenset[str]]] = (
    (
        _each(*(f"{colour} hair" for colour in (*_COLOURS, "silver", "gray"))),
        frozenset(
            [
                "multicolored hair",
                "two-tone hair",
                "gradient hair",
                "streaked hair",
                "split-color hair",
                "colored inner hair",
                "colored tips",
                "rainbow hair",
                "highlights",
            ]
        ),
    ),
    (
        _each(*(f"{colour} eyes" for colour in (*_COLOURS, "gray"))),
        frozenset(["heterochromia", "multicolored eyes", "two-tone eyes", "gradient eyes", "rainbow eyes"]),
    ),
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
_KNOWN = frozenset(
    name
    for group in (*_PEOPLE, *_SCENES, *([*group, exempt] for group, exempt in _LOOKS))
    for alternative in group
    for name in alternative
)


def contradicted(forms: Iterable[str]) -> set[str]:
    """Of one image's tags, in normal form and by falling score, those that a higher one rules out.

    Hair and eyes are left alone where more than one person may be meant, and where a tag says that they are of
    several colours.
    """
    here = [form for form in forms if form in _KNOWN]
    gone: set[str] = set()
    if len(here) < 2:
        return gone
    for group in (*_PEOPLE, *_SCENES):
        gone |= _ruled_out(here, group)
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
