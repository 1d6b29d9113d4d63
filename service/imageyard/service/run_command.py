"""`imageyard run`: the world is built here, the job runs, and what happened is printed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.store import Store
from imageyard.manifests.version import ROLES
from imageyard.ray_jobs.fanout import RayEngine
from imageyard.ray_jobs.recipe import load_recipe
from imageyard.ray_jobs.run import Outcome, Surroundings
from imageyard.ray_jobs.run import run as run_job
from imageyard.ray_jobs.worker import Place
from imageyard.service.console import Bar, pairs, say, say_json, table
from imageyard.service.settings import read_settings


def run_recipe(
    path: Path,
    *,
    dataset: str | None,
    actors: int | None,
    cpus: int,
    gpus: float,
    shard: int | None,
    address: str,
    as_json: bool,
) -> Outcome:
    """Run the recipe at `path` and print the outcome. Raises ImageyardError."""
    settings = read_settings()
    recipe = load_recipe(path, dataset=dataset)
    first = Store.open(recipe.dataset, hasty=True)
    next(iter(first.list("versions")), None)  # an unreachable store is told in seconds, before anything starts
    place = Place(cpus=cpus, gpu=gpus > 0)
    engine = RayEngine(address=address, actors=actors, place=place, gpus=gpus)
    # Ray prints every worker's death on standard output, which is the outcome's; the engine deals with them.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), engine, Bar(silent=as_json) as bar:
        around = Surroundings(engine=engine, models=settings.models, date=settings.date, shard=shard, watcher=bar)
        outcome = run_job(Dataset.open(recipe.dataset), recipe, around)
    if as_json:
        say_json(as_plain(outcome, recipe.dataset))
    else:
        tell(outcome, recipe.dataset)
    return outcome


def as_plain(outcome: Outcome, url: str) -> dict[str, Any]:
    """An outcome as JSON values."""
    version = outcome.version
    return {
        "state": outcome.state,
        "dataset": url,
        "version": version.number if version else None,
        "job": outcome.job,
        "counts": version.counts if version else {},
        "manifests": {role: f"{url}/{entry.key}" for role, entry in version.manifests.items()} if version else {},
        "report": outcome.report,
        "work": asdict(outcome.tally),
        "waiting": [{"key": key, "why": why} for key, why in outcome.waiting],
    }


def tell(outcome: Outcome, url: str) -> None:
    """Print an outcome for a person."""
    version = outcome.version
    if version is None:
        say(f"nothing to do: {url}/drop/ holds no images; upload some, then run again")
    elif outcome.state == "nothing":
        say(f"nothing to do: version {version.number} has this recipe applied to everything there is")
    else:
        say(f"committed version {version.number} of {url}")
        table("", ("", "images"), _rows(version.counts))
        work = outcome.tally
        say(f"read {work.read:,} images, decoded {work.decoded:,}, model runs {work.model_runs:,}")
        pairs("manifests", {role: f"{url}/{entry.key}" for role, entry in version.manifests.items()})
    if outcome.report:
        pairs("", {"report": outcome.report})
    if outcome.waiting:
        table("left in the drop folder", ("object", "why"), list(outcome.waiting))


def _rows(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """What happened, in the order in which it happened; what did not happen is left out."""
    checks = {name.removeprefix("rejected-"): n for name, n in counts.items() if name.startswith("rejected-")}
    duplicates = checks.pop("duplicate", 0)
    rows = [
        ("found in the drop folder", counts.get("found", 0)),
        ("new", counts.get("new", 0)),
        ("exact copies", counts.get("exact-copies", 0)),
        *(
            (f"rejected: {check}", count)
            for check, count in sorted(checks.items(), key=lambda said: (-said[1], said[0]))
        ),
        ("near duplicates", duplicates),
        *((f"in {role}", counts.get(role, 0)) for role in ROLES if role != "rejected"),
        ("tags written", counts.get("tags", 0)),
        ("with a caption", counts.get("captions", 0)),
    ]
    return [row for row in rows if row[1] or row[0] in ("found in the drop folder", "new")]
