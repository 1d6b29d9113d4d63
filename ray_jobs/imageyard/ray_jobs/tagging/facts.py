"""What a tagger measured of each image, read once, with its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imageyard.ray_jobs.facts import ERROR
from imageyard.ray_jobs.tagging.names import Label

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

COLUMNS = ("index", "tag", "category", "score")
DECIMALS = 10_000
"""Scores were rounded to four decimals before they were kept in single precision."""


@dataclass(frozen=True)
class TagFacts:
    """Scores by row, in one array for all of them."""

    labels: Mapping[int, Label]
    """Every label that some image has a score of."""
    errors: Sequence[str | None]
    """By row."""
    _known: np.ndarray
    _starts: np.ndarray
    _indices: np.ndarray
    _scores: np.ndarray

    def known(self, row: int) -> bool | None:
        """True if there are scores of a row; None if not."""
        return True if self._known[row] else None

    def scores(self, row: int) -> list[tuple[int, float]]:
        """(index, score) of a row: by falling score, equal ones by tag."""
        begin, end = self._starts[row], self._starts[row + 1]
        return list(zip(self._indices[begin:end].tolist(), self._scores[begin:end].tolist(), strict=True))


def tag_facts(table: pa.Table) -> TagFacts:
    """The facts in a table of COLUMNS and `error`, one row an image."""
    import numpy as np
    import pyarrow as pa

    rows = table.num_rows
    errors = table.column(ERROR).to_pylist()
    if not rows or pa.types.is_null(table.schema.field("index").type):
        none = np.zeros(0)
        return TagFacts({}, errors, np.zeros(rows, bool), np.zeros(rows + 1, np.int64), none.astype(np.int32), none)
    lists = {name: table.column(name).combine_chunks() for name in COLUMNS}
    lengths = lists["index"].value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    flat = {name: column.flatten() for name, column in lists.items()}
    indices = flat["index"].to_numpy().copy()
    scores = np.rint(flat["score"].to_numpy().astype(np.float64) * DECIMALS) / DECIMALS
    labels = _labels(indices, flat["tag"], flat["category"])
    _settle_ties(indices, scores, lengths, labels)
    return TagFacts(
        labels=labels,
        errors=errors,
        _known=lists["index"].is_valid().to_numpy(zero_copy_only=False),
        _starts=np.concatenate([[0], np.cumsum(lengths)]),
        _indices=indices,
        _scores=scores,
    )


def _labels(indices: np.ndarray, tags: pa.Array, categories: pa.Array) -> dict[int, Label]:
    """What each index means, by one place where it stands."""
    import numpy as np
    import pyarrow as pa

    places = np.full(int(indices.max(initial=-1)) + 1, -1, np.int64)
    places[indices] = np.arange(len(indices))
    found = np.flatnonzero(places >= 0)
    at = pa.array(places[found])
    named = zip(found.tolist(), tags.take(at).to_pylist(), categories.take(at).to_pylist(), strict=True)
    return {index: Label(index, tag, category) for index, tag, category in named}


def _settle_ties(indices: np.ndarray, scores: np.ndarray, lengths: np.ndarray, labels: Mapping[int, Label]) -> None:
    """Sort, in place, the rows that are not by falling score already, or that have equal scores."""
    import numpy as np

    rows = np.repeat(np.arange(len(lengths)), lengths)
    loose = (rows[1:] == rows[:-1]) & (scores[1:] >= scores[:-1])
    settled = np.zeros(len(lengths), bool)
    settled[rows[1:][loose]] = True
    places = np.flatnonzero(settled[rows])
    rank = np.zeros(max(labels, default=-1) + 1, np.int64)
    rank[sorted(labels, key=lambda index: labels[index].tag)] = np.arange(len(labels))
    order = places[np.lexsort((rank[indices[places]], -scores[places], rows[places]))]
    indices[places], scores[places] = indices[order], scores[order]
