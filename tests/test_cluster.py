"""The same job on a real Ray: any number of workers, killed at any moment, gives the same bytes."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import pictures
from imageyard.manifests import Dataset, Version
from imageyard.manifests.errors import JobError, ModelError
from imageyard.ray_jobs.fanout import RayEngine
from imageyard.ray_jobs.recipe import Recipe
from imageyard.ray_jobs.worker import Place
from imageyard.service.local_s3 import LocalS3
from jobs import DATE, by_name, drop, go, manifests, reason, recipe, store_keys
from poison import SIZE, Look
from sentinel import build_sentinel

pytestmark = [pytest.mark.server, pytest.mark.cluster]


@pytest.fixture(scope="module")
def cluster(s3: LocalS3) -> Iterator[None]:
    """One local Ray for the module; its workers find the S3 server in their environment, as on a real cluster."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environment().items():
            patch.setenv(name, value)
        ray.init(
            address="local",
            num_cpus=4,
            num_gpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=50,
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}},
        )
        yield
        ray.shutdown()


def main(dataset: Dataset, models: Path) -> Recipe:
    tag = {"tag": {"model": str(models / "sentinel")}}
    return recipe(dataset, "ingest", {"validate": {"min_side": 64}}, "dedup", tag, {"split": {"test": 0.25}})


def files(count: int = 24) -> dict[str, bytes]:
    photos = {f"p{seed:02d}.jpg": pictures.photo(seed, (160, 120)) for seed in range(count)}
    return {**photos, "half.jpg": pictures.truncated(), "copy.jpg": photos["p03.jpg"], "p01.txt": b"a caption"}


def anywhere(dataset: Dataset, version: Version | None) -> dict[str, bytes]:
    """Manifests without the address of their dataset."""
    return {role: data.replace(dataset.url.encode(), b"") for role, data in manifests(dataset, version).items()}


@pytest.fixture
def expected(bucket: str, models: Path) -> dict[str, bytes]:
    """What one undisturbed process makes of the files."""
    dataset = Dataset.open(f"s3://{bucket}/undisturbed")
    drop(dataset, files())
    return anywhere(dataset, go(dataset, main(dataset, models), models).version)


@pytest.mark.parametrize(("actors", "shard"), [(1, 8), (4, 8), (4, 3), (2, 512)])
def test_workers_and_shards_change_no_byte(
    cluster: None, bucket: str, models: Path, expected: dict[str, bytes], actors: int, shard: int
) -> None:
    dataset = Dataset.open(f"s3://{bucket}/other")
    drop(dataset, files())
    engine = RayEngine(actors=actors)
    outcome = go(dataset, main(dataset, models), models, engine=engine, shard=shard)
    assert anywhere(dataset, outcome.version) == expected


