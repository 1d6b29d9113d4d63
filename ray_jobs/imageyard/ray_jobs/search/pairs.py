"""All pairs of codes within a Hamming distance: planned as pure tasks, run anywhere, put together in one order."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from imageyard.manifests.errors import JobError
from imageyard.ray_jobs.hamming import pairs_within
from imageyard.ray_jobs.search.certificate import Certificate
from imageyard.ray_jobs.search.scheme import WORD, Cut, Mode, Scheme, Slot, limited, scheme_for

if TYPE_CHECKING:
    import numpy as np

HOT = 1 << 34
"""Comparisons in one bucket, some seconds of them, from which it is cut again."""
TASK = 4e11
"""Comparisons of one task, about a minute; a table that takes more is shared out by ranges of buckets."""
BLOCK = 1 << 17
SAMPLE = 256
"""Codes whose pairs are found twice, to measure the recall."""
MOST = 1_000_000_000
"""Pairs that a search may find; more say that the codes or the distance are unfit, not that there are duplicates."""


@dataclass(frozen=True)
class Task:
    """A share of a search: of one slot of one cut, part `part` of `parts`. Pure: run twice, it finds the same."""

    cut: Cut
    slot: int
    part: int
    parts: int
    fresh: int
    distance: int
    across: bool
    """Whether only pairs of an old and a new code are asked for, not those of two new ones."""
    hot: int


@dataclass(frozen=True)
class TaskResult:
    """Pairs (a, b, distance), int32 of shape (pairs, 3), and what it took."""

    pairs: np.ndarray
    comparisons: int
    hot_buckets: int


Run = Callable[[Sequence[Task], "np.ndarray"], Iterable[TaskResult]]
"""Runs tasks over codes, uint64 of shape (n, words), anywhere and in any order."""


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


def tasks_of(
    scheme: Scheme, codes: int, fresh: int, distance: int, *, across: bool = False, hot: int = HOT
) -> list[Task]:
    """The tasks of a search, which depend on the codes' number alone and not on who runs them."""
    pairs = codes * codes / 2 - fresh * fresh / 2
    tasks = []
    for cut in scheme.cuts:
        for at, slot in enumerate(cut.slots):
            parts = max(1, round(pairs * slot.neighbours / 2**slot.width / TASK))
            tasks += [Task(cut, at, part, parts, fresh, distance, across, hot) for part in range(parts)]
    return tasks


