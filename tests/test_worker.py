"""A worker overlaps shards: it decodes ahead, writes beside, and says what its models waited for."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

import pytest

import pictures
from gauge import BATCH, Few, Pairs, Where, WherePixels
from imageyard.manifests import Dataset, Store
from imageyard.manifests.errors import JobError
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.capacity import nodes_of, room, wanted
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.plan import plan_known, plan_new
from imageyard.ray_jobs.turns import Turns
from imageyard.ray_jobs.work import Item, Shard, Tally
from imageyard.ray_jobs.worker import Place, Worker
from jobs import drop, go, recipe, stored
from sentinel import build_sentinel


class SlowStore(Store):
    """A real store that is slow to read, or stops before a chunk of facts until it may go on."""

    seconds: float = 0.0
    facts_begun: threading.Event | None = None
    go_on: threading.Event | None = None

    def get(self, key: str, *, etag: str | None = None) -> bytes:
        time.sleep(self.seconds)
        return super().get(key, etag=etag)

    def create(self, key: str, data: bytes) -> None:
        if key.startswith("facts/") and self.go_on is not None and self.facts_begun is not None:
            self.facts_begun.set()
            assert self.go_on.wait(10), "nothing else went on while facts were written"
        super().create(key, data)


@pytest.fixture
def store(tmp_path: Path) -> SlowStore:
    return SlowStore(Store.open(f"memory://{tmp_path.name}")._backend, "memory://slow")


def overlapping(worker: Worker, shards: Sequence[Shard]) -> list[Tally]:
    """What an actor does: calls side by side, in turns."""
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(worker.process, shards, range(len(shards))))


PLACES = {
    "one CPU": Place(),
    "two CPUs": Place(cpus=2),
    "a CPU beside the model's": Place(cpus=2, model_threads=1),
    "a GPU": Place(cpus=2, gpu=True),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_shards_that_overlap_give_the_facts_that_they_give_one_by_one(store: SlowStore, place: Place) -> None:
    extractors = (Where(), WherePixels())
    items = stored(store, 23)
    shards = [Shard(items[at : at + 5], extractors) for at in range(0, 23, 5)]
    worker = Worker(store, place)
    total = sum(overlapping(worker, shards), Tally())
    worker.close()
    assert (total.images, total.decoded, total.model_images, total.model_runs) == (23, 23, 23, 9)
    for extractor in extractors:
        found = facts.read(store, extractor.identity(), [item.id for item in items], ["size"])
        assert found.column("size").to_pylist() == [30 * (40 + seed) for seed in range(23)]  # shapes differ in a batch


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_of_a_worker_that_is_busy_every_second_is_accounted_for(store: SlowStore, place: Place) -> None:
    items = stored(store, 24)
    shards = [Shard(items[at : at + 6], (Where(seconds=0.1),)) for at in range(0, 24, 6)]
    worker = Worker(store, place)
    loading = worker.prepare(shards[0].extractors)
    begun = time.monotonic()
    total = sum(overlapping(worker, shards), loading)
    seconds = time.monotonic() - begun
    worker.close()
    waited = total.waited_for_shard_seconds + total.waited_for_store_seconds + total.waited_for_decode_seconds
    assert total.model_runs == 8
    assert total.model_seconds >= 8 * 0.1 - 0.001
    assert total.padding_seconds == pytest.approx(total.model_seconds / 4, rel=0.5)  # of 4 places, 2 empty every other
    assert total.decoding_seconds > 0
    assert total.writing_seconds > 0
    assert 0 <= seconds - total.model_seconds - waited < 0.5 * seconds
    assert all(round(value, 3) == value for value in asdict(total).values())


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("slow", ["store", "decode"])
def test_what_a_model_waited_for_is_told_apart(store: SlowStore, slow: str, gpu: bool) -> None:
    items = stored(store, 8)
    extractors: tuple[Extractor, ...] = (Where(), WherePixels(seconds=0.1 if slow == "decode" else 0))
    store.seconds = 0.4 if slow == "store" else 0.0
    worker = Worker(store, Place(gpu=gpu))
    total = worker.prepare(extractors) + worker.process(Shard(items, extractors))
    worker.close()
    waited = {"store": total.waited_for_store_seconds, "decode": total.waited_for_decode_seconds}
    assert waited[slow] > 0.3
    assert sum(waited.values()) - waited[slow] < waited[slow] / 2


def test_facts_are_written_while_the_models_work_on_the_next_shard(store: SlowStore) -> None:
    first, second = stored(store, 4), stored(store, 4, first=4)
    store.facts_begun, store.go_on = threading.Event(), threading.Event()
    ran = threading.Event()

    class Telling(Where):
        name: ClassVar[str] = "telling"

        def load(self, *, threads: int, gpu: bool) -> "Signal":  # type: ignore[override]
            return Signal()

    class Signal:
        batch = BATCH

        def prepare(self, image: object) -> object:
            return image

        def run(self, images: Sequence[object]) -> list[dict[str, object]]:
            assert store.facts_begun is not None
            if store.facts_begun.is_set():  # so this is the second shard's, and the first is not written yet
                ran.set()
                assert store.go_on is not None
                store.go_on.set()
            elif not first_run.is_set():
                first_run.set()
            else:
                assert store.facts_begun.wait(10), "the first shard's facts were not begun"
                return self.run(images)
            return [{"size": 1} for _ in images]

    first_run = threading.Event()
    worker = Worker(store, Place(cpus=2))
    tallies = overlapping(worker, [Shard(first, (Telling(),)), Shard(second, (Telling(),))])
    worker.close()
    assert ran.is_set()
    assert [tally.model_images for tally in tallies] == [4, 4]
    assert facts.present(store, Telling().identity()) == {item.id for item in (*first, *second)}


def test_two_batches_are_with_a_model_on_a_gpu_that_allows_it(store: SlowStore) -> None:
    items = stored(store, 4 * BATCH)
    extractor = Pairs()
    worker = Worker(store, Place(cpus=2, gpu=True))
    worker.prepare([extractor])
    model = worker._models[extractor.identity()].model
    tally = worker.process(Shard(items, (extractor,)))
    worker.close()
    assert model.most == 2  # type: ignore[attr-defined]
    assert tally.model_images == 4 * BATCH


def test_a_model_that_fails_fails_its_shard_and_not_the_next(store: SlowStore) -> None:
    good, bad = Where(), Where(broken=True)
    worker = Worker(store, Place(cpus=2))
    shards = [Shard(stored(store, 5), (bad,)), Shard(stored(store, 5, first=5), (good,))]
    with ThreadPoolExecutor(2) as pool:
        first, second = [pool.submit(worker.process, shard, turn) for turn, shard in enumerate(shards)]
        with pytest.raises(Exception, match="not needed"):
            first.result(10)
        assert second.result(10).model_images == 5
    worker.close()


def test_only_models_that_shards_need_are_loaded(tmp_path: Path) -> None:
    build_sentinel(tmp_path / "models" / "sentinel")
    dataset = Dataset.open(f"memory://{tmp_path.name}")
    drop(dataset, {f"{seed}.jpg": pictures.photo(seed, (80, 60)) for seed in range(3)})
    tag = {"tag": {"model": "sentinel"}}
    go(dataset, recipe(dataset, "ingest", tag), tmp_path / "models")
    (tmp_path / "models" / "sentinel" / "model.onnx").write_bytes(b"loading this fails")
    outcome = go(dataset, recipe(dataset, "ingest", "dedup", tag), tmp_path / "models")
    assert (outcome.tally.decoded, outcome.tally.model_runs) == (3, 0)


def test_turns_end_in_their_order_whoever_comes_first() -> None:
    turns, seen = Turns(), []

    def call(turn: int) -> None:
        turns.wait(turn)
        seen.append(turn)
        turns.end(turn)
        turns.end(turn)

    threads = [threading.Thread(target=call, args=(turn,)) for turn in (3, 1, 2, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "expected"),
    [
        ([{"CPU": 8}], 1, 0, 8),
        ([{"CPU": 8}, {"CPU": 3}], 2, 0, 5),
        ([{"CPU": 0, "memory": 1}], 1, 0, 0),
        ([{"CPU": 8, "GPU": 2}], 1, 1, 2),
        ([{"CPU": 3, "GPU": 8}], 2, 1, 1),
        ([{"CPU": 64}, {"CPU": 8, "GPU": 4}], 1, 1, 4),
        ([{"CPU": 8, "GPU": 1}], 1, 0.25, 4),
        ([{"CPU": 8, "GPU": 2}], 1, 0.6, 2),  # and not 3: a share is of one GPU
        ([{"CPU": 30, "GPU": 1}], 1, 0.1, 10),
        ([{"CPU": 30, "GPU": 2}], 1, 1 / 3, 6),
        ([{"CPU": 8, "GPU": 1}, {"CPU": 8, "GPU": 1}], 1, 2, 0),
        ([{"CPU": 8, "GPU": 5}], 1, 2, 2),
    ],
)
def test_a_cluster_has_room_for(nodes: list[dict[str, float]], cpus: int, gpus: float, expected: int) -> None:
    assert room(nodes, cpus=cpus, gpus=gpus) == expected


NOBODY, SMALL = [{"CPU": 0.0}], [{"CPU": 0.0}, {"CPU": 7.0}]


@pytest.mark.parametrize(
    ("nodes", "may_come", "gpus", "shards", "expected"),
    [
        (NOBODY, "", 0, 1000, 1),
        (NOBODY, '[{"most": 20, "CPU": 7}]', 0, 1000, 140),
        (NOBODY, '[{"most": 20, "CPU": 7}]', 0, 9, 3),
        (NOBODY, '[{"most": 20, "CPU": 7}]', 0, 1, 1),
        (SMALL, '[{"most": 20, "CPU": 7}]', 0, 4, 7),
        (SMALL, '[{"most": 20, "CPU": 7}]', 0, 100, 25),
        (NOBODY, '[{"most": 20, "CPU": 7}, {"most": 8, "CPU": 6, "GPU": 1}]', 1, 1000, 8),
        (NOBODY, '[{"most": 20, "CPU": 7}, {"most": 8, "CPU": 6, "GPU": 1}]', 0.5, 1000, 16),
        (NOBODY, '[{"most": 0, "CPU": 7}]', 0, 1000, 1),
    ],
)
def test_where_nodes_may_come_more_workers_are_asked_for_as_far_as_there_is_work(
    nodes: list[dict[str, float]], may_come: str, gpus: float, shards: int, expected: int
) -> None:
    assert wanted(nodes, nodes_of(may_come), cpus=1, gpus=gpus, shards=shards) == expected


@pytest.mark.parametrize(
    "said", ["20", "{}", '[{"CPU": 7}]', '[{"most": -1, "CPU": 7}]', '[{"most": 1, "CPU": 1, "TPU": 1}]']
)
def test_what_does_not_say_which_nodes_may_come_is_an_error(said: str) -> None:
    with pytest.raises(JobError, match="IMAGEYARD_NODES"):
        nodes_of(said)


def test_a_shard_has_no_more_images_than_its_slowest_extractor_allows(store: SlowStore) -> None:
    items = [Item(f"drop/{n}", 1, etag="e") for n in range(8)]
    for extractors, expected in (((Where(),), [5, 3]), ((Where(), Few()), [3, 3, 2])):
        named = {extractor.name: extractor for extractor in extractors}
        new = plan_new(store, items, named, 5)
        known = plan_known(store, (), named, 5, also=[Item(f"images/{n}", 1, sha256=f"{n}") for n in range(8)])
        assert [len(shard.items) for shard in new] == expected
        assert [len(shard.items) for shard in known] == expected
