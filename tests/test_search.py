"""The search for pairs of codes: complete where it says so, the same however it is run, honest about the rest."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageyard.ray_jobs.hamming import pairs_within
from imageyard.ray_jobs.search.pairs import Found, collapsed, find_pairs
from imageyard.ray_jobs.search.scheme import scheme_for
from imageyard.ray_jobs.search.tasks import Task, TaskResult, columns_of, run_task

Pair = tuple[int, int, int]


def flock(seed: int, n: int, words: int, most: int) -> np.ndarray:
    """Codes of which many lie near each other: walks that flip up to `most` bits a step, begun anew at times."""
    rng = np.random.default_rng(seed)
    codes = np.zeros((n, words), np.uint64)
    code = rng.integers(0, 2, 64 * words)
    for row in range(n):
        if rng.random() < 0.3:
            code = rng.integers(0, 2, 64 * words)
        code = code.copy()
        code[rng.choice(64 * words, rng.integers(0, most + 1), replace=False)] ^= 1
        codes[row] = np.packbits(code.astype(np.uint8)).view(np.uint64)
    return codes[rng.permutation(n)]


def told(found: Found) -> set[Pair]:
    return set(zip(found.first.tolist(), found.second.tolist(), found.distance.tolist(), strict=True))


def oracle(codes: np.ndarray, distance: int, *, fresh: int = 0, across: bool = False) -> set[Pair]:
    """Every pair of codes, each the first of its equals among the new ones."""
    kept = [row for row in range(len(codes)) if not (codes[fresh:row] == codes[row]).all(axis=1).any()]
    return {
        (a, b, d)
        for a, b, d in zip(*(part.tolist() for part in pairs_within(codes, distance)), strict=True)
        if a in kept and b in kept and b >= fresh and (a < fresh or not across)
    }


@given(st.integers(0, 2**32), st.sampled_from([1, 4]), st.integers(0, 60))
@settings(deadline=None, max_examples=40)
def test_comparing_all_finds_the_pairs_that_counting_bits_finds(seed: int, words: int, within: int) -> None:
    codes = flock(seed, 24, words, 12)
    numbers = [int.from_bytes(code.tobytes()) for code in codes]
    pairs = itertools.combinations(range(len(codes)), 2)
    apart = [(i, j, (numbers[i] ^ numbers[j]).bit_count()) for i, j in pairs]
    found = zip(*(part.tolist() for part in pairs_within(codes, within)), strict=True)
    assert list(found) == [pair for pair in apart if pair[2] <= within]


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 4]), st.integers(0, 40), st.sampled_from([1 << 34, 6, 60]))
@settings(deadline=None, max_examples=60)
def test_the_exact_search_misses_nothing_even_where_buckets_are_cut_again(
    seed: int, words: int, distance: int, hot: int
) -> None:
    distance = min(distance, 12 * words)
    codes = flock(seed, 150, words, 3 * words)
    found = find_pairs(codes, distance, mode="exact", hot=hot)
    assert told(found) == oracle(codes, distance)
    assert found.certificate.exact_to >= distance
    assert found.certificate.recall == {}
    assert found.certificate.sampled_found == found.certificate.sampled_pairs


def test_buckets_are_cut_again_when_they_are_hot() -> None:
    codes = flock(1, 400, 4, 4)
    found = find_pairs(codes, 31, mode="exact", hot=40)
    assert found.certificate.hot_buckets > 0
    assert told(found) == oracle(codes, 31)


@given(st.integers(0, 2**32), st.integers(0, 140), st.booleans(), st.sampled_from(["exact", "all"]))
@settings(deadline=None, max_examples=40)
def test_new_codes_against_old_ones_find_what_a_full_search_adds(
    seed: int, fresh: int, across: bool, mode: str
) -> None:
    codes = flock(seed, 150, 4, 12)
    _, distinct = collapsed(codes[:fresh])
    codes = np.concatenate([codes[:fresh][distinct], codes[fresh:]])
    fresh = len(distinct)
    found = find_pairs(codes, 31, fresh=fresh, across=across, mode=mode)  # type: ignore[arg-type]
    assert told(found) == oracle(codes, 31, fresh=fresh, across=across)


@given(st.integers(0, 2**32), st.sampled_from(["banded", "lsh"]))
@settings(deadline=None, max_examples=30)
def test_what_a_quick_search_finds_is_true_and_near_pairs_are_never_missed(seed: int, mode: str) -> None:
    codes = flock(seed, 150, 4, 12)
    found = find_pairs(codes, 31, mode=mode)  # type: ignore[arg-type]
    everything = oracle(codes, 31)
    assert told(found) <= everything
    sure = found.certificate.exact_to
    assert {pair for pair in everything if pair[2] <= sure} <= told(found)
    assert set(found.certificate.recall) == set(range(sure + 1, 32))


@pytest.mark.parametrize(("mode", "codes"), [("banded", 1 << 16), ("lsh", 1 << 12), ("lsh", 1 << 20)])
def test_the_recall_that_is_promised_is_the_recall_at_random(mode: str, codes: int) -> None:
    """Pairs that differ in random bits, a thousand at each distance: four standard deviations."""
    rng = np.random.default_rng(7)
    scheme = scheme_for(codes, 256, 31, mode)  # type: ignore[arg-type]
    for distance in (20, 26, 31):
        bits = np.array([rng.permutation(256) < distance for _ in range(1000)])
        met = np.zeros(1000, bool)
        for cut in scheme.cuts:
            mixed = bits[:, list(cut.order)]
            for slot in cut.slots:
                low = 64 * slot.word + slot.shift
                met |= mixed[:, low : low + slot.width].sum(axis=1) <= slot.radius
        expected = scheme.recall(distance)
        assert abs(met.mean() - expected) <= 4 * max(expected * (1 - expected) / 1000, 1e-6) ** 0.5 + 1e-3


@pytest.mark.parametrize("bits", [64, 128, 256])
@pytest.mark.parametrize("codes", [10_000, 50_000_000])
@pytest.mark.parametrize("distance", [0, 3, 8, 10, 31, 48])
def test_an_exact_scheme_is_tight(bits: int, codes: int, distance: int) -> None:
    """It is exact to the distance asked for and not a bit further, which would cost more."""
    scheme = scheme_for(codes, bits, distance, "exact")
    assert scheme.exact_to == distance
    assert all(slot.shift >= 0 and slot.shift + slot.width <= 64 for slot in scheme.cuts[0].slots)


def test_the_size_chooses_the_mode() -> None:
    assert [scheme_for(codes, 256, 31).mode for codes in (10, 10_000, 100_000_000, 1_000_000_000)] == [
        "all",
        "exact",
        "exact",
        "lsh",
    ]


def test_tasks_may_be_cut_in_parts_and_run_in_any_order() -> None:
    codes = flock(3, 4000, 4, 8)

    def run(tasks: Sequence[Task], codes: np.ndarray) -> Iterable[TaskResult]:
        parts = [replace(task, part=part, parts=5) for task in tasks for part in range(5)]
        for task in reversed(parts):
            yield run_task(task, columns_of(codes, task.cut))

    here, elsewhere = find_pairs(codes, 31, mode="exact"), find_pairs(codes, 31, mode="exact", run=run)
    assert told(here) == told(elsewhere)
    assert here.first.tolist() == elsewhere.first.tolist()
    assert here.second.tolist() == elsewhere.second.tolist()
    assert here.certificate == elsewhere.certificate


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=30))
def test_equal_codes_are_known_by_the_first_of_them(rows: list[tuple[int, int]]) -> None:
    codes = np.array(rows, np.uint64).reshape(-1, 2)
    node, distinct = collapsed(codes)
    assert node.tolist() == [rows.index(row) for row in rows]
    assert distinct.tolist() == sorted(set(node.tolist()))
