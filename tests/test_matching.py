"""Matchers and their index: new images against all, the same as all at once, and the same after any interruption."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageOps

from imageyard.manifests.errors import StoreError
from imageyard.manifests.store import Store
from imageyard.ray_jobs.canonical import decode
from imageyard.ray_jobs.extractors.embedding import vectors
from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.matching import index as index_module
from imageyard.ray_jobs.matching.base import Look, Matcher
from imageyard.ray_jobs.matching.copies import Copies, EqualPixels, Mirrored
from imageyard.ray_jobs.matching.index import Index, opened, updated
from imageyard.ray_jobs.matching.semantic import Likenesses, reach, signs
from imageyard.ray_jobs.matching.variants import Variants
from pictures import encoded, scene

Rows = Mapping[str, Mapping[str, Any]]


def key(number: int) -> str:
    return f"{number:064x}"


def look(rows: Rows) -> Look:
    """A look at facts that are `rows` by key."""

    def facts(extractor: str, keys: Sequence[str], columns: Sequence[str]) -> pa.Table:
        kinds = {field.name: field.type for field in Hashes.columns()}
        return pa.table(
            {
                name: pa.array(
                    [(k if name == "sha256" else rows[k].get(name)) if k in rows else None for k in keys],
                    kinds.get(name, pa.string() if name == "sha256" else pa.binary()),
                )
                for name in [*columns, "error"]
            }
        )

    return Look(facts, None)


def facts_of(seed: int, n: int) -> dict[str, dict[str, Any]]:
    """Images with PDQ codes of which many are alike, equal, turned, or of too low a quality.

    A turn of the square of bits stands for the turn of a picture: it is the same group.
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, dict[str, Any]] = {}
    squares: list[np.ndarray] = []
    for _ in range(n):
        square = rng.integers(0, 2, (16, 16))
        if squares and rng.random() < 0.6:
            square = squares[rng.integers(len(squares))].copy()
            if rng.random() < 0.5:
                square = turns(square)[rng.integers(8)].copy()
            square.flat[rng.choice(256, rng.integers(0, 20), replace=False)] ^= 1
        squares.append(square)
        codes = [np.packbits(face.astype(np.uint8)).tobytes() for face in turns(square)]
        rows[key(int(rng.integers(1 << 62)))] = {
            "pdq": codes[0],
            "turned": b"".join(codes[1:]),
            "pixels": codes[0],
            "pdq_quality": int(rng.choice([10, 60, 100], p=[0.1, 0.45, 0.45])),
        }
    return rows


def turns(square: np.ndarray) -> list[np.ndarray]:
    return [np.rot90(face, times) for face in (square, square.T) for times in range(4)]


def fresh_store() -> Store:
    """A memory store that nobody else has."""
    return Store.open(f"memory://{uuid.uuid4().hex}")


def told(found: Index, keys: Sequence[str]) -> set[tuple[int, int, float]]:
    """All pairs of rows of `keys` that the index has, those of equal codes too."""
    layer = found.layer(keys)
    by_node: dict[int, list[int]] = {}
    for row, node in enumerate(layer.node.tolist()):
        by_node.setdefault(node, []).append(row)
    by_node.pop(-1, None)
    pairs = {(a, b, 0.0) for rows in by_node.values() for a in rows for b in rows if a < b}
    for one, other, distance in zip(layer.first.tolist(), layer.second.tolist(), layer.distance.tolist(), strict=True):
        for a in by_node.get(one, []):
            pairs |= {(min(a, b), max(a, b), distance) for b in by_node.get(other, [])}
    return pairs


def oracle(rows: Rows, keys: Sequence[str], matcher: Matcher) -> set[tuple[int, int, float]]:
    """The pairs by definition."""
    found: dict[tuple[int, int], float] = {}
    faces = {k: np.frombuffer(rows[k]["pdq"] + rows[k]["turned"], np.uint8).reshape(8, 32) for k in keys}
    for b, other in enumerate(keys):
        for a, one in enumerate(keys[:b]):
            if isinstance(matcher, EqualPixels):
                if rows[one]["pixels"] == rows[other]["pixels"]:
                    found[a, b] = 0.0
                continue
            if min(rows[one]["pdq_quality"], rows[other]["pdq_quality"]) < 50:
                continue
            apart = np.bitwise_count(faces[one][:, None] ^ faces[other][None]).sum(axis=2)
            if isinstance(matcher, Copies):
                distance = int(apart[0, 0])
            else:
                same = bool((faces[one] == faces[other]).all())
                distance = 0 if same else int(apart[1:, 0].min())
            if distance <= 31:
                found[a, b] = float(distance)
    return {(a, b, distance) for (a, b), distance in found.items()}


MATCHERS = [EqualPixels(), Copies(within=31, min_quality=50), Mirrored(within=31, min_quality=50)]


