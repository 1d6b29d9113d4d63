"""Numbers of a version: what stands in it, counted once and kept beside it, in bounded memory."""

import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from imageyard.manifests import Dataset, Sample
from imageyard.manifests.errors import ImageyardError
from imageyard.manifests.version import ROLES
from imageyard.ray_jobs.statistics import MOST_CLASSES, MOST_TAGS, TOP_TAGS, counted, statistics, statistics_key
from imageyard.service.counting import counted_apart
from imageyard.service.reading import MOST_COUNTING, BusyError, Reading
from jobs import drop, go, newest, recipe, store_keys
from pictures import corrupt, photo
from versions import committed


@pytest.fixture
def dataset(tmp_path: Path, models: Path) -> Dataset:
    made = Dataset.open(f"file://{tmp_path}/cats")
    pictures = {f"{('normal', 'anomaly')[n % 3 == 0]}/{n}.jpg": photo(n, (90 + 20 * n, 200)) for n in range(9)}
    drop(made, {**pictures, "normal/5.txt": b"a cat on a sofa", "bad.jpg": corrupt()})
    steps: list[dict[str, Any] | str] = [{"ingest": {}}, {"validate": {"min_side": 120}}]
    steps += [{"tag": {"model": str(models / "sentinel")}}, {"split": {"test": 0.3}}]
    go(made, recipe(made, *steps), models)
    return made


def test_the_numbers_are_those_of_the_lines(dataset: Dataset) -> None:
    version = newest(dataset)
    found = statistics(dataset, version)
    samples = [(role, sample) for role in ROLES for sample in dataset.read(version, role)]
    assert found.images == len(samples) == 10
    assert found.roles == Counter(role for role, _ in samples)
    assert found.manifest_bytes == sum(len(sample.line) + 1 for _, sample in samples)
    labels = Counter((sample.metadata("anomaly-label") or {}).get("class-name") for _, sample in samples)
    classes = found.labels["anomaly-label"].classes
    assert {one.name: one.images for one in classes} == {"normal": labels["normal"], "anomaly": labels["anomaly"]}
    assert {one.name: one.value for one in classes} == {"normal": 0, "anomaly": 1}
    assert all(one.images == sum(one.roles.values()) == one.by_people for one in classes)
    kept = [sample for role, sample in samples if role != "rejected"]
    tags: Counter[str] = Counter()
    for sample in kept:
        names = (sample.metadata("tags") or {})["class-map"]
        tags.update(names.values())
    assert dict(found.tags.top) == tags
    assert (found.tags.total, found.tags.vocabulary, found.tags.others) == (tags.total(), len(tags), 0)
    assert (found.captions.images, found.captions.by_people) == (1, 1)
    assert found.captions.most_chars == len("a cat on a sofa")
    assert found.rejected == {
        name.removeprefix("rejected-"): count for name, count in version.counts.items() if name.startswith("rejected-")
    }


def test_they_are_counted_once_and_kept(dataset: Dataset) -> None:
    version = newest(dataset)
    found = statistics(dataset, version)
    assert store_keys(dataset.store, "statistics") == [statistics_key(version)]
    for entry in list(dataset.store.list("manifests")):
        dataset.store.remove(entry)
    assert statistics(dataset, version) == found


def test_what_another_release_has_written_is_counted_anew(dataset: Dataset) -> None:
    version = newest(dataset)
    dataset.store.create(statistics_key(version), b'{"format": 99}')
    assert statistics(dataset, version) == counted(dataset, version)


