"""Decisions over facts: the rules that hold whatever the facts say."""

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageyard.manifests import Sample, Store
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.extractors.probe import Probe
from imageyard.ray_jobs.hamming import pairs_within
from imageyard.ray_jobs.state import Stamp, State, World
from imageyard.ray_jobs.steps.split import Split
from imageyard.ray_jobs.tag_text import KAOMOJI, Blacklist, normal, spaced

STAMP = Stamp("imageyard/test", "2026-01-15T09:30:00.000000")


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def state_of(samples: dict[str, Sample]) -> State:
    keys = sorted(samples)
    return State(keys, [samples[k] for k in keys], [None] * len(keys), range(len(keys)))


def sample(number: int, **members: object) -> Sample:
    return Sample.of(f"s3://b/{number}.jpg", **{"content-sha256": key(number), **members})


codes_st = st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 255), max_size=24)), min_size=1, max_size=24)


def codes_of(drawn: list[tuple[int, set[int]]]) -> np.ndarray:
    """256-bit codes, each some bits away from one of four centres: chains and clumps."""
    centres = np.random.default_rng(5).integers(0, 2, (4, 256), dtype=np.uint8)
    rows = []
    for centre, flips in drawn:
        bits = centres[centre].copy()
        bits[list(flips)] ^= 1
        rows.append(np.packbits(bits))
    return np.array(rows, dtype=np.uint8)


def distance(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.unpackbits(one ^ other).sum())


@given(codes_st, st.integers(0, 60))
def test_pairs_within_a_distance_are_those_that_comparing_all_finds(
    drawn: list[tuple[int, set[int]]], within: int
) -> None:
    codes = codes_of(drawn)
    words = np.frombuffer(codes.tobytes(), dtype=">u8").astype(np.uint64).reshape(-1, 4)
    expected = [
        (i, j, distance(codes[i], codes[j]))
        for i, j in itertools.combinations(range(len(codes)), 2)
        if distance(codes[i], codes[j]) <= within
    ]
    first, second, apart = pairs_within(words, within)
    assert list(zip(first.tolist(), second.tolist(), apart.tolist(), strict=True)) == expected


sizes_st = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["", "a", "b"])), min_size=1, max_size=30)


def grouped(sizes: list[tuple[int, str]], *, known: State | None = None) -> State:
    """A state of groups with their sizes and classes; samples that `known` has are taken from it."""
    old = dict(zip(known.keys, known.samples, strict=True)) if known else {}
    samples, group_of = {}, {}
    number = 0
    for group, (size, label) in enumerate(sizes):
        for _ in range(size):
            one = sample(number)
            if label:
                said = {"class-name": label, "human-annotated": "yes", "type": "groundtruth/image-classification"}
                one = one.with_label("label", 0, said)
            samples[one.key] = old.get(one.key, one)
            group_of[one.key] = group
            number += 1
    state = state_of(samples)
    first: dict[int, int] = {}
    groups = [first.setdefault(group_of[k], row) for row, k in enumerate(state.keys)]
    return State(state.keys, state.samples, state.rejections, groups)


def placed(state: State) -> dict[str, str]:
    return {k: str(s.value("split")) for k, s in zip(state.keys, state.samples, strict=True)}


NOWHERE = World(Store.open("memory://nowhere"), STAMP, {})


@given(sizes_st, sizes_st, st.sampled_from([0.0, 0.1, 0.25, 0.5]), st.sampled_from([0.0, 0.2]))
@settings(deadline=None, max_examples=60)
def test_a_split_holds_groups_together_and_never_moves_an_image(
    sizes: list[tuple[int, str]], more: list[tuple[int, str]], test: float, validation: float
) -> None:
    split = Split(test=test, validation=validation)
    before = split.decide(grouped(sizes), NOWHERE)
    after = split.decide(grouped([*sizes, *more], known=before), NOWHERE)
    assert {k: v for k, v in placed(after).items() if k in placed(before)} == placed(before)
    for state in (before, after):
        for group in set(state.groups):
            assert len({placed(state)[state.keys[row]] for row, g in enumerate(state.groups) if g == group}) == 1
    assert split.decide(after, NOWHERE).samples == after.samples


def test_a_split_is_stratified_and_has_the_share_that_was_asked_for() -> None:
    state = grouped([(1, "a")] * 200 + [(1, "b")] * 50)
    state = Split(test=0.1, validation=0.2).decide(state, NOWHERE)
    counts: dict[tuple[str, str], int] = {}
    for one in state.samples:
        place = (str((one.metadata("label") or {})["class-name"]), str(one.value("split")))
        counts[place] = counts.get(place, 0) + 1
    assert counts == {
        ("a", "test"): 20,
        ("a", "validation"): 40,
        ("a", "train"): 140,
        ("b", "test"): 5,
        ("b", "validation"): 10,
        ("b", "train"): 35,
    }


def test_another_salt_draws_other_images() -> None:
    state = grouped([(1, "")] * 40)
    assert placed(Split(test=0.5).decide(state, NOWHERE)) != placed(Split(test=0.5, salt="x").decide(state, NOWHERE))


def test_an_image_that_would_bridge_train_and_test_stays_out_of_both() -> None:
    state = grouped([(1, ""), (1, "")])
    labelled = [
        one.with_label("split", place, {"type": "groundtruth/custom"})
        for one, place in zip(state.samples, ("train", "test"), strict=True)
    ]
    keys = [*state.keys, "f" * 64]
    bridged = State(keys, [*labelled, sample(99)], [None] * 3, [0, 0, 0])
    after = placed(Split(test=0.5).decide(bridged, NOWHERE))
    assert after == {state.keys[0]: "train", state.keys[1]: "test", "f" * 64: "None"}


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