def workers() -> list[int]:
    """Process ids of the actors that this process's own Ray has started."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(") ", 1)[1].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_bytes()
        except OSError:
            continue
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return [pid for pid in sorted(ours) if names.get(pid, b"").startswith(b"ray::_Actor")]


def test_a_cluster_that_is_joined_says_itself_how_many_may_work(cluster: None) -> None:
    """Not the machine of the driver, which may have fewer CPUs or more."""
    assert RayEngine(address="auto").parallel == 4
    assert RayEngine(address="auto", place=Place(cpus=3)).parallel == 1


def test_workers_killed_at_random_change_no_byte(
    cluster: None, bucket: str, models: Path, expected: dict[str, bytes]
) -> None:
    dataset = Dataset.open(f"s3://{bucket}/killed")
    drop(dataset, files())
    ended, killed = threading.Event(), []

    def kill() -> None:
        chance = random.Random(7)
        while not ended.wait(chance.uniform(0.2, 0.8)) and len(killed) < 5:
            for pid in workers()[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        outcome = go(dataset, main(dataset, models), models, engine=RayEngine(actors=2), shard=4)
    finally:
        ended.set()
        killer.join()
    assert killed
    assert anywhere(dataset, outcome.version) == expected


@pytest.mark.parametrize("raises", [False, True])
def test_an_image_that_kills_its_workers_is_one_rejected_sample(
    cluster: None, bucket: str, models: Path, raises: bool
) -> None:
    dataset = Dataset.open(f"s3://{bucket}/poison")
    drop(dataset, {**files(10), "poison.png": pictures.flat(size=SIZE)})
    plain = recipe(dataset, "ingest")
    poisoned = Recipe(dataset=dataset.url, steps=(*plain.steps, Look(raises=raises)))
    outcome = go(dataset, poisoned, models, engine=RayEngine(actors=2), shard=16)
    samples = by_name(dataset, outcome.version)
    assert {name for name, (role, _) in samples.items() if role == "rejected"} == {"poison.png", "half.jpg"}
    assert reason(samples["poison.png"][1]).startswith("kills-worker: ")
    again = go(dataset, poisoned, models, engine=RayEngine(actors=2))
    assert again.state == "nothing"


def test_a_missing_model_file_fails_the_job_before_any_work(
    cluster: None, bucket: str, models: Path, tmp_path: Path
) -> None:
    dataset = Dataset.open(f"s3://{bucket}/missing")
    drop(dataset, files(5))
    build_sentinel(tmp_path / "gone")
    done = recipe(dataset, "ingest", {"tag": {"model": str(tmp_path / "gone")}})
    done.extractors(models)
    for path in (tmp_path / "gone").iterdir():
        path.unlink()
    with pytest.raises(ModelError):
        go(dataset, done, models, engine=RayEngine(actors=1))
    assert store_keys(dataset.store, "facts") == []


def test_a_gpu_that_cannot_be_used_is_an_error_and_no_silent_fall_back(
    cluster: None, bucket: str, models: Path
) -> None:
    """The cluster says it has GPUs; this machine has none."""
    dataset = Dataset.open(f"s3://{bucket}/gpu")
    drop(dataset, files(5))
    engine = RayEngine(actors=1, gpus=1, place=Place(gpu=True))
    with pytest.raises(ModelError, match="GPU"):
        go(dataset, main(dataset, models), models, engine=engine)
    with pytest.raises(JobError, match="none"):
        go(dataset, main(dataset, models), models, engine=RayEngine(actors=1, gpus=64, place=Place(gpu=True)))
    assert dataset.newest() is None


def test_a_driver_killed_at_random_and_started_again_commits_the_same_bytes(
    s3: LocalS3, bucket: str, models: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    """The whole program, with its own Ray, SIGKILLed three times at moments spread over its life."""
    dataset = Dataset.open(f"s3://{bucket}/driver")
    drop(dataset, files())
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"dataset: {dataset.url}\nsteps:\n  - ingest\n  - validate: {{min_side: 64}}\n  - dedup\n"
        f"  - tag: {{model: {models / 'sentinel'}}}\n  - split: {{test: 0.25}}\n"
    )
    command = [sys.executable, "-m", "imageyard.service.cli", "run", str(path), "--shard", "2", "--json"]
    environment = {**os.environ, **s3.environment(), "SOURCE_DATE_EPOCH": str(int(DATE.timestamp()))}
    chance = random.Random(11)
    for moment in (chance.uniform(1, 5), chance.uniform(5, 8), chance.uniform(7, 10)):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moment)
        process.kill()
        process.wait()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert anywhere(dataset, dataset.newest()) == expected
    assert dataset.numbers() == [1]
    assert store_keys(dataset.store, "drop") == []


def test_two_programs_on_one_dataset_at_once_both_end_committed(s3: LocalS3, bucket: str, tmp_path: Path) -> None:
    """Each with its own Ray; one of them loses the race for version 1 and goes on from there."""
    dataset = Dataset.open(f"s3://{bucket}/two")
    drop(dataset, files(8))
    environment = {**os.environ, **s3.environment()}
    running = []
    for side in (64, 32):
        path = tmp_path / f"{side}.yaml"
        path.write_text(f"dataset: {dataset.url}\nsteps: [ingest, {{validate: {{min_side: {side}}}}}]")
        command = [sys.executable, "-m", "imageyard.service.cli", "run", str(path), "--json"]
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
    assert dataset.numbers() == [1, 2]
    assert dataset.version(1).fingerprint != dataset.version(2).fingerprint
    assert len(by_name(dataset, dataset.newest())) == 10
    assert store_keys(dataset.store, "drop") == []
