"""Running a recipe over a dataset: plan, measure, decide, commit, clear away; the same from any interruption."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ImageyardError, JobError
from imageyard.manifests.sample import CONTENT, Sample
from imageyard.manifests.store import Store
from imageyard.manifests.version import ROLES, Version
from imageyard.ray_jobs import closing, job
from imageyard.ray_jobs import drop as drop_folder
from imageyard.ray_jobs.attempt import Attempt
from imageyard.ray_jobs.compare import Compared, compared
from imageyard.ray_jobs.deciding import as_dropped, certified, decided, taken_back, wanted
from imageyard.ray_jobs.drop import Drop
from imageyard.ray_jobs.edits.wording import unedited
from imageyard.ray_jobs.engine import Engine
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.late_captions import LateCaption, late_captions
from imageyard.ray_jobs.measuring import Measuring
from imageyard.ray_jobs.origin import caption_name, ledger
from imageyard.ray_jobs.recipe import Recipe
from imageyard.ray_jobs.recording import counts_of, lines_of
from imageyard.ray_jobs.state import CAPTION, Stamp, State, World
from imageyard.ray_jobs.steps.ingest import Ingest
from imageyard.ray_jobs.watcher import Unwatched, Watcher
from imageyard.ray_jobs.work import Tally


@dataclass(frozen=True)
class Surroundings:
    """What a run needs besides dataset and recipe; none of it changes the result but the date."""

    engine: Engine
    models: Path
    clock: job.Clock = lambda: datetime.now(UTC)
    date: datetime | None = None
    """The date of what this job says, for runs that are to be compared; unset, the time of its first start."""
    shard: int | None = None
    """Images a shard; unset, chosen by the number of images and workers."""
    watcher: Watcher = field(default_factory=Unwatched)
    log: job.Log | None = None
    """Where it says what happens; unset, under a name of its own."""
    job: job.Submission | None = None
    """What was submitted, if this run is an attempt at that: it has its id and its date."""


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    state: Literal["committed", "nothing"]
    version: Version | None
    """The version committed, or the newest where there was nothing to do."""
    job: str | None
    tally: Tally
    waiting: tuple[tuple[str, str], ...]
    """(key, why) of objects left in the drop folder."""
    report: str | None
    """URL of the report."""


def run(dataset: Dataset, recipe: Recipe, around: Surroundings) -> Outcome:
    """Apply `recipe` to what the dataset holds and what lies in its drop folder, and commit the result.

    Killed at any moment and called again, it commits the same manifests. A submitted job commits once, however many
    of its attempts run, at once or one after the other: the others end committed, too. Raises ImageyardError, and
    then nothing is committed and nothing in the drop folder is touched.
    """
    attempt = Attempt(dataset, around.clock, asked=around.job, log=around.log, date=around.date)
    around = replace(around, watcher=attempt.noted(around.watcher))
    try:
        attempt.begin()
        around.watcher.phase("looking for model files", brief=True)
        return _Run(dataset, recipe, recipe.extractors(around.models), around, attempt).go()
    except ImageyardError as error:
        attempt.failed(error)
        raise
    except KeyboardInterrupt:
        attempt.interrupted()
        raise


class _Run:
    """One call of `run`, from the look at the drop folder to the cleared drop folder."""

    def __init__(
        self,
        dataset: Dataset,
        recipe: Recipe,
        extractors: Mapping[str, Extractor],
        around: Surroundings,
        attempt: Attempt,
    ) -> None:
        self._dataset = dataset
        self._store: Store = dataset.store
        self._recipe = recipe
        self._extractors = extractors
        self._around = around
        self._fingerprint = recipe.fingerprint(extractors)
        self._ingest = next((step for step in recipe.steps if isinstance(step, Ingest)), None)
        self._attempt = attempt
        self._measuring = Measuring(
            dataset.store, extractors, around.engine, around.watcher, attempt.did, shard=around.shard
        )
        self._waiting: tuple[tuple[str, str], ...] = ()
        self._drop: Drop | None = None
        self._own: Version | None = None
        """The version of this job, where another attempt made it."""

    def go(self) -> Outcome:
        committed = self._dataset.commit(self._build)
        if committed is not None:
            return self._finish(committed, committed, "committed")
        newest = self._dataset.newest()
        if newest is None:
            self._attempt.finish("nothing", None)
            return Outcome("nothing", None, None, self._attempt.tally, self._waiting, None)
        if self._own is not None:
            return self._finish(self._own, newest, "committed")
        return self._finish(newest, newest, "nothing")

    def _build(self, parent: Version | None) -> Version | None:
        """The record that follows `parent`; called again when another job commits first."""
        self._own = self._attempt.committed_before(parent)
        watcher = self._around.watcher
        watcher.phase("looking at the drop folder", brief=True)
        drop = self._look(parent)
        self._drop, self._waiting = drop, drop.waiting if drop else ()
        if self._own is not None:
            return None
        new = drop.new if drop else ()
        late, waiting = late_captions(
            self._store, drop.captions if drop else (), lambda: map(as_dropped, self._parent_samples(parent))
        )
        self._waiting += waiting
        if not new and not late and (parent is None or parent.fingerprint == self._fingerprint):
            return None
        seen = [(item.id, item.key) for item in new]
        running = self._attempt.start(parent, self._fingerprint, self._recipe, seen)
        samples, before = taken_back(self._recipe, list(self._parent_samples(parent)))
        known = {sample.key for sample in samples}
        self._measuring.missing(samples, new)
        events = self._measuring.events(new)
        found = self._compared(parent, samples, events, running)
        world = World(
            self._store,
            Stamp(f"imageyard/{self._recipe.job_name}", running.record.created),
            self._extractors,
            found.indexes,
            found.overlaps,
            steps_of(parent),
            self._around.models,
        )
        state = self._decided(samples, events, late, world)
        if not events and not late and parent is not None and parent.fingerprint == self._fingerprint:
            return None  # all that was new went away before it could be read
        self._refuse_if_too_many_failed(state, known)
        certificates = certified(self._recipe, state, world)
        consumed = self._consumed(parent, events, state) | {caption.source for caption in late}
        watcher.phase("committing")
        draft = self._dataset.draft(lines_of(state, world, before), consumed=consumed)
        roles = {role: entry.lines for role, entry in draft.manifests.items()}
        self._attempt.refuse_if_over()
        return Version(
            number=parent.number + 1 if parent else 1,
            transaction=draft.transaction,
            parent=parent.number if parent else None,
            parent_sha256=parent.sha256 if parent else None,
            created=running.record.created,
            job=running.record.id,
            fingerprint=self._fingerprint,
            recipe=self._recipe.plain(),
            extractors={name: extractor.identity() for name, extractor in self._extractors.items()},
            counts={**roles, **counts_of(state, events, known)},
            manifests=dict(draft.manifests),
            consumed=draft.consumed,
            certificates=certificates,
            index=dict(found.runs),
            models={name: said for name, one in self._extractors.items() if (said := one.provenance())},
        )

    def _decided(
        self,
        samples: Sequence[Sample],
        events: Sequence[Mapping[str, Any]],
        late: Sequence[LateCaption],
        world: World,
    ) -> State:
        """The state after all steps, with what they want measured of images that stand when the others have decided."""
        asked: set[tuple[str, str]] = set()
        while True:
            self._around.watcher.phase("deciding")
            if not any(extractor.deferred for extractor in self._extractors.values()):
                return decided(self._recipe, samples, events, late, world)
            state = decided(self._recipe, samples, events, late, replace(world, waiting=True))
            shards = wanted(self._recipe, state, world, self._measuring.size)
            every = {(one.identity(), item.id) for shard in shards for one in shard.extractors for item in shard.items}
            new = every - asked
            if not new:
                return decided(self._recipe, samples, events, late, world) if shards else state
            self._measuring.work(shards)
            asked |= new

    def _refuse_if_too_many_failed(self, state: State, known: Set[str]) -> None:
        fresh = [rejection for key, rejection in zip(state.keys, state.rejections, strict=True) if key not in known]
        failed = [rejection for rejection in fresh if rejection is not None and rejection.step == Ingest.kind]
        most = self._recipe.max_error_fraction
        if fresh and len(failed) / len(fresh) > most:
            raise JobError(
                f"{len(failed):,} of {len(fresh):,} new images cannot be read, more than the {most:g} that the recipe "
                f"allows (max_error_fraction); the last: {failed[-1].reason}. Nothing was committed"
            )

    def _look(self, parent: Version | None) -> Drop | None:
        if self._ingest is None or not self._attempt.takes_drop:
            return None
        return drop_folder.look(self._store, lambda: self._known(parent))

    def _known(self, parent: Version | None) -> set[tuple[str, str]]:
        """Drop-folder objects that `parent` has inside: by its record, and by every sample's own ledger."""
        known = self._dataset.consumed(parent) if parent else set()
        for sample in self._parent_samples(parent):
            known.update(ledger(sample))
        return known

    def _parent_samples(self, parent: Version | None) -> Iterator[Sample]:
        for role in ROLES if parent else ():
            assert parent is not None  # noqa: S101  # for the type checker
            yield from self._dataset.read(parent, role)

    def _compared(
        self, parent: Version | None, samples: Sequence[Sample], events: Sequence[Mapping[str, Any]], running: job.Job
    ) -> Compared:
        """Have everything compared that is new, known images of another recipe too."""
        self._around.watcher.phase("comparing")
        keys = {content for sample in samples if (content := sample.value(CONTENT)) is not None}
        keys |= {event["content"] for event in events if event["content"] is not None}
        engine = self._around.engine
        return compared(self._store, self._recipe, self._extractors, parent, sorted(keys), engine, running.say)

    def _wait(self, key: str, why: str) -> None:
        self._waiting += ((key, why),)

    def _consumed(
        self, parent: Version | None, events: Sequence[Mapping[str, Any]], state: State
    ) -> set[tuple[str, str]]:
        """Events that the new version has inside: its own, and older ones that may still lie in the drop folder.

        A caption is inside if it is its image's; another caption of the same picture waits.
        """
        if self._drop is None:
            return self._dataset.consumed(parent) if parent else set()
        consumed = {(entry.key, entry.etag) for entry in self._drop.taken}
        rows = {key: row for row, key in enumerate(state.keys)}
        for event in events:
            consumed.add((event["key"], event["etag"]))
            if event["caption_error"] is not None:
                self._wait(event["caption_key"], f"a caption that cannot be read: {event['caption_error']}")
            elif event["caption_key"] is not None:
                sample = unedited(state.samples[rows[event["content"]]])
                if event["caption"] in ("", sample.value(CAPTION)):
                    consumed.add((event["caption_key"], event["caption_etag"]))
                else:
                    why = f"a caption, but the image has the caption of {caption_name(sample) or 'a person'}"
                    self._wait(event["caption_key"], why)
        return consumed

    def _finish(self, version: Version, newest: Version, state: Literal["committed", "nothing"]) -> Outcome:
        """What follows a commit, done again if it was interrupted; `newest` has inside all that `version` has."""
        watcher = self._around.watcher
        report = closing.report_once(self._dataset, version, self._attempt.tally, self._waiting, watcher)
        if self._drop is not None:
            closing.clear(self._dataset, newest, self._drop, watcher)
        self._attempt.finish(state, version)
        return Outcome(state, version, version.job, self._attempt.tally, self._waiting, self._store.address(report))


def steps_of(version: Version | None) -> tuple[Mapping[str, Any], ...]:
    """The steps of the recipe that made a version."""
    steps: Any = version.recipe.get("steps", ()) if version else ()
    return tuple(steps)
