"""Jobs of windows that are submitted: once for all watchers, waited for over restarts, tried anew when they failed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import pictures
from imageyard.manifests import Dataset, Store
from imageyard.manifests.errors import JobError
from imageyard.ray_jobs import job
from imageyard.ray_jobs.recipe import parse_recipe
from imageyard.service.reconcile import Reconciler
from imageyard.service.watch.cluster import ClusterRunner
from imageyard.service.watch.lying import Mark, Watched, marks
from imageyard.service.watch.runners import StoppedError
from imageyard.service.watch.watcher import Pace, Watcher
from jobs import drop, roles, store_keys
from ray_head import RayHead, running_head
from test_jobs import attempt

WRITTEN = {"steps": ["ingest", {"validate": {"min_side": 32}}]}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset = Dataset.open((tmp_path / "cats").as_uri())
    drop(dataset, {"a.jpg": pictures.photo(1, (48, 48)), "small.png": pictures.flat(size=(8, 8))})
    return dataset


def watched(dataset: Dataset) -> Watched:
    return Watched(parse_recipe(WRITTEN, where="the test", dataset=dataset.url), WRITTEN)


class Cluster:
    """Runs what is submitted, when it is told to, in this process."""

    def __init__(self, dataset: Dataset, models: Path) -> None:
        self.dataset, self.models = dataset, models

    def tend(self) -> None:
        for key in store_keys(self.dataset.store, "open"):
            attempt(self.dataset, job.submission(self.dataset.store, key.rsplit("/", 1)[-1]), self.models)

    def fail(self) -> None:
        for key in store_keys(self.dataset.store, "open"):
            how = job.Ended(state="failed", error="no such model", ended="2026-01-01T00:00:00.000000")
            job.end(self.dataset.store, key.rsplit("/", 1)[-1], how, clock=lambda: datetime.now(UTC))


def lying(dataset: Dataset) -> frozenset[Mark]:
    return marks(dataset.store)


def test_what_is_submitted_is_waited_for(dataset: Dataset, models: Path) -> None:
    runner = ClusterRunner(Cluster(dataset, models).tend, pause=lambda seconds: None)
    ran = runner.run(watched(dataset), lying(dataset), lambda: False)
    assert (ran.state, ran.version, ran.counts["found"]) == ("committed", 1, 2)
    assert roles(dataset, dataset.newest()) == {"a.jpg": "unsplit", "small.png": "rejected"}
    asked = job.submission(dataset.store, str(ran.job))
    assert asked.by == "watch"
    assert asked.recipe == WRITTEN


def test_a_watcher_that_stops_leaves_its_job_and_the_next_waits_for_the_same(dataset: Dataset, models: Path) -> None:
    first, second = (ClusterRunner(lambda: None, pause=lambda seconds: None) for _ in range(2))
    for runner in (first, second, first):
        turns = iter([False, False, True])
        with pytest.raises(StoppedError):
            runner.run(watched(dataset), lying(dataset), lambda turns=turns: next(turns))  # type: ignore[misc]
    assert len(store_keys(dataset.store, "open")) == 1
    third = ClusterRunner(Cluster(dataset, models).tend, pause=lambda seconds: None)
    ran = third.run(watched(dataset), lying(dataset), lambda: False)
    assert ran.version == 1
    assert [name for name in job.ids(dataset.store) if name.startswith("drop-")] == [ran.job]


def test_watchers_with_other_options_wait_for_the_same_job(dataset: Dataset, models: Path) -> None:
    turns = iter([False, True])
    first = ClusterRunner(lambda: None, pause=lambda seconds: None, options=job.Options(actors=2, gpus=1))
    with pytest.raises(StoppedError):
        first.run(watched(dataset), lying(dataset), lambda: next(turns))
    second = ClusterRunner(Cluster(dataset, models).tend, pause=lambda seconds: None)
    ran = second.run(watched(dataset), lying(dataset), lambda: False)
    assert ran.version == 1
    assert job.submission(dataset.store, str(ran.job)).options.actors == 2


def test_a_job_that_failed_is_another_job_when_it_is_tried_again(dataset: Dataset, models: Path) -> None:
    cluster = Cluster(dataset, models)
    broken = ClusterRunner(cluster.fail, pause=lambda seconds: None)
    for _ in range(2):
        with pytest.raises(JobError, match="ended failed: no such model"):
            broken.run(watched(dataset), lying(dataset), lambda: False)
    ran = ClusterRunner(cluster.tend, pause=lambda seconds: None).run(watched(dataset), lying(dataset), lambda: False)
    assert ran.version == 1
    assert str(ran.job).endswith("-3")


def test_a_job_that_failed_for_weeks_is_tried_again_at_the_cost_of_a_few_looks(dataset: Dataset, models: Path) -> None:
    cluster = Cluster(dataset, models)
    with pytest.raises(JobError):
        ClusterRunner(cluster.fail, pause=lambda seconds: None).run(watched(dataset), lying(dataset), lambda: False)
    (name,) = job.ids(dataset.store)
    failed = dataset.store.get(f"jobs/{name}/ended.json")
    for number in range(2, 1301):
        dataset.store.create(f"jobs/{name.removesuffix('-1')}-{number}/ended.json", failed)
    looks = Looks(dataset.store._backend, dataset.url)
    runner = ClusterRunner(cluster.tend, pause=lambda seconds: None)
    assert runner.submitted(looks, watched(dataset), lying(dataset)).id.endswith("-1301")
    assert looks.gets < 40
    assert runner.run(watched(dataset), lying(dataset), lambda: False).version == 1


def test_a_job_that_somebody_cancelled_is_not_begun_again_before_something_more_comes(
    dataset: Dataset, models: Path
) -> None:
    cluster = Cluster(dataset, models)

    def cancel() -> None:
        for key in store_keys(dataset.store, "open"):
            job.cancel(dataset.store, key.rsplit("/", 1)[-1], by="somebody")

    for _ in range(3):
        with pytest.raises(JobError, match="was cancelled"):
            ClusterRunner(cancel, pause=lambda seconds: None).run(watched(dataset), lying(dataset), lambda: False)
    assert len(job.ids(dataset.store)) == 1
    drop(dataset, {"b.jpg": pictures.photo(2, (48, 48))})
    ran = ClusterRunner(cluster.tend, pause=lambda seconds: None).run(watched(dataset), lying(dataset), lambda: False)
    assert (ran.version, ran.counts["found"]) == (1, 3)


class Looks(Store):
    """A real store that counts what is read."""

    gets = 0

    def get(self, key: str, *, etag: str | None = None) -> bytes:
        self.gets += 1
        return super().get(key, etag=etag)


def test_what_waits_in_the_drop_folder_is_submitted_once(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"nobody.txt": b"words"})
    runner = ClusterRunner(Cluster(dataset, models).tend, pause=lambda seconds: None)
    for _ in range(3):
        watcher = Watcher(lambda: [watched(dataset)], runner, pace=Pace(once=True))
        watcher.run()
        assert watcher.counts.failures == 0
    assert dataset.numbers() == [1]
    assert store_keys(dataset.store, "drop") == ["drop/nobody.txt"]
    assert len(job.ids(dataset.store)) == 2  # one that committed, one that found nothing, and was found again


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with running_head() as head:
        yield head


@pytest.mark.cluster
def test_on_a_real_ray_head_a_drop_becomes_a_version(dataset: Dataset, head: RayHead) -> None:
    loop = Reconciler({"acme": lambda: [dataset.url]}, head.jobs())
    watcher = Watcher(lambda: [watched(dataset)], ClusterRunner(loop.once), pace=Pace(once=True))
    watcher.run()
    assert watcher.counts.failures == 0
    assert watcher.counts.images == 2
    assert roles(dataset, dataset.newest()) == {"a.jpg": "unsplit", "small.png": "rejected"}
    assert store_keys(dataset.store, "drop") == []


@pytest.mark.cluster
def test_the_command_submits_to_the_address_of_a_dashboard(dataset: Dataset, head: RayHead, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({**WRITTEN, "dataset": dataset.url}))
    command = [sys.executable, "-m", "imageyard.service.cli", "watch", str(recipe), "--once", "--json"]
    environment = os.environ | {"RAY_AUTH_TOKEN": head.token}
    done = subprocess.run(
        [*command, "--ray", head.address], capture_output=True, text=True, check=False, env=environment, timeout=200
    )
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["kind"] for line in said] == ["watching", "found", "committed", "ended"]
    assert said[2]["counts"]["found"] == 2
    assert head.token not in done.stdout + done.stderr
    assert job.submission(dataset.store, said[2]["job"]).by == "watch"
