"""What is alike: components, the greedy leader and pairs across sides, against what a naive reading of them says."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageyard.ray_jobs import leaders
from imageyard.ray_jobs.edges import Edges, Layer

TIER = ("copy", "variant", "mirrored")

Pairs = dict[tuple[int, int], list[tuple[str, float]]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Edges, Pairs]:
    """Edges over up to 12 rows, some of which share nodes, and the pairs of rows they stand for."""
    rows = draw(st.integers(1, 12))
    layers = []
    pairs: Pairs = {}
    for tier in TIER:
        node = draw(st.lists(st.integers(-1, rows - 1), min_size=rows, max_size=rows))
        ends = st.tuples(st.integers(0, rows - 1), st.integers(0, rows - 1)).filter(lambda pair: pair[0] < pair[1])
        drawn = draw(st.dictionaries(ends, st.integers(1, 31), max_size=14)) if rows > 1 else {}
        first, second = (np.array([pair[at] for pair in drawn], np.int64) for at in (0, 1))
        distance = np.array(list(drawn.values()), np.float64)
        layers.append(Layer(tier, np.array(node, np.int64), first, second, distance))
        for one, other in itertools.combinations(range(rows), 2):
            a, b = node[one], node[other]
            apart = 0 if a == b else drawn.get((min(a, b), max(a, b)))
            if a >= 0 and b >= 0 and apart is not None:
                pairs.setdefault((one, other), []).append((tier, float(apart)))
    return Edges(rows, tuple(layers)), pairs


def component_of(row: int, pairs: Pairs) -> set[int]:
    reached = {row}
    while more := {end for pair in pairs for end in pair if set(pair) & reached} - reached:
        reached |= more
    return reached


@given(graphs())
@settings(deadline=None, max_examples=150)
def test_a_component_is_all_that_a_chain_of_pairs_reaches(graph: tuple[Edges, Pairs]) -> None:
    edges, pairs = graph
    everywhere = np.ones(edges.rows, bool)
    assert edges.only(everywhere).components().tolist() == [min(component_of(row, pairs)) for row in range(edges.rows)]


@given(graphs(), st.data())
@settings(deadline=None, max_examples=150)
def test_rows_that_are_out_connect_nothing(graph: tuple[Edges, Pairs], data: st.DataObject) -> None:
    edges, pairs = graph
    kept = data.draw(st.lists(st.booleans(), min_size=edges.rows, max_size=edges.rows))
    inside = {pair: said for pair, said in pairs.items() if kept[pair[0]] and kept[pair[1]]}
    assert edges.only(np.array(kept)).components().tolist() == [
        min(component_of(row, inside)) for row in range(edges.rows)
    ]


@given(graphs(), st.data(), st.booleans())
@settings(deadline=None, max_examples=150)
def test_the_leader_is_the_greedy_one(graph: tuple[Edges, Pairs], data: st.DataObject, apart: bool) -> None:
    """Walking from the best to the worst, each is kept unless a kept one is alike; the best such one stands for it."""
    edges, pairs = graph
    order = data.draw(st.permutations(range(edges.rows)))
    order = order[: data.draw(st.integers(0, edges.rows))]
    kinds = data.draw(st.lists(st.integers(-1, 1), min_size=edges.rows, max_size=edges.rows))
    banned = data.draw(st.sets(st.sampled_from(sorted(pairs)))) if pairs and apart else set()
    kept: list[int] = []
    kind = list(kinds)  # a kept row without one is of the kind of the first that is dropped for it
    expected = {}
    for row in order:
        for other in kept:
            pair = (min(row, other), max(row, other))
            differ = -1 not in (kind[row], kind[other]) and kind[row] != kind[other]
            if pair in pairs and pair not in banned and not differ:
                expected[row] = (other, *pairs[pair][0])
                kind[other] = kind[row] if kind[other] < 0 else kind[other]
                break
        else:
            kept.append(row)
    found = edges.leaders(np.array(order, np.int64), np.array(kinds, np.int64), banned)
    assert {row: (leader.witness, leader.tier, leader.distance) for row, leader in found.items()} == expected


@given(graphs(), st.data())
@settings(deadline=None, max_examples=150)
def test_what_crosses_is_the_nearest_pair_of_each_two_sides(graph: tuple[Edges, Pairs], data: st.DataObject) -> None:
    edges, pairs = graph
    side = data.draw(st.lists(st.integers(-1, 2), min_size=edges.rows, max_size=edges.rows))
    nearest: dict[tuple[str, int, int], float] = {}
    for pair, said in pairs.items():
        one, other = sorted(side[row] for row in pair)
        if 0 <= one < other:
            for tier, distance in said:
                nearest[tier, one, other] = min(distance, nearest.get((tier, one, other), 99))
    found = edges.crossings(np.array(side))
    told = {(pair.tier, *sorted((side[pair.first], side[pair.second]))): pair.distance for pair in found}
    assert told == nearest
    assert len(found) == len(nearest)
    for pair in found:
        said = pairs[min(pair.first, pair.second), max(pair.first, pair.second)]
        assert (pair.tier, pair.distance) in said


@pytest.mark.parametrize("seed", range(3))
def test_the_compiled_walk_is_the_plain_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    n = 3000
    ends = rng.integers(0, n, (4000, 2))
    pairs = [
        (int(a), int(b), "copy", float(d)) for (a, b), d in zip(ends, rng.integers(0, 32, 4000), strict=True) if a < b
    ]
    edges = Edges.of_pairs(n, pairs)
    order, kinds = rng.permutation(n), rng.integers(-1, 2, n)
    node = np.arange(n, dtype=np.int64)[:, None]
    layer = edges.layers[0]
    first = np.concatenate([layer.first, layer.second])
    sort = np.argsort(first, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(first, minlength=n))]).astype(np.int64)
    neighbour = np.concatenate([layer.second, layer.first])[sort]
    distance = np.concatenate([layer.distance, layer.distance])[sort]
    arrays = (order.astype(np.int64), kinds.astype(np.int64), np.zeros(0, np.int64), node, start, neighbour, distance)
    plain, fast = leaders.walk(*arrays, fast=False), leaders.walk(*arrays, fast=True)
    for one, other in zip(plain, fast, strict=True):
        assert one.tolist() == other.tolist()
    assert (plain[0] >= 0).sum() == len(edges.leaders(order, kinds)) > 100
