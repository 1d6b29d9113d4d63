"""All pairs of codes within a Hamming distance: planned as pure tasks, run anywhere, put together in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageyard.manifests.errors import JobError
from imageyard.ray_jobs.hamming import pairs_within
from imageyard.ray_jobs.search.certificate import Certificate
from imageyard.ray_jobs.search.scheme import Mode, Scheme, scheme_for
from imageyard.ray_jobs.search.tasks import HOT, Run, in_threads, tasks_of

if TYPE_CHECKING:
    import numpy as np

SAMPLE = 256
"""Codes whose pairs are found twice, to measure the recall."""
MOST = 1_000_000_000
"""Pairs that a search may find; more say that the codes or the distance are unfit, not that there are duplicates."""


@dataclass(frozen=True)
class Found:
    """The pairs of a search."""

    node: np.ndarray
    """int64 of shape (n,): for every code the number of the first code equal to it."""
    first: np.ndarray
    """int64 of shape (pairs,), rising: numbers of codes, each the first of its equals."""
    second: np.ndarray
    """Above `first`, and rising where that is equal."""
    distance: np.ndarray
    """int64 of shape (pairs,); 0 only between an old code and a new one equal to it."""
    certificate: Certificate


def find_pairs(
    codes: np.ndarray,
    distance: int,
    *,
    fresh: int = 0,
    across: bool = False,
    mode: Mode = "auto",
    run: Run | None = None,
    hot: int = HOT,
) -> Found:
    """All pairs of `codes`, uint64 of shape (n, words), within `distance` bits, with one code numbered `fresh` or more.

    With `across` the other code is numbered less than `fresh`.

    Equal codes from `fresh` on are collapsed, as `node` tells; those before are taken one by one. Whoever runs the
    tasks, here in threads or `run`, the result is the same. Raises JobError for codes of which far too many are alike.
    """
    import numpy as np

    n, words = codes.shape
    node, distinct = collapsed(codes[fresh:])
    node, distinct = (np.concatenate([np.arange(fresh), part + fresh]) for part in (node, distinct))
    kept = codes if len(distinct) == n else codes[distinct]
    new = len(kept) - fresh
    scheme = scheme_for(len(kept), 64 * words, distance, mode)
    comparisons = hot_buckets = 0
    if scheme.mode == "all":
        a, b, d = pairs_within(kept, distance)
        asked = (b >= fresh) & ((a < fresh) | (not across))
        a, b, d = a[asked], b[asked], d[asked]
        comparisons = len(kept) * (len(kept) - 1) // 2
    else:
        parts: list[np.ndarray] = []
        tasks = tasks_of(scheme, len(kept), fresh, distance, across=across, hot=hot) if new else []
        for result in (run or in_threads)(tasks, kept):
            parts.append(result.pairs)
            comparisons += result.comparisons
            hot_buckets += result.hot_buckets
            if sum(map(len, parts)) > MOST:
                raise JobError(
                    f"more than {MOST:,} pairs lie within {distance} bits, so this distance tells nothing here; "
                    "ask for a smaller one"
                )
        a, b, d = ordered(parts, once=len(scheme.cuts) == 1)
    sample, sampled, again = _checked(kept, fresh, across, distance, a, b, scheme)
    certificate = Certificate(
        mode=scheme.mode,
        codes=n,
        distinct=len(kept),
        fresh=new,
        bits=64 * words,
        distance=distance,
        tables=scheme.tables,
        exact_to=min(scheme.exact_to, 64 * words),
        recall={at: round(scheme.recall(at), 6) for at in range(scheme.exact_to + 1, distance + 1)},
        comparisons=comparisons,
        hot_buckets=hot_buckets,
        sampled=sample,
        sampled_pairs=sampled,
        sampled_found=again,
    )
    return Found(node, distinct[a], distinct[b], d, certificate)


def collapsed(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(node, distinct): for every code the number of the first code equal to it; the numbers of those, rising."""
    import numpy as np

    n, words = codes.shape
    node = np.arange(n, dtype=np.int64)
    order = np.argsort(codes[:, 0], kind="stable")
    same = np.zeros(n, bool)
    rising = codes[order, 0]
    same[1:] = rising[1:] == rising[:-1]
    same[:-1] |= same[1:]
    rows = order[same]  # few: of other codes the first word alone differs
    rows = rows[np.lexsort([rows, *(codes[rows, word] for word in reversed(range(words)))])]
    block = codes[rows]
    equal = np.zeros(len(rows), bool)
    equal[1:] = (block[1:] == block[:-1]).all(axis=1)
    leading = np.flatnonzero(~equal)
    node[rows] = rows[leading[np.cumsum(~equal) - 1]] if len(rows) else node[rows]
    return node, np.flatnonzero(node == np.arange(n))


def ordered(parts: Sequence[np.ndarray], *, once: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of all tasks in the order of their codes; told `once`, or else to be made so."""
    import numpy as np

    pairs = np.concatenate(parts) if parts else np.zeros((0, 3), np.int32)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int64)
    if not once and len(pairs):
        new = np.ones(len(pairs), bool)
        new[1:] = (pairs[1:, :2] != pairs[:-1, :2]).any(axis=1)
        pairs = pairs[new]
    return pairs[:, 0], pairs[:, 1], pairs[:, 2]


def _checked(
    codes: np.ndarray,
    fresh: int,
    across: bool,
    distance: int,
    first: np.ndarray,
    second: np.ndarray,
    scheme: Scheme,
) -> tuple[int, int, int]:
    """(codes, pairs, found): how many of the pairs of some new codes, found the plain way, the search has found too."""
    import numpy as np

    new = len(codes) - fresh
    if scheme.mode == "all" or new == 0:
        return 0, 0, 0
    from imageyard.ray_jobs.search import kernel

    rows = fresh + np.unique(np.linspace(0, new - 1, min(SAMPLE, 16 + new // 1000)).astype(np.int64))
    plain = kernel.against(np.ascontiguousarray(codes.T), rows, distance).astype(np.int64)
    low, high = plain[:, :2].min(axis=1, initial=len(codes)), plain[:, :2].max(axis=1, initial=-1)
    if across:
        low, high = low[low < fresh], high[low < fresh]
    wanted = np.unique(low * len(codes) + high)
    at = np.searchsorted(first, wanted // len(codes))  # pairs are in order: look each up
    until = np.searchsorted(first, wanted // len(codes), side="right")
    places = zip(at.tolist(), until.tolist(), (wanted % len(codes)).tolist(), strict=True)
    again = sum(b in second[begin:end] for begin, end, b in places)
    if scheme.exact_to >= distance and again < len(wanted):
        raise JobError(
            f"the search missed {len(wanted) - again} of {len(wanted)} pairs it must not miss; this is a bug"
        )
    return len(rows), len(wanted), again
