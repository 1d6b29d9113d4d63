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
    """`picks`, which are by falling score, in order; what is equal in it goes by the name.

    `model`: as the labels stand in the model's list. `frequency`: by `counts` of normal forms, falling. Before the
    others come, if asked for, `solo`, then counts such as `2girls`, then characters.
    """
    found = list(picks) if order == "score" else sorted(picks, key=_key(order, counts))
    if people_first or characters_first:
        found.sort(key=lambda pick: _rank(pick[0], people_first, characters_first))
    return found


def _key(order: Order, counts: Mapping[str, int]) -> Callable[[Pick], Any]:
    if order == "model":
        return lambda pick: pick[0].place
    if order == "frequency":
        return lambda pick: (-counts[pick[0].form], pick[0].form)
    return lambda pick: pick[0].form


def _rank(name: Name, people_first: bool, characters_first: bool) -> int:
    rank = _person(name.form) if people_first else 3
    return 2 if rank == 3 and characters_first and name.category == CHARACTER else rank


@lru_cache(maxsize=65536)
def _person(form: str) -> int:
    return 0 if form == "solo" else 1 if _COUNT.fullmatch(form) else 3


def led(picks: Sequence[Pick], first: Sequence[Name], *, add: bool) -> list[Pick]:
    """`picks` with the `first` names at their beginning, in the order of those; with `add` also those it lacks."""
    here = {name.form: (name, score) for name, score in picks}
    ahead = {name.form: here.get(name.form, (name, 1.0)) for name in first if add or name.form in here}
    return [*ahead.values(), *(pick for pick in picks if pick[0].form not in ahead)]
