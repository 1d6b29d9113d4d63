"""The order of an epoch as pure arithmetic: which row stands at a position, and which positions a reader takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Place(NamedTuple):
    """A row of a range."""

    range: int
    row: int


@dataclass(frozen=True)
class Reader:
    """One of the processes that share an epoch: a worker of a rank."""

    rank: int = 0
    world: int = 1
    worker: int = 0
    workers: int = 1


class EpochOrder:
    """A permutation of all rows of some ranges, fixed by seed, epoch and window, and by nothing else.

    Ranges are permuted, then rows are shuffled among `window` neighbouring ranges, so that whoever walks the
    positions upwards needs no more than `window` ranges at a time. Holds 8 bytes a row of a window.
    """

    def __init__(self, rows: Sequence[int], *, seed: int, epoch: int, window: int) -> None:
        """`rows` is the number of rows of each range; seed and epoch are from 0 to 2**63 - 1."""
        self._seed = seed
        self._epoch = epoch
        self._ranges = permutation(len(rows), seed=seed, epoch=epoch, block=0)
        self._starts = np.concatenate(([0], np.cumsum(np.asarray(rows, dtype=np.int64)[self._ranges])))
        self._windows = np.append(self._starts[:-1:window], self._starts[-1])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def place(self, position: int) -> Place:
        """The row at `position`, which is from 0 to len - 1."""
        number, first, last = self._window(position)
        shuffled = permutation(last - first, seed=self._seed, epoch=self._epoch, block=number + 1)
        flat = first + int(shuffled[position - first])
        nth = int(np.searchsorted(self._starts, flat, side="right")) - 1
        return Place(int(self._ranges[nth]), flat - int(self._starts[nth]))

    def stand_ins(self, position: int) -> Iterator[int]:
        """The other positions of the window of `position`, from the next one round to the one before it."""
        _, first, last = self._window(position)
        size = last - first
        return (first + (position - first + step) % size for step in range(1, size))

    def _window(self, position: int) -> tuple[int, int, int]:
        number = int(np.searchsorted(self._windows, position, side="right")) - 1
        return number, int(self._windows[number]), int(self._windows[number + 1])


def steps(rows: int, *, consumed: int, batch: int) -> int:
    """Global batches that remain of an epoch of `rows` samples, the last one filled up with pads."""
    return max(0, -(-(rows - consumed) // batch))


def slots(rows: int, reader: Reader, *, consumed: int, batch: int) -> Iterator[int]:
    """The positions `reader` takes, rising, in whole rank-batches of `batch // world`.

    Step t covers the positions from consumed + t * batch; rank r takes the r-th slice of it and worker w the
    steps w, w + workers and so on, which is how a torch DataLoader asks its workers in turn. The union over
    readers does not depend on their number. Positions of `rows` and more are pads: `wrapped` says for what.
    """
    share = batch // reader.world
    for step in range(reader.worker, steps(rows, consumed=consumed, batch=batch), reader.workers):
        first = consumed + step * batch + reader.rank * share
        yield from range(first, first + share)


def wrapped(position: int, rows: int) -> int:
    """The position whose row is read at `position`: itself, or for a pad one counted from the epoch's start."""
    return position % rows


@lru_cache(maxsize=8)
def permutation(size: int, *, seed: int, epoch: int, block: int) -> NDArray[np.int64]:
    """A permutation of 0 to `size` - 1 as int64; another one for every (seed, epoch, block).

    Random keys are sorted: Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011)
    with key (seed, epoch) and the block in the counter's highest word. Only NumPy's raw bit stream is used, which
    NEP 19 keeps the same for ever, unlike the stream of Generator.permutation.
    """
    key = np.array([seed, epoch], dtype=np.uint64)
    counter = np.array([0, 0, 0, block], dtype=np.uint64)
    drawn = np.random.Philox(key=key, counter=counter).random_raw(size)
    order = np.argsort(drawn, kind="stable").astype(np.int64, copy=False)
    order.flags.writeable = False
    return order