def test_of_too_many_classes_and_tags_the_frequent_ones_are_told_and_the_others_counted(tmp_path: Path) -> None:
    dataset = Dataset.open(f"file://{tmp_path}")
    samples: dict[str, Any] = {}
    many = MOST_TAGS // 40 + 200
    for number in range(many):
        names = [f"often {n}" for n in range(5)] + [f"rare {number}-{n}" for n in range(45)]
        key = f"{number:064x}"
        said: dict[str, Any] = {
            "content-sha256": key,
            "tags": list(range(len(names))),
            "tags-metadata": {"class-map": {str(n): name for n, name in enumerate(names)}},
            "label": number,
            "label-metadata": {"type": "groundtruth/image-classification", "class-name": f"class {number}"},
        }
        samples[key] = ("train", Sample.of(f"s3://b/{number}.jpg", **said))
    found = counted(dataset, committed(dataset, samples))
    assert found.tags.top[:5] == tuple((f"often {n}", many) for n in range(5))
    assert len(found.tags.top) == TOP_TAGS
    assert found.tags.total == many * 50
    assert found.tags.others > 0
    label = found.labels["label"]
    assert (len(label.classes), label.others, label.images) == (MOST_CLASSES, many - MOST_CLASSES, many)


def test_however_many_ask_at_once_it_is_counted_once(dataset: Dataset) -> None:
    version, reading = newest(dataset), Reading()
    counts: list[int] = []
    gate = threading.Event()

    def make() -> int:
        gate.wait(10)
        counts.append(1)
        return len(counts)

    found: list[int | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(reading.counted("same", make, large=False))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    assert reading.counted("same", make, large=True) is None
    gate.set()
    for thread in threads:
        thread.join()
    assert found == [1] * 8
    assert reading.counted("same", make, large=True) == 1
    assert reading.statistics(dataset, version) == statistics(dataset, version)


def test_what_is_quickly_counted_waits_for_nothing_that_takes_long() -> None:
    reading, gate = Reading(), threading.Event()
    for number in range(4):
        assert reading.counted(number, lambda: gate.wait(30), large=True, owner="s3://b/acme") is None
    assert reading.counted("small", lambda: 5, large=False, owner="s3://b/bees") == 5
    gate.set()


def test_one_tenant_has_only_so_much_counted_at_once() -> None:
    reading, gate = Reading(), threading.Event()
    for number in range(MOST_COUNTING):
        assert reading.counted(number, lambda: gate.wait(30), large=True, owner="s3://b/acme") is None
    with pytest.raises(BusyError):
        reading.counted("one more", lambda: 1, large=True, owner="s3://b/acme")
    assert reading.counted("another's", lambda: 1, large=True, owner="s3://b/bees") is None
    gate.set()
    while reading.counted("another's", lambda: 1, large=True, owner="s3://b/bees") is None:
        pass
    while reading.counted(MOST_COUNTING - 1, lambda: True, large=True, owner="s3://b/acme") is None:
        pass
    assert reading.counted("one more", lambda: 1, large=True, owner="s3://b/acme") in (None, 1)


@pytest.mark.parametrize("after", [0.0, 0.5])
def test_a_service_that_stops_does_not_wait_for_what_is_being_counted(tmp_path: Path, after: float) -> None:
    folder = Dataset.open(f"file://{tmp_path}/cats")
    version = committed(folder, {"0" * 64: ("train", Sample.of("s3://b/0.jpg", **{"content-sha256": "0" * 64}))})
    manifest = tmp_path / "cats" / version.manifests["train"].key
    manifest.unlink()
    os.mkfifo(manifest)  # reading it never ends
    stopping = threading.Event()
    timer = threading.Timer(after, stopping.set)
    timer.start()
    with pytest.raises(ImageyardError, match="the service stops"):
        counted_apart(folder, version, stopping)
    timer.join()


def test_an_error_is_told_and_not_kept() -> None:
    reading = Reading()

    def fail() -> int:
        raise ValueError("not this time")

    with pytest.raises(ValueError, match="not this time"):
        reading.counted("x", fail, large=False)
    assert reading.counted("x", lambda: 5, large=False) == 5


def test_a_version_that_is_committed_is_seen_at_once(dataset: Dataset, models: Path) -> None:
    reading = Reading()
    assert reading.newest(Dataset.open("memory://empty-of-versions")) is None
    first = reading.newest(dataset)
    assert first == newest(dataset)
    for test in (0.1, 0.2, 0.3):
        go(dataset, recipe(dataset, {"split": {"test": test}}), models)
        assert reading.newest(dataset) == newest(dataset)
