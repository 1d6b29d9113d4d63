"""Groups that are equal in size and classes change places, where that brings tags nearer to their shares."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

ROUNDS = 3
TRIES = 8
"""Groups that are tried in the place of one, in each round."""
LEAST = 1e-9
"""Gain, in chi-square, that is more than an error of rounding."""


def exchanged(
    taken: Sequence[int],
    rest: Sequence[int],
    kinds: Sequence[Hashable],
    tags: Sequence[Mapping[int, int]],
    lack: Sequence[float],
    weight: Sequence[float],
) -> list[int]:
    """`taken` with some of them replaced by one of `rest` that is of the same kind.

    Groups are numbers; `kinds` says of each what must not change, and `tags` how many rows have each tag. `lack` says
    what is still missing of each tag, and `weight` how much that matters. Those first in `rest` are tried first.
    """
    lacking = list(lack)
    waiting: dict[Hashable, list[int]] = {}
    for group in rest:
        waiting.setdefault(kinds[group], []).append(group)

    def gain(old: int, new: int) -> float:
        total = 0.0
        for tag in tags[old].keys() | tags[new].keys():
            change = tags[new].get(tag, 0) - tags[old].get(tag, 0)
            total += change * (2 * lacking[tag] - change) * weight[tag]
        return total

    chosen, looked = list(taken), dict.fromkeys(waiting, 0)
    for _ in range(ROUNDS):
        before = list(chosen)
        for place, old in enumerate(before):
            others = waiting.get(kinds[old], [])
            window = [(looked[kinds[old]] + step) % len(others) for step in range(min(TRIES, len(others)))]
            best = max(window, key=lambda at: gain(old, others[at]), default=None)
            if best is None or gain(old, others[best]) <= LEAST:
                continue
            for tag in tags[old].keys() | tags[others[best]].keys():
                lacking[tag] -= tags[others[best]].get(tag, 0) - tags[old].get(tag, 0)
            chosen[place], others[best] = others[best], old
            looked[kinds[old]] += TRIES
        if chosen == before:
            break
    return chosen
