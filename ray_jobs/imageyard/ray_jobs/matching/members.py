"""From pairs of codes to pairs of the images that have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imageyard.manifests.errors import JobError

if TYPE_CHECKING:
    import numpy as np

    from imageyard.ray_jobs.search.pairs import Found

MOST = 100_000_000
"""Pairs of images that may stand behind pairs of codes; more say that the code tells nothing here."""


def members(found: Found, fresh: int, *, across: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(first, second, distance) of all rows behind the pairs of codes, and of all that share a code from `fresh` on.

    With `across` the first of each pair is numbered less than `fresh`, and those that share a code are no pair.
    Raises JobError beyond MOST pairs.
    """
    import numpy as np

    by_node = np.argsort(found.node, kind="stable")
    starts = np.searchsorted(found.node[by_node], np.arange(len(found.node) + 1))
    first, second, distance = found.first, found.second, found.distance
    if not across:
        nodes = np.arange(fresh, len(found.node))
        shared = nodes[starts[nodes + 1] - starts[nodes] > 1]
        first, second = np.concatenate([first, shared]), np.concatenate([second, shared])
        distance = np.concatenate([distance, np.zeros(len(shared), distance.dtype)])
    mine, theirs = starts[first + 1] - starts[first], starts[second + 1] - starts[second]
    times = mine * theirs
    if times.sum() > 2 * MOST:  # of equal ones, each pair is counted twice
        raise JobError(
            f"some {int(times.sum()):,} pairs of images are to be looked at, more than {MOST:,}: very many have "
            "the same small hash, as shots from one place do. Switch the tier off (variant: off)"
        )
    pair = np.repeat(np.arange(len(first)), times)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(times) - times, times)
    a = by_node[starts[first[pair]] + within // theirs[pair]]
    b = by_node[starts[second[pair]] + within % theirs[pair]]
    proper = a < b
    return a[proper], b[proper], distance[pair[proper]]
