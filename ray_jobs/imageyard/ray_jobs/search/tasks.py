"""The tasks of a search: pure shares of it, one or more for each slot of each cut, that anybody may run."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from imageyard.ray_jobs.search.scheme import WORD, Cut, Scheme, Slot, limited

if TYPE_CHECKING:
    import numpy as np

HOT = 1 << 34
"""Comparisons in one bucket, some seconds of them, from which it is cut again."""
TASK = 4e11
"""Comparisons of one task, about a minute; a table that takes more is shared out by ranges of buckets."""
BLOCK = 1 << 17
"""Codes that are put into another order of bits at a time."""


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
