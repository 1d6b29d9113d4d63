"""A manifest as lines at places: found by key, amended by bytes, compared a part at a time; the same as read whole."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageyard.manifests import Dataset, Sample, Version
from imageyard.manifests.amending import amended
from imageyard.manifests.chunks import CHUNK, Chunks
from imageyard.manifests.diff import diff, diff_part
from imageyard.manifests.errors import ManifestError
from imageyard.manifests.finding import Lines, find
from imageyard.manifests.version import ROLES, ManifestEntry
from versions import Held, committed, recorded


def key_of(number: int) -> str:
    return f"{number * 7919 % 65536:064x}"


def held(numbers: range, seed: int = 0, pad: int = 40) -> Held:
    """Samples of all roles, with lines of many lengths."""
    drawn = random.Random(seed)
    return {
        key_of(number): (
            drawn.choice([*ROLES, *["train"] * 15]),
            Sample.of(f"s3://b/{number}.jpg", **{"content-sha256": key_of(number), "pad": "x" * drawn.randrange(pad)}),
        )
        for number in numbers
    }


def read(dataset: Dataset, version: Version) -> Held:
    return {sample.key: (role, sample) for role in ROLES for sample in dataset.read(version, role)}


def whole(dataset: Dataset, entry: ManifestEntry) -> bytes:
    return dataset.store.get(entry.key)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(f"file://{tmp_path}")


def small() -> Chunks:
    """Chunks so small that lines begin in one and end in another, of which few are held."""
    return Chunks(2000, size=300)


def test_every_sample_is_found_by_its_key_and_nothing_else_is(dataset: Dataset) -> None:
    samples = held(range(400))
    version = committed(dataset, samples)
    chunks = small()
    for key, (role, sample) in samples.items():
        found = find(dataset.store, version, key, chunks)
        assert found is not None
        assert (found.role, found.line.sample) == (role, sample)
        other = key[:-1] + ("0" if key[-1] != "0" else "1")
        assert (find(dataset.store, version, other, chunks) is None) == (other not in samples)


def test_a_line_begins_only_where_one_does(dataset: Dataset) -> None:
    version = committed(dataset, held(range(50)))
    entry = version.manifests["train"]
    data = whole(dataset, entry)
    lines = Lines(dataset.store, entry, small())
    begins = {0, *(at + 1 for at, byte in enumerate(data) if byte == ord("\n"))}
    assert {offset for offset in range(-5, len(data) + 5) if lines.begins(offset)} == begins


@pytest.mark.parametrize("seed", range(12))
def test_amended_manifests_are_those_that_would_be_written_anew(dataset: Dataset, seed: int) -> None:
    drawn = random.Random(seed)
    samples = held(range(drawn.choice([1, 30, 300])), seed, pad=drawn.choice([40, 60_000]))
    parent = committed(dataset, samples)
    chunks = drawn.choice([small(), Chunks()])
    changes = {}
    for key in drawn.sample(sorted(samples), min(len(samples), drawn.choice([1, 7, 300]))):
        found = find(dataset.store, parent, key, chunks)
        assert found is not None
        after = (drawn.choice(ROLES), found.line.sample.with_member("note", "y" * drawn.randrange(3000)))
        changes[key] = (found, *after)
        samples[key] = after
    draft = amended(dataset, parent, changes, chunks)
    version = dataset.commit(lambda newest: recorded(newest, draft))
    assert version is not None
    expected = dataset.draft(samples[key] for key in sorted(samples))
    assert version.manifests.keys() == expected.manifests.keys()
    for role, entry in version.manifests.items():
        assert whole(dataset, entry) == whole(dataset, expected.manifests[role])
        assert (entry.lines, entry.bytes, entry.sha256) == (
            expected.manifests[role].lines,
            expected.manifests[role].bytes,
            expected.manifests[role].sha256,
        )
        joined = [sample for index in range(len(entry.ranges)) for sample in dataset.read_range(entry, index)]
        assert joined == list(dataset.read(version, role))


def test_a_manifest_that_nothing_changes_is_named_as_it_is(dataset: Dataset) -> None:
    samples = held(range(300))
    parent = committed(dataset, samples)
    key = next(key for key, (role, _) in samples.items() if role == "train")
    found = find(dataset.store, parent, key, Chunks())
    assert found is not None
    draft = amended(dataset, parent, {key: (found, "test", found.line.sample)}, Chunks())
    assert {role: entry == parent.manifests[role] for role, entry in draft.manifests.items()} == {
        "train": False,
        "validation": True,
        "test": False,
        "unsplit": True,
        "rejected": True,
    }


def test_a_manifest_that_was_tampered_with_is_not_copied(dataset: Dataset, tmp_path: Path) -> None:
    samples = {key: ("train", sample) for key, (_, sample) in held(range(20)).items()}
    parent = committed(dataset, samples)  # type: ignore[arg-type]  # the role is a literal
    entry = parent.manifests["train"]
    found = find(dataset.store, parent, min(samples), Chunks())
    assert found is not None
    path = tmp_path / entry.key
    path.write_bytes(path.read_bytes().replace(b"\n", b" ", 5))
    with pytest.raises(ManifestError, match="changed after its commit"):
        amended(dataset, parent, {min(samples): (found, "test", found.line.sample)}, Chunks())


@pytest.mark.parametrize("seed", range(8))
def test_parts_of_a_difference_joined_are_the_difference(dataset: Dataset, seed: int) -> None:
    drawn = random.Random(seed)
    before = held(range(200), seed)
    after = dict(before)
    for key in drawn.sample(sorted(before), 60):
        change = drawn.choice(["gone", "moved", "changed", "both"])
        role, sample = after.pop(key)
        if change in ("moved", "both"):
            role = drawn.choice(ROLES)
        if change in ("changed", "both"):
            sample = sample.with_member("note", drawn.random())
        if change != "gone":
            after[key] = (role, sample)
    after |= held(range(300, 300 + drawn.randrange(40)), seed)
    older, newer = committed(dataset, before), committed(dataset, after)
    expected = {key: (before.get(key), after.get(key)) for key in before | after if before.get(key) != after.get(key)}
    found = list(diff(dataset, older, newer))
    assert [change.key for change in found] == sorted(expected)
    for change in found:
        old, new = expected[change.key]
        assert (change.before, change.after) == (old and old[0], new and new[0])
    chunks = small()
    for budget in (1, 500, 5_000, 1_000_000):
        parts, start = [], ""
        while True:
            part = diff_part(
                dataset, older, newer, start=start, most=drawn.randrange(1, 30), budget=budget, chunks=chunks
            )
            parts += part.changes
            if part.following is None:
                break
            assert part.following > start
            start = part.following
        assert [(one.key, one.before, one.after, one.members) for one in parts] == [
            (one.key, one.before, one.after, one.members) for one in found
        ]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=200), st.integers(1, 2_000_000))
@settings(max_examples=30, deadline=None)
def test_chunks_are_the_bytes_that_lie_there_and_no_more_than_fits_is_held(
    asked: list[tuple[int, int]], most: int
) -> None:
    dataset = Dataset.open("memory://chunks-of-bytes")
    data = bytes(range(256)) * 41 * 1024
    for number in range(4):
        dataset.store.ensure(f"o{number}", data)
    chunks = Chunks(most)
    for which, number in asked:
        start = number * CHUNK
        if start < len(data):
            assert chunks.read(dataset.store, f"o{which}", len(data), number) == data[start : start + CHUNK]
        assert chunks.held <= max(most, CHUNK)