def in_threads(tasks: Sequence[Task], codes: np.ndarray) -> Iterable[TaskResult]:
    """Run tasks here, as many at a time as this process may use CPUs."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for cut, group in itertools.groupby(tasks, key=lambda task: task.cut):
            yield from pool.map(partial(run_task, columns=columns_of(codes, cut)), group)


def columns_of(codes: np.ndarray, cut: Cut) -> np.ndarray:
    """The codes with the bits in the cut's order, a row a word: uint64 of shape (words, n)."""
    import numpy as np

    from imageyard.ray_jobs.search import kernel

    n, words = codes.shape
    places = np.zeros((8 * words, 256, words), np.uint64)
    values = np.arange(256)
    for at, bit in enumerate(cut.order):
        has = (values >> (bit % 8)) & 1 == 1
        places[bit // 8, has, at // 64] |= np.uint64(1 << (at % 64))
    columns = np.empty((words, n), np.uint64)
    kernel.cut_codes(codes[:1].copy(), places, columns[:, :1])  # compiled before threads want it
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        blocks = [slice(at, at + BLOCK) for at in range(0, n, BLOCK)]
        list(pool.map(lambda block: kernel.cut_codes(codes[block], places, columns[:, block]), blocks))
    return columns


def run_task(task: Task, columns: np.ndarray) -> TaskResult:
    """Find what the task is to find in `columns` of its cut."""
    import numpy as np

    from imageyard.ray_jobs.search import kernel

    slots = np.array([(s.word, s.shift, s.width, s.radius, s.limit) for s in task.cut.slots], np.int64)
    slot = task.cut.slots[task.slot]
    start, middle, order, pairs = _table(columns, slot, task.fresh)
    low, high = ((1 << slot.width) * part // task.parts for part in (task.part, task.part + 1))
    masks = _masks(slot)[1:]
    made, asked = (start, middle, order, pairs), (task.slot, task.fresh, task.distance, task.across)
    found, left, compared = kernel.join(columns, made, masks, slots, (*asked, low, high, task.hot))
    parts, comparisons = [found], int(compared)
    for key in left.tolist():
        if len(slots) > 1:
            more, extra = _hot(task, columns, start, order, masks, slots, key)
        else:  # nothing is left to cut it by
            more, _, extra = kernel.join(columns, made, masks, slots, (*asked, key, key + 1, 1 << 62))
        parts.append(more)
        comparisons += int(extra)
    return TaskResult(np.concatenate(parts), comparisons, len(left))


def _table(columns: np.ndarray, slot: Slot, fresh: int) -> tuple[np.ndarray, ...]:
    """The slot's table; of old codes only those that a new one can meet."""
    import numpy as np

    from imageyard.ray_jobs.search import kernel

    words, place = len(columns), (slot.word, slot.shift, slot.width)
    keep = kernel.wanted(columns, fresh, *place, _masks(slot)) if fresh else np.ones(1 << slot.width, bool)
    one, other = slot.word, -1  # where words have a limit, all but few are refused by the slot's own
    if slot.limit >= WORD and words > 1:
        one, other = (slot.word + 1) % words, (slot.word + 2) % words
    made: tuple[np.ndarray, ...] = kernel.table(columns, fresh, *place, one, other, keep)
    return made


def _hot(
    task: Task,
    columns: np.ndarray,
    start: np.ndarray,
    order: np.ndarray,
    masks: np.ndarray,
    slots: np.ndarray,
    key: int,
) -> tuple[np.ndarray, int]:
    """The pairs of the new codes of one full bucket, by a search over the bits outside the slot.

    Pairs that agree in the slot differ elsewhere, so the other slots, with radii for the whole distance, miss none.
    """
    import numpy as np

    near = [key, *(int(key ^ mask) for mask in masks)]
    rows = np.sort(np.concatenate([order[start[one] : start[one + 1]] for one in near])).astype(np.int64)
    others = [slot for at, slot in enumerate(task.cut.slots) if at != task.slot]
    least, more = divmod(task.distance + 1, len(others))
    radii = (least + (at < more) - 1 for at in range(len(others)))
    kept = tuple(replace(slot, radius=radius) for slot, radius in zip(others, radii, strict=True) if radius >= 0)
    cut = limited(Cut(task.cut.order, kept))
    fresh = int(np.searchsorted(rows, task.fresh))
    inside = np.ascontiguousarray(columns[:, rows])
    parts, comparisons = [], 0
    for at in range(len(cut.slots)):
        found = run_task(Task(cut, at, 0, 1, fresh, task.distance, task.across, 1 << 62), inside)
        parts.append(found.pairs)
        comparisons += found.comparisons
    pairs = np.concatenate(parts)
    pairs[:, 0], pairs[:, 1] = rows[pairs[:, 0]], rows[pairs[:, 1]]
    keys = (columns[slots[task.slot, 0]] >> np.uint64(slots[task.slot, 1])) & np.uint64(
        (1 << int(slots[task.slot, 2])) - 1
    )
    mine = _meet(columns, pairs, slots[task.slot])
    one, other = keys[pairs[:, 0]], keys[pairs[:, 1]]
    mine &= np.where(pairs[:, 0] < task.fresh, other, np.minimum(one, other)) == key
    for slot in slots[: task.slot]:
        mine &= ~_meet(columns, pairs, slot)
    return pairs[mine], comparisons


def _meet(columns: np.ndarray, pairs: np.ndarray, slot: np.ndarray) -> np.ndarray:
    """Which of the pairs, (a, b, distance), a slot lets meet: bool of shape (pairs,)."""
    import numpy as np

    word, shift, width, radius, limit = slot.tolist()
    differ = columns[word, pairs[:, 0]] ^ columns[word, pairs[:, 1]]
    inside = (differ >> np.uint64(shift)) & np.uint64((1 << width) - 1)
    met: np.ndarray = (np.bitwise_count(inside) <= radius) & (np.bitwise_count(differ) <= limit)
    return met


def _masks(slot: Slot) -> np.ndarray:
    """What leads from a slot value to all within the radius, 0 first: int64."""
    import numpy as np

    masks = [
        sum(1 << bit for bit in bits)
        for count in range(slot.radius + 1)
        for bits in itertools.combinations(range(slot.width), count)
    ]
    return np.array(masks, np.int64)


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
