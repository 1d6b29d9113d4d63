"""Class indices of names that no model has."""

import hashlib

import pytest

from imageyard.ray_jobs.tagging.classes import FIRST, class_index

MYCHAR = FIRST + int.from_bytes(hashlib.sha256(b"mychar").digest()[:4], "big") % FIRST


@pytest.mark.parametrize("name", ["mychar", " MyChar "])
def test_a_name_has_one_index_in_any_spelling(name: str) -> None:
    assert class_index(name, {}) == MYCHAR
    assert FIRST <= MYCHAR < 2 * FIRST


def test_a_name_that_the_line_has_keeps_its_index_and_another_is_passed_over() -> None:
    assert class_index("mychar", {MYCHAR: "MyChar"}) == MYCHAR
    assert class_index("mychar", {MYCHAR: "smile", MYCHAR + 1: "solo"}) == MYCHAR + 2


def test_several_that_are_taken_are_passed_over() -> None:
    taken = dict.fromkeys(range(MYCHAR, MYCHAR + 3), "smile")
    assert class_index("mychar", taken) == MYCHAR + 3


@pytest.mark.parametrize("name", ["", "^_^", "ünïcode", "\\m/", "a" * 500])
def test_any_name_has_an_index_below_2_to_the_31(name: str) -> None:
    assert FIRST <= class_index(name, {}) < 2**31
