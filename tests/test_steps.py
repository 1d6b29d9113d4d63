"""Decisions over facts: the rules that hold whatever the facts say."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageyard.manifests import Store
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.extractors.probe import Probe
from imageyard.ray_jobs.extractors.thumbnail import Thumbnail
from imageyard.ray_jobs.tag_text import KAOMOJI, Blacklist, normal, spaced


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@pytest.mark.parametrize(
    ("tag", "text"),
    [("long_hair", "long hair"), ("saber_(fate)", "saber (fate)"), *((face, face) for face in sorted(KAOMOJI))],
)
def test_underscores_become_spaces_except_in_faces(tag: str, text: str) -> None:
    assert spaced(tag) == text


@pytest.mark.parametrize(
    ("patterns", "tag", "banned"),
    [
        (["long hair"], "long_hair", True),
        (["LONG_HAIR"], "long_hair", True),
        (["hair"], "long_hair", False),
        (["*_hair"], "long_hair", True),
        (["* hair"], "hairband", False),
        ([r"saber \(fate\)"], "saber_(fate)", True),
        (["?"], "x", False),
        (["?"], "?", True),
        (["[abc]"], "a", False),
        ([":)"], ":)", True),
    ],
)
def test_a_blacklist_knows_whole_tags_in_any_spelling(patterns: list[str], tag: str, banned: bool) -> None:
    assert (tag in Blacklist(patterns)) is banned


@given(st.text(max_size=20))
def test_the_normal_form_of_a_normal_form_is_itself_where_nothing_is_escaped(text: str) -> None:
    once = normal(text.replace("\\", ""))
    assert normal(once) == once


def test_a_chunk_is_named_after_its_keys_and_written_once(tmp_path: Path) -> None:
    store = Store.open(f"file://{tmp_path}")
    probe = Probe()
    rows = {key(1): {"width": 5}, key(2): {"error": "truncated: half of it"}}
    assert facts.write(store, "probe-x", probe.columns(), rows) is True
    assert facts.write(store, "probe-x", probe.columns(), dict(reversed(rows.items()))) is False
    assert facts.present(store, "probe-x") == set(rows)
    table = facts.read(store, "probe-x", [key(2), key(3), key(1)], ["width"])
    assert table.column("width").to_pylist() == [None, None, 5]
    assert table.column("error").to_pylist() == ["truncated: half of it", None, None]


def test_of_large_chunks_the_rows_that_are_asked_for_are_read(tmp_path: Path) -> None:
    store = Store.open(f"file://{tmp_path}")
    columns = Thumbnail.columns()
    noise = np.random.default_rng(0)
    for first in (0, 400):
        rows = {key(n): {"jpeg": noise.bytes(1500)} for n in range(first, first + 400)}
        facts.write(store, "thumbnail-x", columns, rows)
    assert min(entry.size for entry in store.list("facts")) > facts.WHOLE
    table = facts.read(store, "thumbnail-x", [key(3), key(900), key(403)], [facts.KEY, "jpeg"])
    assert table.column(facts.KEY).to_pylist() == [key(3), None, key(403)]
    assert [value and len(value) for value in table.column("jpeg").to_pylist()] == [1500, None, 1500]
    assert facts.read(store, "thumbnail-x", [key(900)], ["jpeg"]).column("jpeg").to_pylist() == [None]
    assert len(facts.present(store, "thumbnail-x")) == 800
