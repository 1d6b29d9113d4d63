"""What the tag step reads: scores as they were measured, in one order."""

from collections.abc import Sequence

import pyarrow as pa
import pytest

from imageyard.ray_jobs.extractors.tagger import Tagger
from imageyard.ray_jobs.tagging.facts import TagFacts, tag_facts
from imageyard.ray_jobs.tagging.names import Label

Row = Sequence[tuple[int, str, int, float]] | str | None
"""Scores, an error, or nothing."""


def facts_of(*rows: Row) -> TagFacts:
    schema = pa.schema([*Tagger.columns(), pa.field("error", pa.string())])
    names = ("index", "tag", "category", "score")
    data = {
        name: [None if row is None or isinstance(row, str) else [one[at] for one in row] for row in rows]
        for at, name in enumerate(names)
    }
    return tag_facts(pa.table(data | {"error": [row if isinstance(row, str) else None for row in rows]}, schema=schema))


def test_a_score_is_the_number_that_was_measured_and_not_its_nearest_float() -> None:
    facts = facts_of([(0, "a", 0, 0.35), (1, "b", 0, 0.1), (2, "c", 0, 0.0999)])
    assert facts.scores(0) == [(0, 0.35), (1, 0.1), (2, 0.0999)]


def test_equal_scores_stand_by_tag_and_rows_do_not_mix() -> None:
    first = [(5, "b", 0, 0.5), (7, "a", 0, 0.5), (9, "c", 0, 0.5), (1, "d", 0, 0.1)]
    second = [(1, "d", 0, 0.5), (7, "a", 0, 0.4)]
    third = [(1, "d", 0, 0.2), (5, "b", 0, 0.9)]
    facts = facts_of(first, second, third)
    assert [[index for index, _ in facts.scores(row)] for row in range(3)] == [[7, 5, 9, 1], [1, 7], [5, 1]]
    assert facts.labels[9] == Label(9, "c", 0)
    assert len(facts.labels) == 4


def test_a_row_without_scores_is_known_or_an_error_or_missing() -> None:
    facts = facts_of([(0, "a", 0, 0.5)], None, [], "truncated: half of it", [(0, "a", 0, 0.6)])
    assert [facts.known(row) for row in range(5)] == [True, None, True, None, True]
    assert [facts.scores(row) for row in range(5)] == [[(0, 0.5)], [], [], [], [(0, 0.6)]]
    assert facts.errors[3] == "truncated: half of it"


@pytest.mark.parametrize("rows", [0, 3])
def test_nothing_measured_at_all_is_no_fault(rows: int) -> None:
    facts = tag_facts(pa.table({name: pa.nulls(rows) for name in ("index", "tag", "category", "score", "error")}))
    assert facts.labels == {}
    assert [facts.known(row) for row in range(rows)] == [None] * rows
    assert [facts.scores(row) for row in range(rows)] == [[]] * rows
