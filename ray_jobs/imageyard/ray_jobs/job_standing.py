"""How a job stands that has not ended: what the events and the attempts of it say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from imageyard.manifests.errors import JobError
from imageyard.manifests.store import Entry, Store
from imageyard.ray_jobs.job_attempts import of_attempt
from imageyard.ray_jobs.job_log import Clock, begun, event, kind_of
from imageyard.ray_jobs.job_records import State

PATIENCE = timedelta(minutes=5)
"""From then on a job that has been handed to a cluster and has not begun is said to wait."""


def unfinished(names: Sequence[str], number: int, *, asked: bool) -> State:
    """The state of a job that has not ended and is not cancelled, by its events and its number of attempts."""
    kinds = [kind_of(name) for name in names]
    last = kinds[-1] if kinds else "submitted"
    if not asked:
        return last if last in ("failed", "stopped", "committed", "nothing") else "running"  # type: ignore[return-value]
    if last in ("lost", "stopped"):
        return "submitted"
    own = [name for name in names if of_attempt(name, number)] if number else names
    if begun(own):
        return "running"
    return "pending" if number else "submitted"


def waits_for(state: State, given: Sequence[Entry], clock: Clock) -> str | None:
    """What a job in this state waits for, where it has waited long since it was last given to a cluster."""
    if state != "pending" or not given:
        return None
    waited = clock() - given[-1].modified
    if waited < PATIENCE:
        return None
    return (
        f"handed to the Ray cluster {waited.seconds // 60 + waited.days * 1440} minutes ago, and not begun: the "
        "cluster's head is busy, or has no room for one more driver"
    )


def last_told(store: Store, job: str, names: Sequence[str]) -> dict[str, Any]:
    """The last event that tells of work, if there is one."""
    kinds = ("progress", "alive", "committed", "nothing", "failed", "stopped")
    for name in reversed(names):
        if kind_of(name) not in kinds:
            continue
        try:
            said = event(store, job, name)
        except JobError:
            continue  # somebody has put it there: it tells nothing
        if isinstance(said.get("work"), dict):
            return said
    return {}
