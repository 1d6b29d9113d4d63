"""The order of one image's tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from imageyard.ray_jobs.tag_categories import CHARACTER
from imageyard.ray_jobs.tagging.names import Name, Pick

Order = Literal["score", "model", "alphabetical", "frequency"]
_COUNT = re.compile(r"\d+\+?(boy|girl)s?")


def arranged(
    picks: Sequence[Pick],
    order: Order,
    counts: Mapping[str, int],
    *,
    people_first: bool = False,
    characters_first: bool = False,
) -> list[Pick]:
    """`picks` in order; what is equal in it goes by the name, and by the model's name where scores are equal.

    `model`: as the labels stand in the model's list. `frequency`: by `counts` of normal forms, falling. Before the
    others come, if asked for, `solo`, then counts such as `2girls`, then characters.
    """
    found = sorted(picks, key=_key(order, counts))
    if people_first or characters_first:
        found.sort(key=lambda pick: _rank(pick.name, people_first, characters_first))
    return found


def _key(order: Order, counts: Mapping[str, int]) -> Callable[[Pick], Any]:
    if order == "score":
        return lambda pick: (-pick.score, pick.name.label)
    if order == "model":
        return lambda pick: pick.name.place
    if order == "frequency":
        return lambda pick: (-counts[pick.name.form], pick.name.form)
    return lambda pick: pick.name.form


def _rank(name: Name, people_first: bool, characters_first: bool) -> int:
    rank = _person(name.form) if people_first else 3
    return 2 if rank == 3 and characters_first and name.category == CHARACTER else rank


@lru_cache(maxsize=65536)
def _person(form: str) -> int:
    return 0 if form == "solo" else 1 if _COUNT.fullmatch(form) else 3


def led(picks: Sequence[Pick], first: Sequence[Name], *, add: bool) -> list[Pick]:
    """`picks` with the `first` names at their beginning, in the order of those; with `add` also those it lacks."""
    here = {pick.name.form: pick for pick in picks}
    ahead = [here.get(name.form, Pick(name, 1.0)) for name in first if add or name.form in here]
    moved = {pick.name.form for pick in ahead}
    return [*ahead, *(pick for pick in picks if pick.name.form not in moved)]