@given(st.integers(0, 2**32), st.sampled_from(MATCHERS), st.lists(st.integers(1, 12), min_size=1, max_size=11))
@settings(deadline=None, max_examples=60)
def test_an_index_that_grew_has_the_pairs_of_one_made_at_once(seed: int, matcher: Matcher, drops: list[int]) -> None:
    rows = facts_of(seed, sum(drops))
    keys = list(rows)
    grown, whole = fresh_store(), fresh_store()
    runs: tuple[str, ...] = ()
    for end in np.cumsum(drops).tolist():
        index = updated(grown, matcher, "x", runs, keys[:end], look(rows))
        runs = index.runs
        assert len(runs) < index_module.MOST_RUNS
    at_once = updated(whole, matcher, "x", (), keys, look(rows))
    assert told(index, keys) == told(at_once, keys) == oracle(rows, keys, matcher)
    again = opened(grown, matcher.tier, "x", runs)
    assert told(again, keys) == told(index, keys)
    assert updated(grown, matcher, "x", runs, keys, look(rows)).runs == runs


def test_a_run_that_is_there_is_not_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = facts_of(5, 30)
    store = fresh_store()
    first = updated(store, MATCHERS[1], "x", (), list(rows), look(rows))

    def refused(*_: object) -> None:
        raise AssertionError("compared again")

    broken = type("Broken", (Copies,), {"relate": refused})(within=31, min_quality=50)
    second = updated(store, broken, "x", (), list(rows), look(rows))
    assert second.runs == first.runs
    assert told(second, list(rows)) == told(first, list(rows))


def test_an_image_without_facts_waits_until_it_has_them() -> None:
    rows = facts_of(6, 20)
    keys = list(rows)
    store = fresh_store()
    early = {k: rows[k] for k in keys[:10]}
    index = updated(store, MATCHERS[1], "x", (), keys, look(early))
    assert len(index.keys) == 10
    index = updated(store, MATCHERS[1], "x", index.runs, keys, look(rows))
    assert told(index, keys) == oracle(rows, keys, MATCHERS[1])


def test_a_run_that_is_gone_is_told_with_its_place() -> None:
    rows = facts_of(7, 10)
    store = fresh_store()
    index = updated(store, MATCHERS[1], "x", (), list(rows), look(rows))
    for entry in list(store.list("index")):
        store.remove(entry)
    with pytest.raises(StoreError, match=index.runs[0]):
        opened(store, "copy", "x", index.runs)


def float_vectors(seed: int, n: int) -> list[bytes]:
    """Vectors of 64 dimensions in little bundles."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n // 4 + 1, 64))
    found = np.repeat(centres, 4, axis=0)[:n] + rng.normal(size=(n, 64)) * rng.uniform(0.05, 0.8, (n, 1))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return [row.astype("<f2").tobytes() for row in found]


@pytest.mark.parametrize("n", [200, 5000])
def test_likenesses_are_those_whose_cosine_is_high_enough(n: int) -> None:
    """Few vectors are all compared; of many, signs of projections propose, and one in a hundred may be missed."""
    stored = float_vectors(3, n)
    rows = {key(number): {"vector": vector} for number, vector in enumerate(stored)}
    index = updated(fresh_store(), Likenesses(similarity=0.9), "x", (), list(rows), look(rows))
    cosine = vectors(stored) @ vectors(stored).T
    expected = {(a, b) for a, b in zip(*np.nonzero(cosine >= 0.9001), strict=True) if a < b}
    possible = {(a, b) for a, b in zip(*np.nonzero(cosine >= 0.8999), strict=True) if a < b}
    found = {(a, b) for a, b, _ in told(index, list(rows))}
    assert found <= possible
    assert len(found & expected) >= (len(expected) if n <= 4000 else 0.99 * len(expected))
    for a, b, distance in list(told(index, list(rows)))[:50]:
        assert abs(1 - distance - cosine[a, b]) < 2e-3


def test_a_plane_parts_vectors_as_often_as_their_angle_says() -> None:
    stored = vectors(float_vectors(4, 400))
    whole = np.rint(stored * 32767).astype(np.float64)
    codes = signs(whole)
    apart = np.bitwise_count(codes[:, None] ^ codes[None]).sum(axis=2)
    angle = np.arccos(np.clip(stored @ stored.T, -1, 1)) / np.pi
    assert abs((apart / 256 - angle).mean()) < 0.01
    near = (stored @ stored.T) >= 0.9
    assert (apart[near] <= reach(0.9)).mean() > 0.98


def test_variants_of_a_dataset_that_grew_are_those_of_one_made_at_once() -> None:
    """Crops, frames and copies of six scenes, in an order that puts parts before wholes and wholes before parts."""
    rows: dict[str, dict[str, Any]] = {}
    for seed in range(6):
        image = scene(seed, (256, 256))
        edge = 256 // 20
        changed = [image, image.crop((edge, edge, 256, 256 - edge)), ImageOps.expand(image, 20, "black")]
        for picture in changed[:: 1 if seed % 2 else -1]:
            rows[key(len(rows) * 7919 % 100 + 1000 * len(rows))] = Hashes().measure(decode(encoded(picture)))
    matcher = Variants(whole=10, part=8, agree=0.8, min_quality=50)
    keys, grown, runs = list(rows), fresh_store(), ()
    for end in (4, 5, 11, 18):
        index = updated(grown, matcher, "x", runs, keys[:end], look(rows))
        runs = index.runs
    at_once = updated(fresh_store(), matcher, "x", (), keys, look(rows))
    assert told(index, keys) == told(at_once, keys)
    assert len(told(index, keys)) >= 12
    same = {(a, b) for a, b, _ in told(index, keys)}
    assert all(a // 3 == b // 3 for a, b in same)
