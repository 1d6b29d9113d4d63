"""Actors with GPUs on a real Ray that says it has two: who works where, and who is let go."""

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import pictures
from gauge import PoisonBesideWriting, Where, WherePixels
from imageyard.manifests import Dataset, Store
from imageyard.manifests.errors import JobError
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.fanout import RayEngine
from imageyard.ray_jobs.recipe import Recipe
from imageyard.ray_jobs.work import Item, Shard, Tally
from jobs import by_name, drop, go, reason, recipe, stored
from poison import SIZE

pytestmark = pytest.mark.cluster

GPUS = 2


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    import ray

    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    ray.init(
        address="local",
        num_cpus=6,
        num_gpus=GPUS,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=50,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )
    yield
    ray.shutdown()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"file://{tmp_path}")


def cut(items: Sequence[Item], size: int, *extractors: Extractor) -> list[Shard]:
    return [Shard(tuple(items[at : at + size]), extractors) for at in range(0, len(items), size)]


def told(store: Store, extractor: Extractor, items: Sequence[Item]) -> list[dict[str, Any]]:
    """Where each image was measured."""
    columns = ["pid", "visible", "given"]
    return facts.read(store, extractor.identity(), [item.id for item in items], columns).to_pylist()


def available_gpus() -> float:
    import ray

    return float(ray.available_resources().get("GPU", 0))


def all_free() -> None:
    """Wait until Ray has its GPUs back: a killed actor's come a moment later."""
    end = time.monotonic() + 60
    while available_gpus() < GPUS:
        assert time.monotonic() < end, "GPUs were not given back"
        time.sleep(0.05)


@pytest.mark.parametrize(("share", "actors"), [(1, 2), (0.5, 4), (0.6, 2)])
def test_actors_share_the_work_each_with_the_gpu_that_ray_gave_it(
    store: Store, tmp_path: Path, share: float, actors: int
) -> None:
    all_free()
    extractor, items = Where(meet=(f"{tmp_path}/met", actors)), stored(store, 48)
    done: list[Tally] = []
    RayEngine(gpus=share).run(store, cut(items, 2, extractor), done.append)
    found = {row["pid"]: row for row in told(store, extractor, items)}
    assert len(found) == actors
    assert all(row["visible"] == row["given"] for row in found.values())
    assert Counter(row["visible"] for row in found.values()) == {"0": actors // 2, "1": actors // 2}
    total = sum(done, Tally())
    assert (total.images, total.model_images) == (48, 48)


def test_one_actor_with_both_gpus_sees_both(store: Store) -> None:
    all_free()
    extractor, items = Where(), stored(store, 4)
    RayEngine(gpus=2).run(store, cut(items, 2, extractor), lambda tally: None)
    assert {row["visible"] for row in told(store, extractor, items)} == {"0,1"}


@pytest.mark.parametrize(("share", "said"), [(3, "has none to give"), (64, "has none to give"), (1.5, "or whole ones")])
def test_more_of_a_gpu_than_a_node_can_give_is_an_error(store: Store, share: float, said: str) -> None:
    shards = cut(stored(store, 2), 2, Where())
    with pytest.raises(JobError, match=said):
        RayEngine(gpus=share).run(store, shards, lambda tally: None)
    with pytest.raises(JobError, match=said):
        RayEngine(actors=1, gpus=share).run(store, shards, lambda tally: None)


def test_work_without_a_model_has_no_gpu_and_does_not_wait_for_one(store: Store) -> None:
    import ray

    @ray.remote(num_gpus=GPUS, num_cpus=1)
    class Hog:
        def here(self) -> bool:
            return True

    all_free()
    hog = Hog.remote()
    assert ray.get(hog.here.remote())
    extractor, items = WherePixels(), stored(store, 6)
    try:
        RayEngine(gpus=1).run(store, cut(items, 2, extractor), lambda tally: None)
    finally:
        ray.kill(hog)
    rows = told(store, extractor, items)
    assert {row["given"] for row in rows} == {""}
    assert {row["visible"] for row in rows} == {""}


def test_of_one_job_the_shards_that_need_a_model_go_to_the_gpus_and_the_others_do_not(
    store: Store, tmp_path: Path
) -> None:
    all_free()
    model, plain, items = Where(meet=(f"{tmp_path}/met", 2)), WherePixels(), stored(store, 16)
    shards = [*cut(items[:8], 2, model, plain), *cut(items[8:], 2, plain)]
    RayEngine(gpus=1).run(store, shards, lambda tally: None)
    assert {row["given"] for row in told(store, model, items[:8])} == {"0", "1"}
    with_model, without = told(store, plain, items[:8]), told(store, plain, items[8:])
    assert {row["given"] for row in without} == {""}
    assert not {row["pid"] for row in with_model} & {row["pid"] for row in without}


def test_gpus_are_given_back_while_the_last_long_shard_is_still_at_work(store: Store, tmp_path: Path) -> None:
    all_free()
    items, both = stored(store, 24), (f"{tmp_path}/met", 2)
    shards = [*cut(items[:20], 20, Where(seconds=2, meet=both)), *cut(items[20:], 1, Where(meet=both))]
    seen, ended = [], threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            seen.append(available_gpus())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        RayEngine(gpus=1).run(store, shards, lambda tally: None)
    finally:
        ended.set()
        watcher.join()
    assert seen.count(0.0) >= 1  # both were at work
    assert seen[-5:].count(1.0) >= 4  # and at the end one


def test_an_image_that_kills_while_another_is_being_written_is_the_only_one_blamed(tmp_path: Path) -> None:
    dataset = Dataset.open(f"file://{tmp_path}")
    photos = {f"{name}.jpg": pictures.photo(seed, (60, 60)) for seed, name in enumerate("abde")}
    drop(dataset, {**photos, "c.png": pictures.flat(size=SIZE)})
    steps = (*recipe(dataset, "ingest").steps, PoisonBesideWriting())
    outcome = go(dataset, Recipe(dataset=dataset.url, steps=steps), tmp_path, engine=RayEngine(actors=1), shard=1)
    samples = by_name(dataset, outcome.version)
    assert {name for name, (role, _) in samples.items() if role == "rejected"} == {"c.png"}
    assert reason(samples["c.png"][1]).startswith("kills-worker: ")
