"""Samples and lines: what a person or another tool wrote survives, byte for byte."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageyard.manifests.errors import ManifestError
from imageyard.manifests.lines import parse, split
from imageyard.manifests.sample import Sample

FIXTURES = Path(__file__).parent.parent.parent / "shared" / "reference" / "manifests"

ODD = b'{ "source-ref" : "s3://b/k.jpg", "x": 1.50e3, "big":123456789012345678901234567890, "u":"\\u00e9 \xc3\xa9" }'


def test_an_untouched_line_is_written_as_it_was_read() -> None:
    assert Sample.parse(ODD).line == ODD


def test_a_new_label_leaves_every_other_byte_alone() -> None:
    changed = Sample.parse(ODD).with_label("tags", [1], {"type": "groundtruth/custom"}).line
    assert changed.startswith(ODD[:-2].rstrip())
    assert json.loads(changed)["tags"] == [1]


def test_replacing_and_removing_keep_the_spelling_of_the_other_values() -> None:
    sample = Sample.parse(ODD).with_label("t", 1, {"a": 1})
    changed = sample.with_label("t", 2, {"a": 2}).without("x").line
    for kept in (b'"source-ref" : "s3://b/k.jpg"', b"123456789012345678901234567890", b'"\\u00e9 \xc3\xa9"'):
        assert kept in changed
    assert b"1.50e3" not in changed
    assert json.loads(changed)["t-metadata"] == {"a": 2}


def test_removing_what_is_not_there_changes_nothing() -> None:
    assert Sample.parse(ODD).without("nothing").line == ODD


def test_a_change_returns_a_new_sample() -> None:
    sample = Sample.of("s3://b/k.jpg")
    sample.with_member("a", 1)
    assert sample.value("a") is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
members = st.dictionaries(st.text(min_size=1).filter(lambda key: key != "source-ref"), json_values, max_size=5)


@given(members, st.text(min_size=1).filter(lambda key: key != "source-ref"), json_values, st.sampled_from([None, 1]))
def test_changes_mean_what_they_mean_for_a_dict(
    others: dict[str, object], key: str, value: object, indent: int | None
) -> None:
    """Whatever the members, their order and the blanks between them."""
    separators = (", ", ": ") if indent else (",", ":")
    try:
        line = json.dumps(
            {"source-ref": "s3://b/k", **others}, separators=separators, ensure_ascii=bool(indent)
        ).encode()
    except UnicodeEncodeError:  # a lone surrogate written raw is no UTF-8 and no line
        return
    try:
        sample = Sample.parse(line)
    except ManifestError:  # an escaped lone surrogate is no Unicode text
        assert b"\\ud" in line
        return
    try:
        changed = sample.with_member(key, value)
    except TypeError:  # a surrogate in the new member
        return
    assert dict(changed.data) == {**sample.data, key: value} or value != value
    assert dict(changed.without(key).data) == {
        k: v for k, v in sample.data.items() if k not in (key, f"{key}-metadata")
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{'a': 1}", "not a JSON object"),
        (b'{"source-ref": NaN}', "not a JSON object"),
        (b"[1]", "a JSON list, not an object"),
        (b'{"a": 1}', "no source-ref"),
        (b'{"source-ref": 5}', "source-ref is 5"),
        (b'{"source-ref": "\xff"}', "not a JSON object"),
    ],
)
def test_a_bad_line_is_one_error_that_names_object_and_line(line: bytes, words: str) -> None:
    manifest = b'{"source-ref": "s3://b/1.jpg"}\n\n' + line + b"\n"
    with pytest.raises(ManifestError, match=r"^s3://b/train\.manifest, line 3: ") as caught:
        list(parse([manifest], name="s3://b/train.manifest"))
    assert words in str(caught.value)


def test_a_line_over_the_limit_of_ground_truth_is_refused() -> None:
    line = json.dumps({"source-ref": "s3://b/k", "x": "é" * 100_000}, ensure_ascii=False).encode()
    with pytest.raises(ManifestError, match="line 1: longer than 100,000 characters"):
        list(parse([line], name="m"))


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_are_passed_over() -> None:
    text = b'\xef\xbb\xbf{"source-ref":"s3://b/1"}\r\n\r\n{"source-ref":"s3://b/2"}'
    assert [sample.source_ref for sample in parse([text], name="m")] == ["s3://b/1", "s3://b/2"]


@given(
    st.lists(st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"")), max_size=10),
    st.data(),
)
def test_lines_do_not_depend_on_how_the_stream_was_cut(lines: list[bytes], data: st.DataObject) -> None:
    text = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    blocks = [text[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert list(split(blocks)) == lines


@pytest.mark.skipif(not FIXTURES.exists(), reason="the reference manifests are not beside this checkout")
def test_manifests_from_the_wild_survive_a_change_and_its_undoing() -> None:
    count = 0
    for path in [*FIXTURES.glob("real/*.manifest"), *FIXTURES.glob("synthetic/*.manifest")]:
        for line in split([path.read_bytes()]):
            try:
                sample = Sample.parse(line.removeprefix(b"\xef\xbb\xbf"))
            except ManifestError:
                continue
            changed = sample.with_label("imageyard-test", {"a": [1]}, {"type": "groundtruth/custom"})
            assert json.loads(changed.without("imageyard-test").line) == json.loads(sample.line)
            for value in sample.data.values():
                spelled = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
                assert spelled not in sample.line or spelled in changed.line
            count += 1
    assert count > 150
