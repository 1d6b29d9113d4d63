"""Tags as text: what is written is read back, and what is compared is compared in one form."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageyard.ray_jobs.tag_text import (
    KAOMOJI,
    Blacklist,
    escaped,
    normal,
    spaced,
    underscored,
    unescaped,
    wild,
    with_spaces_for_commas,
)


@pytest.mark.parametrize("face", sorted(KAOMOJI))
def test_faces_keep_their_underscore_whatever_their_length(face: str) -> None:
    """kohya's rule by length breaks four of them."""
    assert spaced(face) == face
    assert normal(face) == face
    assert normal(escaped(face)) == face


def test_there_are_19_faces() -> None:
    assert len(KAOMOJI) == 19


@pytest.mark.parametrize(
    ("tag", "written"),
    [
        ("saber (fate)", r"saber \(fate\)"),
        (r"\m/", r"\\m/"),
        (r"\||/", r"\\||/"),
        (">:(", r">:\("),
        (r"a\(b", r"a\\\(b"),
        ("smile", "smile"),
    ],
)
def test_backslashes_are_escaped_before_parentheses(tag: str, written: str) -> None:
    assert escaped(tag) == written
    assert unescaped(written) == tag


@pytest.mark.parametrize(("written", "tag"), [(r"\m/", r"\m/"), (r"\\m/", r"\m/"), (r"\n/", r"\n/"), ("\\", "\\")])
def test_a_backslash_before_anything_else_is_one(written: str, tag: str) -> None:
    assert unescaped(written) == tag


@given(st.text(max_size=30))
def test_any_text_survives_being_escaped(text: str) -> None:
    assert unescaped(escaped(text)) == text


@given(st.from_regex(r"[a-z0-9():/\\'!?.+-]+( [a-z0-9():/\\'!?.+-]+){0,3}", fullmatch=True))
def test_spaces_come_back_from_underscores(text: str) -> None:
    assert spaced(underscored(text)) == text or underscored(text) in KAOMOJI


@pytest.mark.parametrize(
    ("spellings", "form"),
    [
        (("long_hair", "Long Hair", " long  hair ", "LONG_hair"), "long hair"),
        ((r"saber \(fate\)", "Saber_(Fate)", "saber (fate)"), "saber (fate)"),
        (("cafe\u0301", "caf\u00e9"), "caf\u00e9"),
        (("...", " ... "), "..."),
    ],
)
def test_spellings_of_one_tag_have_one_normal_form(spellings: tuple[str, ...], form: str) -> None:
    assert {normal(spelling) for spelling in spellings} == {form}


@pytest.mark.parametrize(
    ("tag", "written"),
    [
        ('don\'t say "lazy", please', 'don\'t say "lazy" please'),
        ("a,b", "a b"),
        (",a, ,b,", "a b"),
        ("smile", "smile"),
        (" smile", " smile"),
    ],
)
def test_a_comma_in_a_name_becomes_one_space(tag: str, written: str) -> None:
    assert with_spaces_for_commas(tag) == written


@pytest.mark.parametrize(
    ("pattern", "tag", "banned"),
    [
        ("long hair", "long_hair", True),
        ("hair", "long hair", False),
        ("hair", "chair", False),
        ("*_hair", "long_hair", True),
        ("*_hair", "hair", False),
        ("*hair*", "hairband", True),
        ("?girl", "1girl", True),
        ("?girl", "12girl", False),
        ("*", "anything", True),
        ("!?", "!?", True),
        ("!?", "!a", False),
        ("??", "ab", False),
        ("[a]*", "[a]b", True),
        ("[a]*", "ab", False),
        ("re:(long|short)_hair", "long hair", False),
        ("re:(long|short) hair", "long_hair", True),
        ("re:(long|short) hair", "very long hair", False),
        ("re: .*HAIR", "Long_hair", True),
        (r"re:\d+girls?", "2girls", True),
        (r"re:.*\(fate\)", "saber_(fate)", True),
        ("re", "re", True),
    ],
)
def test_a_pattern_means_whole_tags(pattern: str, tag: str, banned: bool) -> None:
    assert (tag in Blacklist([pattern])) is banned


@pytest.mark.parametrize(
    "pattern", ["re:", "re:(", "re:[", "re:" + "x" * 201, r"re:(a+)+b", r"re:(a|a)*b", "re:" + "a*" * 7]
)
def test_an_expression_that_cannot_be_used_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"expression|for ever|repeats"):
        Blacklist(["smile", pattern])


def test_no_wildcard_takes_long() -> None:
    matches = wild("*a" * 60 + "b")
    assert matches is not None
    begun = time.thread_time()
    assert not matches("a" * 4000)
    assert time.thread_time() - begun < 1


def test_no_expression_sees_a_tag_that_is_longer_than_tags_are() -> None:
    assert "a" * 256 in Blacklist(["re:a+"])
    assert "a" * 257 not in Blacklist(["re:a+"])
