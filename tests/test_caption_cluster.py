"""Captioners on a real Ray: any number of workers, killed at any moment, give the captions of one process."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import pictures
import tiny
from imageyard.manifests import Dataset, Version
from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.fanout import RayEngine
from imageyard.ray_jobs.recipe import Recipe
from jobs import drop, go, manifests, recipe, store_keys
from test_cluster import workers

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    import ray

    environment = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=50,
        runtime_env={"env_vars": environment},
    )
    yield
    ray.shutdown()


def made(folder: Path, model: str) -> tuple[Dataset, Recipe]:
    dataset = Dataset.open(f"file://{folder}")
    drop(dataset, {f"p{seed}.jpg": pictures.photo(seed, (96, 80)) for seed in range(6)})
    return dataset, recipe(dataset, "ingest", {"caption": {"model": model, "max_new_tokens": 8}}, {"trigger": "sks"})


def lines(dataset: Dataset, version: Version | None) -> bytes:
    """Without where the dataset lies, and the ETags that its file system gives."""
    found = manifests(dataset, version)["unsplit"].replace(dataset.url.encode(), b"")
    return re.sub(rb'"etag":"(?:[^"\\]|\\.)*"', b"", found)


def test_a_worker_killed_while_it_captions_change_no_byte(cluster: None, models: Path, tmp_path: Path) -> None:
    model = str(tiny.build_blip(tmp_path / "models" / "tiny-blip"))
    dataset, steps = made(tmp_path / "undisturbed", model)
    expected = lines(dataset, go(dataset, steps, models).version)
    dataset, steps = made(tmp_path / "killed", model)
    ended, killed = threading.Event(), []

    def kill() -> None:
        """A worker, when the first captions are there."""
        while not ended.wait(0.02) and not killed:
            begun = any("caption-" in key for key in store_keys(dataset.store, "facts"))
            for pid in workers()[:1] if begun else ():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        outcome = go(dataset, steps, models, engine=RayEngine(actors=2), shard=1)
    finally:
        ended.set()
        killer.join()
    assert killed
    assert lines(dataset, outcome.version) == expected


def test_a_captioner_that_no_worker_can_load_fails_the_job_before_any_work(
    cluster: None, models: Path, tmp_path: Path
) -> None:
    model = tiny.build_blip(tmp_path / "models" / "tiny-blip")
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    dataset, steps = made(tmp_path / "broken", str(model))
    with pytest.raises(ModelError, match="tiny-blip"):
        go(dataset, steps, models, engine=RayEngine(actors=2))
    assert store_keys(dataset.store, "facts") == []
