"""`imageyard submit`, `jobs` and `cancel`: jobs on a Ray cluster, without the service in between."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imageyard.manifests.errors import JobError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import job
from imageyard.ray_jobs.recipe import load_recipe
from imageyard.ray_jobs.recipe_yaml import read_yaml
from imageyard.ray_jobs.submit import RayJobs, entry_point
from imageyard.ray_jobs.work import Tally
from imageyard.service.console import Bar, pairs, say, say_json, table
from imageyard.service.job_lists import JobLists
from imageyard.service.reconcile import Reconciler
from imageyard.service.settings import read_settings

LOOK_EVERY = 1.0
"""Seconds between two looks at a job that is waited for."""


def submit_recipe(
    path: Path, *, dataset: str | None, address: str, options: job.Options, wait: bool, as_json: bool
) -> None:
    """Hand the recipe at `path` to the Ray cluster whose dashboard is at `address`. Raises ImageyardError.

    With `wait` it looks after the job until it has ended, over restarts of the cluster too; JobError if it failed.
    """
    recipe = load_recipe(path, dataset=dataset)  # its faults are told here, and not by a driver far away
    token = read_settings().ray_token
    ray = RayJobs(address, token.get_secret_value() if token else None)
    ray.check()
    now = datetime.now(UTC)
    asked = job.Submission(
        id=job.new_id(now),
        dataset=recipe.dataset,
        recipe=read_yaml(path),
        name=recipe.job_name,
        created=job.stamp(read_settings().date or now),
        by="cli",
        options=options,
    )
    entry_point(asked.url)
    store = Store.open(recipe.dataset)
    job.submit(store, asked)
    loop = Reconciler({"": lambda: [recipe.dataset]}, ray)
    loop.once()
    if wait:
        status = _wait(store, asked.id, loop, silent=as_json)
        _show(status, as_json=as_json)
        if status.state in ("failed", "cancelled"):
            raise JobError(f"job {status.id} {status.state}" + (f": {status.error}" if status.error else ""))
        return
    _show(job.describe(store, asked.id), as_json=as_json)
    if not as_json:
        say("the service looks after it, if it knows this dataset; else wait for it: imageyard submit --wait")


def show_jobs(dataset: str, *, limit: int, as_json: bool) -> None:
    """List the jobs of a dataset, the newest first."""
    store = Store.open(dataset)
    found: list[job.JobStatus] = []
    following: str | None = ""
    lists = JobLists()
    while following is not None and len(found) < limit:
        page = lists.page(store, lambda: datetime.now(UTC), start=following, most=limit - len(found))
        found, following = [*found, *page.jobs], page.following
    if as_json:
        say_json([status.model_dump() for status in found])
        return
    if not found:
        say(f"{dataset} has no job yet")
        return
    rows = [
        (status.id, status.name, status.state, status.version, status.attempt, status.created[:19], _remark(status))
        for status in found
    ]
    table("", ("job", "recipe", "state", "version", "attempt", "created", "remark"), rows)
    if following is not None:
        say("and more before these; --limit shows them")


def cancel_job(dataset: str, name: str, *, as_json: bool) -> None:
    """Ask that a job end without a commit."""
    _show(job.cancel(Store.open(dataset), name, by="cli"), as_json=as_json)


def _wait(store: Store, name: str, loop: Reconciler, *, silent: bool) -> job.JobStatus:
    """The job when it has ended; its progress is shown meanwhile."""
    with Bar(silent=silent) as bar:
        attempt, images, expected = 0, 0, 0
        while True:
            status = job.describe(store, name)
            if status.ended is not None:
                return status
            bar.phase(status.phase or status.state)
            if (status.attempt, status.images or 0) != (attempt, expected):
                attempt, expected, images = status.attempt, status.images or 0, 0
                if expected:
                    bar.expect(expected)
            done = int(status.work.get("images", 0))
            if done > images:
                bar.advance(Tally(images=done - images))
                images = done
            time.sleep(LOOK_EVERY)
            loop.once()


def _remark(status: job.JobStatus) -> str:
    text = status.error or status.waiting or status.phase or ""
    return text if len(text) <= 100 else text[:99] + "…"


def _show(status: job.JobStatus, *, as_json: bool) -> None:
    if as_json:
        say_json(status.model_dump())
        return
    said: dict[str, Any] = {
        "job": status.id,
        "state": status.state,
        "version": status.version,
        "attempt": status.attempt,
    }
    pairs("", {**said, **({"error": status.error} if status.error else {})})
