"""Undo: a new version in which every image says again what it said in an older one; nothing is lost."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.diff import walk
from imageyard.manifests.errors import ImageyardError, VersionError
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import Role, Version
from imageyard.ray_jobs import job
from imageyard.ray_jobs.job_end import end_unless_lost


def undo(dataset: Dataset, to: int | None, *, clock: job.Clock) -> Version:
    """Commit a version that says what version `to` said; by default the parent of the newest.

    Images that came after `to` stay, as they are now. The newest version stays too: it can be undone to as any other.
    Running the recipe of `to` again finds nothing to do, unless images came since. Raises VersionError where there is
    nothing to undo.
    """
    newest = dataset.newest()
    if newest is None:
        raise VersionError(f"{dataset.url}: has no version yet, so there is nothing to undo")
    number = newest.parent if to is None else to
    if number is None or number >= newest.number:
        which = f"version {newest.number} is the first" if number is None else f"version {newest.number} is the newest"
        raise VersionError(f"{dataset.url}: {which}, so there is nothing to undo; --to names an older one")
    older = dataset.version(number)
    running = _started(dataset, newest, older, clock)
    try:
        committed = dataset.commit(lambda parent: _record(dataset, parent or newest, older, running))
    except ImageyardError as error:
        end_unless_lost(dataset, running, error, clock=clock)
        raise
    assert committed is not None  # noqa: S101  # _record always makes one
    how = job.Ended(state="committed", version=committed.number, ended=job.stamp(clock()))
    job.end(dataset.store, committed.job, how, clock=clock, log=running.log, counts=committed.counts)
    return committed


def _started(dataset: Dataset, parent: Version, older: Version, clock: job.Clock) -> job.Job:
    """The job, whatever it is rebased on."""
    now = job.stamp(clock())
    same = {"of": parent.sha256, "to": older.sha256}
    name = job.job_id(parent.sha256, f"undo to {older.sha256} at {now}", [])
    record = job.JobRecord(
        id=name,
        dataset=dataset.url,
        parent=parent.number,
        created=now,
        fingerprint=older.fingerprint,
        recipe={**dict(older.recipe), "undo": same},
    )
    running = job.start(dataset.store, record, job.Log(dataset.store, name, clock))
    running.say("running")
    return running


def _record(dataset: Dataset, parent: Version, older: Version, running: job.Job) -> Version:
    kept: list[str] = []
    lines = _lines(dataset, parent, older, kept)
    draft = dataset.draft(lines, consumed=dataset.consumed(parent))
    fresh = hashlib.sha256(f"{older.fingerprint} and {len(kept)} images since".encode()).hexdigest()
    roles = {role: entry.lines for role, entry in draft.manifests.items()}
    rejected = {name: count for name, count in older.counts.items() if name.startswith(("rejected-", "tags"))}
    return Version(
        number=parent.number + 1,
        transaction=draft.transaction,
        parent=parent.number,
        parent_sha256=parent.sha256,
        created=running.record.created,
        job=running.record.id,
        fingerprint=fresh if kept else older.fingerprint,
        recipe={**dict(older.recipe), "name": f"undo-to-{older.number}"},
        extractors=dict(parent.extractors if kept else older.extractors),
        counts={**roles, "found": 0, "new": 0, "undone-to": older.number, **({} if kept else rejected)},
        manifests=dict(draft.manifests),
        consumed=draft.consumed,
        certificates={} if kept else dict(older.certificates),
        index=dict(parent.index),
        models=dict(parent.models if kept else older.models),
    )


def _lines(dataset: Dataset, parent: Version, older: Version, kept: list[str]) -> Iterator[tuple[Role, Sample]]:
    """Every image of `parent` in order of key, as `older` has it; keys it does not have are added to `kept`."""
    then = walk(dataset, older)
    said = next(then, None)
    for key, role, sample in walk(dataset, parent):
        while said is not None and said[0] < key:
            said = next(then, None)
        if said is not None and said[0] == key:
            yield said[1], said[2]
        else:
            kept.append(key)
            yield role, sample
