"""Jobs on a real Ray head that asks for a token: submitted, cancelled, their drivers and their head killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import pictures
from imageyard.manifests import Dataset
from imageyard.manifests.errors import ClusterError
from imageyard.ray_jobs import job
from imageyard.ray_jobs.submit import RayJobs, ray_id
from imageyard.service.one_job import Limits
from imageyard.service.reconcile import Reconciler
from jobs import by_name, drop, job_events, store_keys
from ray_head import RayHead, running_head

pytestmark = pytest.mark.cluster
DRIVER = "imageyard.ray_jobs.main"
LONGEST = 120
"""Seconds that anything here may take; most of it takes five."""


@pytest.fixture(scope="module")
def head(models: Path) -> Iterator[RayHead]:
    with running_head(environment={"IMAGEYARD_MODELS": str(models)}) as head:
        yield head


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset = Dataset.open((tmp_path / "cats").as_uri())
    drop(dataset, {f"p{seed}.jpg": pictures.photo(seed, (96, 96)) for seed in range(12)})
    return dataset


def submitted(dataset: Dataset, *more: Any, **options: Any) -> job.Submission:
    now = datetime.now(UTC)
    steps = ["ingest", {"validate": {"min_side": 64}}, *more]
    asked = job.Submission(
        id=job.new_id(now),
        dataset=dataset.url,
        recipe={"steps": steps},
        created=job.stamp(now),
        by="the test",
        options=job.Options(**options),
    )
    return job.submit(dataset.store, asked)


def loop_of(dataset: Dataset, head: RayHead, **limits: float) -> Reconciler:
    return Reconciler({"acme": lambda: [dataset.url]}, head.jobs(), limits=Limits(**limits))  # type: ignore[arg-type]


def until(loop: Reconciler, reached: Callable[[], bool]) -> None:
    """Look after jobs until something has come about."""
    end = time.monotonic() + LONGEST
    while not reached():
        assert time.monotonic() < end, loop.once()
        loop.once()
        time.sleep(0.2)


def ended(dataset: Dataset, asked: job.Submission) -> Callable[[], bool]:
    return lambda: job.ended(dataset.store, asked.id) is not None


def slow(models: Path) -> dict[str, Any]:
    """A step that keeps a driver busy for long enough to be killed: a model that every worker loads, shard by shard."""
    return {"tag": {"model": str(models / "sentinel")}}


def drivers(head: RayHead, asked: job.Submission) -> list[int]:
    return [pid for pid in head.pids(DRIVER) if pid in head.pids(asked.id)]


def test_a_submitted_job_is_committed_by_the_cluster(head: RayHead, dataset: Dataset, models: Path) -> None:
    asked = submitted(dataset, slow(models))
    until(loop_of(dataset, head), ended(dataset, asked))
    status = job.describe(dataset.store, asked.id)
    assert (status.state, status.version, status.attempt) == ("committed", 1, 1), status
    version = dataset.newest()
    assert version is not None
    assert (version.job, version.created) == (asked.id, asked.created)
    assert len(by_name(dataset, version)) == 12
    assert store_keys(dataset.store, "drop") == store_keys(dataset.store, "open") == []
    kinds = [event["kind"] for event in job_events(dataset, asked.id)]
    assert kinds[0] == "submitted"
    assert kinds[-1] == "committed"
    assert {"handed", "running"} <= set(kinds)


def test_without_the_token_the_cluster_does_nothing(head: RayHead, dataset: Dataset) -> None:
    asked = submitted(dataset)
    for token in (None, "wrong"):
        ray = RayJobs(head.address, token)
        with pytest.raises(ClusterError, match="token"):
            ray.hand_over(asked, 1)
        with pytest.raises(ClusterError, match="token"):
            ray.status(ray_id(asked.id, 1))
    assert head.jobs().status(ray_id(asked.id, 1)) is None


def test_a_submission_handed_over_twice_runs_once(head: RayHead, dataset: Dataset) -> None:
    asked = submitted(dataset)
    for _ in range(2):
        head.jobs().hand_over(asked, 1)
    until(loop_of(dataset, head), ended(dataset, asked))
    assert job.describe(dataset.store, asked.id).state == "committed"
    assert [event["kind"] for event in job_events(dataset, asked.id)].count("running") == 1


def test_a_driver_killed_is_followed_by_an_attempt_that_commits_once(
    head: RayHead, dataset: Dataset, models: Path
) -> None:
    asked = submitted(dataset, slow(models), shard=1, actors=1)
    loop = loop_of(dataset, head)
    until(loop, lambda: bool(drivers(head, asked)))
    for pid in drivers(head, asked):
        os.kill(pid, signal.SIGKILL)
    until(loop, ended(dataset, asked))
    status = job.describe(dataset.store, asked.id)
    assert (status.state, status.attempt) == ("committed", 2), status
    assert dataset.numbers() == [1]
    assert len(by_name(dataset, dataset.newest())) == 12
    lost = [event for event in job_events(dataset, asked.id) if event["kind"] == "lost"]
    assert len(lost) == 1


def test_a_running_job_is_cancelled_and_commits_nothing(head: RayHead, dataset: Dataset, models: Path) -> None:
    asked = submitted(dataset, slow(models), shard=1, actors=1)
    loop = loop_of(dataset, head)
    until(loop, lambda: job.describe(dataset.store, asked.id).state == "running")
    assert job.cancel(dataset.store, asked.id, by="the test").state == "cancelling"
    until(loop, ended(dataset, asked))
    assert job.describe(dataset.store, asked.id).state == "cancelled"
    assert dataset.numbers() == []
    assert len(store_keys(dataset.store, "drop")) == 12
    until(loop, lambda: not drivers(head, asked))


def test_a_driver_that_ray_is_told_to_stop_leaves_the_job_to_the_next(
    head: RayHead, dataset: Dataset, models: Path
) -> None:
    """SIGTERM, as from a node that is drained: it says so, and the next attempt goes on."""
    asked = submitted(dataset, slow(models), shard=1, actors=1)
    loop = loop_of(dataset, head)
    until(loop, lambda: any(event.get("phase") for event in job_events(dataset, asked.id)))
    head.jobs().stop(ray_id(asked.id, 1))
    until(loop, ended(dataset, asked))
    status = job.describe(dataset.store, asked.id)
    assert (status.state, dataset.numbers()) == ("committed", [1]), status
    if status.attempt > 1:  # else it was done before the signal came
        assert "stopped" in {event["kind"] for event in job_events(dataset, asked.id)}


def test_a_job_that_is_cancelled_before_it_begins_never_runs(head: RayHead, dataset: Dataset) -> None:
    asked = submitted(dataset)
    head.jobs().hand_over(asked, 1)
    assert job.cancel(dataset.store, asked.id, by="the test").state == "cancelled"
    until(loop_of(dataset, head), lambda: (head.jobs().status(ray_id(asked.id, 1)) or None) is not None)
    end = time.monotonic() + LONGEST
    while (standing := head.jobs().status(ray_id(asked.id, 1))) and standing.state in ("PENDING", "RUNNING"):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert standing is not None
    assert standing.state == "SUCCEEDED"
    assert dataset.numbers() == []
    assert "committed" not in {event["kind"] for event in job_events(dataset, asked.id)}


def test_a_submission_changed_on_its_way_is_not_run(head: RayHead, dataset: Dataset) -> None:
    asked = submitted(dataset)
    changed = asked.model_copy(update={"by": "somebody else"})
    head.jobs().hand_over(changed, 1)
    end = time.monotonic() + LONGEST
    while (standing := head.jobs().status(ray_id(asked.id, 1))) and standing.state != "FAILED":
        assert time.monotonic() < end
        time.sleep(0.2)
    assert standing is not None
    assert "somebody has changed it" in standing.message
    assert dataset.numbers() == []


def test_a_failing_job_says_why_in_the_store(head: RayHead, dataset: Dataset) -> None:
    asked = submitted(dataset, {"tag": {"model": "/nowhere/none"}})
    until(loop_of(dataset, head), ended(dataset, asked))
    status = job.describe(dataset.store, asked.id)
    assert (status.state, status.attempt) == ("failed", 1)
    assert "/nowhere/none" in (status.error or "")


def test_a_head_killed_in_the_middle_and_started_anew_goes_on(head: RayHead, dataset: Dataset, models: Path) -> None:
    asked = submitted(dataset, slow(models), shard=1, actors=1)
    loop = loop_of(dataset, head)
    until(loop, lambda: job.describe(dataset.store, asked.id).state == "running")
    head.kill()
    assert loop.once().away is not None
    assert job.describe(dataset.store, asked.id).ended is None
    head.start()
    until(loop, ended(dataset, asked))
    status = job.describe(dataset.store, asked.id)
    assert (status.state, status.version) == ("committed", 1), status
    assert status.attempt >= 2
    assert dataset.numbers() == [1]
    assert len(by_name(dataset, dataset.newest())) == 12


def test_the_command_line_submits_waits_and_lists(head: RayHead, dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"dataset: {dataset.url}\nsteps:\n  - ingest\n  - validate: {{min_side: 64}}\n")
    environment = {**os.environ, "RAY_AUTH_TOKEN": head.token, "RAY_ADDRESS": "http://127.0.0.1:9"}

    def call(*words: str, token: bool = True) -> subprocess.CompletedProcess[str]:
        own = environment if token else {**environment, "RAY_AUTH_TOKEN": "wrong"}
        command = [sys.executable, "-m", "imageyard.service.cli", *words]
        return subprocess.run(command, env=own, capture_output=True, text=True, check=False, timeout=LONGEST)

    refused = call("submit", str(path), "--ray", head.address, token=False)
    assert refused.returncode == 2
    assert "token" in refused.stderr
    assert job.ids(dataset.store) == []
    done = call("submit", str(path), "--ray", head.address, "--wait", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["state"], said["version"]) == ("committed", 1)
    (listed,) = json.loads(call("jobs", dataset.url, "--json").stdout)
    assert (listed["id"], listed["state"], listed["by"]) == (said["id"], "committed", "cli")
    assert said["id"] in call("jobs", dataset.url).stdout
    assert json.loads(call("cancel", dataset.url, said["id"], "--json").stdout)["state"] == "committed"
