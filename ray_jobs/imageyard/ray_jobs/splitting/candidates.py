"""The parts that may be drawn: their sizes, their labels, and the order in which luck and rarity put them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageyard.ray_jobs.splitting.columns import Columns

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Candidates:
    """Arrays of shape (candidates,), in the order of the smallest number of a part, unless said otherwise."""

    part: np.ndarray
    """int64: the numbers of the parts."""
    size: np.ndarray
    """int64: rows that stand."""
    luck: np.ndarray
    """float64 in [0, 1): a hash of salt and group, the same however the dataset grows."""
    start: np.ndarray
    """int64 of shape (candidates + 1,): where the labels of each begin."""
    label: np.ndarray
    """int64: labels, candidate by candidate."""
    count: np.ndarray
    """int64: how many rows of the candidate have that label."""

    def __len__(self) -> int:
        return len(self.part)

    def select(self, kept: np.ndarray) -> Candidates:
        """Those that `kept`, bool of shape (candidates,), holds."""
        import numpy as np

        length = np.diff(self.start)
        labels = np.repeat(kept, length)
        start = np.concatenate([[0], np.cumsum(length[kept])])
        return Candidates(
            self.part[kept], self.size[kept], self.luck[kept], start, self.label[labels], self.count[labels]
        )

    def having(self, labels: int) -> np.ndarray:
        """How many rows have each of so many labels, all candidates together: int64 of shape (labels,)."""
        import numpy as np

        return np.bincount(self.label, weights=self.count, minlength=labels).astype(np.int64)


def candidates(columns: Columns, of: np.ndarray, keys: Sequence[str], salt: str) -> Candidates:
    """The parts with a row that stands; `of`, int64 of shape (rows,), says whose part a row is, -1 for no matter.

    What luck draws by is the key of the member seen first, of those that stand and the others, so a group keeps its
    luck when it grows.
    """
    import numpy as np

    inside = np.flatnonzero(of >= 0)
    eldest = inside[np.lexsort((inside, columns.seen[inside], of[inside]))]
    eldest = eldest[np.unique(of[eldest], return_index=True)[1]]
    size = np.bincount(of[inside[columns.standing[inside]]], minlength=int(of.max(initial=-1)) + 1)
    eldest = eldest[size[of[eldest]] > 0]
    part = of[eldest]
    number = np.full(len(size), -1, np.int64)
    number[part] = np.arange(len(part))
    tags = columns.tags
    counted = columns.standing[tags.row] & (of[tags.row] >= 0)
    pairs = number[of[tags.row[counted]]] * max(1, len(tags.names)) + tags.label[counted]
    pair, count = np.unique(pairs, return_counts=True)
    owner, label = np.divmod(pair, max(1, len(tags.names)))
    start = np.searchsorted(owner, np.arange(len(part) + 1))
    luck = np.array([luck_of(salt, keys[row]) for row in eldest.tolist()], np.float64)
    return Candidates(part, size[part], luck, start, label, count)


def luck_of(salt: str, name: str) -> float:
    """A number in [0, 1) that depends on nothing but the two."""
    digest = hashlib.blake2b(f"{salt}\0{name}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / (1 << 53)


def by_rarity(chosen: Candidates, totals: np.ndarray, *, largest_first: bool = False) -> np.ndarray:
    """The candidates in the order of iterative stratification: those with the rarest label first, then by luck.

    `totals`, int64 of shape (labels,), says how many rows have each label; one that none has is as good as no label.
    """
    import numpy as np

    rank = np.full(len(totals), len(totals), np.int64)
    known = np.flatnonzero(totals > 0)
    rank[known[np.argsort(totals[known], kind="stable")]] = np.arange(len(known))
    rarest = np.full(len(chosen), len(totals), np.int64)
    np.minimum.at(rarest, np.repeat(np.arange(len(chosen)), np.diff(chosen.start)), rank[chosen.label])
    size = -chosen.size if largest_first else np.zeros(len(chosen), np.int64)
    order: np.ndarray = np.lexsort((chosen.luck, size, rarest))
    return order
