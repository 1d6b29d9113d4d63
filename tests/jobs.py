"""Jobs for tests: a dataset with pictures in its drop folder, a small real tagger, and what a run left behind."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pictures
from imageyard.manifests import Dataset, Sample, Store
from imageyard.manifests.version import ROLES, Version
from imageyard.ray_jobs.engine import Engine, LocalEngine
from imageyard.ray_jobs.recipe import Recipe, parse_recipe
from imageyard.ray_jobs.run import Outcome, Surroundings, run
from imageyard.ray_jobs.work import Item

DATE = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)


def drop(dataset: Dataset, files: Mapping[str, bytes]) -> None:
    """Upload files to the drop folder."""
    for name, data in files.items():
        dataset.store.create(f"drop/{name}", data)


def stored(store: Store, count: int, *, first: int = 0) -> tuple[Item, ...]:
    """Different pictures, as images of a dataset."""
    items = []
    for seed in range(first, first + count):
        data = pictures.photo(seed, (40 + seed, 30))
        content = hashlib.sha256(data).hexdigest()
        store.create(f"images/{content}", data)
        items.append(Item(f"images/{content}", len(data), sha256=content))
    return tuple(items)


def recipe(dataset: Dataset, *steps: dict[str, Any] | str) -> Recipe:
    return parse_recipe({"dataset": dataset.url, "steps": list(steps)}, where="the test")


def go(
    dataset: Dataset,
    done: Recipe,
    models: Path,
    *,
    engine: Engine | None = None,
    shard: int | None = None,
    date: datetime = DATE,
) -> Outcome:
    """Run a recipe in this process, or on `engine`, at a fixed date."""
    around = Surroundings(engine=engine or LocalEngine(), models=models, date=date, shard=shard)
    with around.engine:
        return run(dataset, done, around)


def newest(dataset: Dataset) -> Version:
    """The newest version of a dataset that has one."""
    version = dataset.newest()
    assert version is not None
    return version


def by_name(dataset: Dataset, version: Version | None) -> dict[str, tuple[str, Sample]]:
    """Role and sample by every name an image was dropped under."""
    assert version is not None
    return {
        str(origin["name"]): (role, sample)
        for role in ROLES
        for sample in dataset.read(version, role)
        for origin in sample.value("origin") or ()
    }


def samples_of(dataset: Dataset, version: Version | None) -> list[Sample]:
    assert version is not None
    return [sample for role in ROLES for sample in dataset.read(version, role)]


def roles(dataset: Dataset, version: Version | None) -> dict[str, str]:
    return {name: role for name, (role, _) in by_name(dataset, version).items()}


def reason(sample: Sample) -> str:
    """`check: reason` of a rejected sample."""
    value = sample.value("rejection")
    return f"{value['check']}: {value['reason']}"


def manifests(dataset: Dataset, version: Version | None) -> dict[str, bytes]:
    """The bytes of every manifest, by role."""
    assert version is not None
    return {role: dataset.store.get(entry.key) for role, entry in version.manifests.items()}


def store_keys(store: Store, prefix: str = "") -> list[str]:
    return sorted(entry.key for entry in store.list(prefix))


def job_events(dataset: Dataset, job: str) -> list[dict[str, Any]]:
    return [json.loads(dataset.store.get(key)) for key in store_keys(dataset.store, f"jobs/{job}/events")]
