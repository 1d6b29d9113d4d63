"""A run that stops anywhere, and is run again, commits what an undisturbed run commits."""

import itertools
import threading
from pathlib import Path

import pytest

import pictures
import tiny
from cuts import FailingStore, PowerCut
from imageyard.manifests import Dataset, Store
from imageyard.ray_jobs.recipe import Recipe
from jobs import by_name, drop, go, manifests, recipe, store_keys


def main(dataset: Dataset, models: Path) -> Recipe:
    tag = {"tag": {"model": str(models / "sentinel")}}
    return recipe(dataset, "ingest", {"validate": {"min_side": 64}}, "dedup", tag, {"split": {"test": 0.25}})


def fresh(url: str) -> Dataset:
    dataset = Dataset(FailingStore(Store.open(url)._backend, "memory://the-dataset"))
    files = {f"p{seed}.jpg": pictures.photo(seed, (96, 96)) for seed in range(5)}
    files |= {"half.jpg": pictures.truncated(), "p1.txt": b"a caption", "p9.jpg": files["p3.jpg"]}
    drop(Dataset(Store(dataset.store._backend, dataset.url)), files)
    return dataset


@pytest.fixture(scope="module")
def undisturbed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    dataset = fresh(f"memory://{tmp_path_factory.mktemp('x').name}")
    outcome = go(dataset, main(dataset, models), models, shard=3)
    assert isinstance(dataset.store, FailingStore)
    return manifests(dataset, outcome.version), dataset.store.changes


@pytest.mark.parametrize("after", [False, True])
def test_stopped_at_any_change_of_the_store_and_run_again_it_commits_the_same_bytes(
    undisturbed: tuple[dict[str, bytes], int], models: Path, after: bool, tmp_path: Path
) -> None:
    expected, changes = undisturbed
    assert changes > 20
    for at in range(1, changes + 1, 1 if after else 2):
        dataset = fresh(f"memory://{tmp_path.name}-{at}")
        store = dataset.store
        assert isinstance(store, FailingStore)
        store.left, store.after = at, after
        with pytest.raises(PowerCut):
            go(dataset, main(dataset, models), models, shard=3)
        store.left = 10**9
        outcome = go(dataset, main(dataset, models), models, shard=3)
        assert outcome.version is not None
        assert manifests(dataset, outcome.version) == expected, f"stopped at change {at}"
        assert dataset.numbers() == [1], f"stopped at change {at}"
        assert store_keys(store, "drop") == [], f"stopped at change {at}"
        assert store_keys(store, f"jobs/{outcome.version.job}/report.html") or store.get(
            f"jobs/{outcome.version.job}/report.html"
        )


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.build_blip(tmp_path_factory.mktemp("blip") / "tiny-blip"))


def test_captions_and_edits_stopped_at_any_change_end_as_if_undisturbed(
    models: Path, blip: str, tmp_path: Path
) -> None:
    def all_of_it(dataset: Dataset) -> Recipe:
        caption = {"caption": {"model": blip, "max_new_tokens": 5, "beams": 1, "existing": "merge"}}
        edits = [{"trigger": "sks"}, {"sort": {"by": "alphabetical"}}, {"compose": "{caption}, {tags}"}]
        tag = {"tag": {"model": str(models / "sentinel")}}
        return recipe(dataset, "ingest", "dedup", tag, caption, *edits)

    dataset = fresh(f"memory://{tmp_path.name}")
    store = dataset.store
    assert isinstance(store, FailingStore)
    outcome = go(dataset, all_of_it(dataset), models, shard=2)
    expected, changes = manifests(dataset, outcome.version), store.changes
    for at in range(5, changes + 1, 5):
        dataset = fresh(f"memory://{tmp_path.name}-{at}")
        store = dataset.store
        assert isinstance(store, FailingStore)
        store.left = at
        with pytest.raises(PowerCut):
            go(dataset, all_of_it(dataset), models, shard=2)
        store.left = 10**9
        outcome = go(dataset, all_of_it(dataset), models, shard=2)
        assert manifests(dataset, outcome.version) == expected, f"stopped at change {at}"
        assert dataset.numbers() == [1]


def test_two_jobs_at_once_both_end_committed_and_nothing_is_lost(models: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(f"memory://{tmp_path.name}")
    drop(dataset, {f"a{seed}.jpg": pictures.photo(seed, (96, 96)) for seed in range(12)})
    first, second = main(dataset, models), recipe(dataset, "ingest", {"validate": {"min_side": 32}})
    barrier = threading.Barrier(2)
    outcomes = {}

    def work(name: str, done: Recipe) -> None:
        barrier.wait()
        outcomes[name] = go(Dataset(dataset.store), done, models)

    threads = [threading.Thread(target=work, args=pair) for pair in (("one", first), ("two", second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {outcome.state for outcome in outcomes.values()} == {"committed"}
    assert dataset.numbers() == [1, 2]
    assert len(by_name(dataset, dataset.newest())) == 12
    assert store_keys(dataset.store, "drop") == []


def test_jobs_that_bring_different_images_at_once_lose_none(models: Path, tmp_path: Path) -> None:
    """One drops and runs while the other runs, over and over."""
    dataset = Dataset.open(f"memory://{tmp_path.name}")
    counter = itertools.count()

    def work(name: str) -> None:
        for _ in range(3):
            drop(dataset, {f"{name}{next(counter)}.jpg": pictures.photo(next(counter), (80, 80))})
            go(Dataset(dataset.store), recipe(dataset, "ingest", {"split": {"test": 0.5}}), models)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    go(dataset, recipe(dataset, "ingest", {"split": {"test": 0.5}}), models)
    assert len(by_name(dataset, dataset.newest())) == 9
    assert store_keys(dataset.store, "drop") == []
