"""Faults that are nobody's image: they are tried again, and never become facts."""

import os
from pathlib import Path

import pytest

import pictures
from imageyard.manifests import Dataset
from imageyard.manifests.errors import JobError
from imageyard.ray_jobs.fanout import RayEngine
from imageyard.ray_jobs.recipe import Recipe
from jobs import drop, go, recipe, store_keys
from poison import Flaky

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("fault", ["memory", "bug"])
def test_a_fault_of_every_image_fails_the_job_and_leaves_no_fact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv(
        "PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep
    )  # where workers find the faulty extractor
    dataset = Dataset.open(f"file://{tmp_path}")
    drop(dataset, {f"p{seed}.jpg": pictures.photo(seed, (80, 80)) for seed in range(8)})
    plain = recipe(dataset, "ingest")
    faulty = Recipe(dataset=dataset.url, steps=(*plain.steps, Flaky(fault=fault)))
    with pytest.raises(JobError, match="MemoryError" if fault == "memory" else "something else is wrong"):
        go(dataset, faulty, tmp_path, engine=RayEngine(actors=1), shard=8)
    assert store_keys(dataset.store, "facts") == []
    assert len(store_keys(dataset.store, "drop")) == 8
    assert go(dataset, plain, tmp_path).state == "committed"
