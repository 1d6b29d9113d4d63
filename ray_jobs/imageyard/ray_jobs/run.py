"""Running a recipe over a dataset: plan, measure, decide, commit, clear away; the same from any interruption."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import (
    ClusterError,
    CommitError,
    ImageyardError,
    JobError,
    JobMissingError,
    StoreError,
)
from imageyard.manifests.sample import CONTENT, Sample
from imageyard.manifests.store import Store
from imageyard.manifests.version import ROLES, Version
from imageyard.ray_jobs import closing, facts, ingest_facts, job
from imageyard.ray_jobs import drop as drop_folder
from imageyard.ray_jobs.compare import Compared, compared
from imageyard.ray_jobs.deciding import as_dropped, certified, decided, taken_back, wanted
from imageyard.ray_jobs.drop import Drop
from imageyard.ray_jobs.edits.wording import unedited
from imageyard.ray_jobs.engine import Engine
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.late_captions import LateCaption, late_captions
from imageyard.ray_jobs.origin import caption_name, ledger
from imageyard.ray_jobs.plan import plan_known, plan_new, shard_size
from imageyard.ray_jobs.recipe import Recipe
from imageyard.ray_jobs.recording import counts_of, lines_of
from imageyard.ray_jobs.state import (
    CAPTION,
    Stamp,
    State,
    World,
)
from imageyard.ray_jobs.steps.ingest import Ingest
from imageyard.ray_jobs.watcher import Unwatched, Watcher
from imageyard.ray_jobs.work import Item, Shard, Tally


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
    if around.job is not None:
        around = replace(around, log=around.log or job.Log(dataset.store, around.job.id, around.clock))
    if around.log is not None:
        around = replace(around, watcher=_Noted(around.watcher, around.log))
    try:
        around.watcher.phase("looking for model files", brief=True)
        extractors = recipe.extractors(around.models)
        return _Run(dataset, recipe, extractors, around).go()
    except ImageyardError as error:
        if around.job is not None and not isinstance(error, PASSING):
            how = job.Ended(state="failed", error=str(error), ended=job.stamp(around.clock()))
            job.end(dataset.store, around.job.id, how, clock=around.clock, log=around.log, **_noted(around.log))
        raise


PASSING = (StoreError, CommitError, ClusterError)
"""Errors that another attempt may not meet; after any other, the job has failed."""


class _Noted:
    """A watcher, and a log that is to tell of the phase and of the images in it."""

    def __init__(self, watcher: Watcher, log: job.Log) -> None:
        self._watcher, self._log = watcher, log

    def phase(self, name: str, *, brief: bool = False) -> None:
        self._log.notes["phase"] = name
        self._watcher.phase(name, brief=brief)

    def expect(self, images: int) -> None:
        self._log.notes["images"] = images
        self._watcher.expect(images)

    def advance(self, tally: Tally) -> None:
        self._watcher.advance(tally)


def _noted(log: job.Log | None) -> dict[str, Any]:
    return {name: value for name, value in log.notes.items() if name == "work"} if log else {}


class _Run:
    """One call of `run`, from the look at the drop folder to the cleared drop folder."""

    def __init__(
        self, dataset: Dataset, recipe: Recipe, extractors: Mapping[str, Extractor], around: Surroundings
    ) -> None:
        self._dataset = dataset
        self._store: Store = dataset.store
        self._recipe = recipe
        self._extractors = extractors
        self._around = around
        self._fingerprint = recipe.fingerprint(extractors)
        self._ingest = next((step for step in recipe.steps if isinstance(step, Ingest)), None)
        self._job: job.Job | None = None
        self._tally = Tally()
        self._waiting: tuple[tuple[str, str], ...] = ()
        self._drop: Drop | None = None
        self._searched = 0
        """Versions up to this one have been looked at: none of them is this job's."""
        self._own: Version | None = None

    def go(self) -> Outcome:
        try:
            committed = self._dataset.commit(self._build)
            if committed is not None:
                return self._finish(committed, committed, "committed")
            newest = self._dataset.newest()
            if newest is None:
                return self._told(Outcome("nothing", None, None, self._tally, self._waiting, None))
            if self._own is not None:
                return self._finish(self._own, newest, "committed")
            return self._finish(newest, newest, "nothing")
        except ImageyardError as error:
            self._ended("failed", str(error))
            raise
        except KeyboardInterrupt:
            self._ended("stopped", "interrupted; run again to go on")
            raise

    def _ended(self, kind: Literal["failed", "stopped"], reason: str) -> None:
        if self._job is None or self._around.job is not None:
            return  # a submitted job ends where all of its errors come by
        try:
            self._job.say(kind, error=reason, work=asdict(self._tally))
        except ImageyardError:
            return  # the store that failed the job cannot note it either; the caller has the reason

    def _build(self, parent: Version | None) -> Version | None:
        """The record that follows `parent`; called again when another job commits first."""
        if self._committed_before(parent):
            return None
        watcher = self._around.watcher
        watcher.phase("looking at the drop folder", brief=True)
        drop = self._look(parent)
        self._drop, self._waiting = drop, drop.waiting if drop else ()
        new = drop.new if drop else ()
        late, waiting = late_captions(
            self._store, drop.captions if drop else (), lambda: map(as_dropped, self._parent_samples(parent))
        )
        self._waiting += waiting
        if not new and not late and (parent is None or parent.fingerprint == self._fingerprint):
            return None
        running = self._started(parent, drop)
        samples, before = taken_back(self._recipe, list(self._parent_samples(parent)))
        known = {sample.key for sample in samples}
        self._measure(samples, new, running)
        events = self._events(new)
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
        state = self._decided(samples, events, late, world, running)
        if not events and not late and parent is not None and parent.fingerprint == self._fingerprint:
            return None  # all that was new went away before it could be read
        self._refuse_if_too_many_failed(state, known)
        certificates = certified(self._recipe, state, world)
        consumed = self._consumed(parent, events, state) | {caption.source for caption in late}
        watcher.phase("committing")
        draft = self._dataset.draft(lines_of(state, world, before), consumed=consumed)
        roles = {role: entry.lines for role, entry in draft.manifests.items()}
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
        )

    def _decided(
        self,
        samples: Sequence[Sample],
        events: Sequence[Mapping[str, Any]],
        late: Sequence[LateCaption],
        world: World,
        running: job.Job,
    ) -> State:
        """The state after all steps, with what they want measured of images that stand when the others have decided."""
        asked: set[str] = set()
        while True:
            self._around.watcher.phase("deciding")
            if not any(extractor.deferred for extractor in self._extractors.values()):
                return decided(self._recipe, samples, events, late, world)
            state = decided(self._recipe, samples, events, late, replace(world, waiting=True))
            shards = wanted(self._recipe, state, world, self._size)
            new = {item.id for shard in shards for item in shard.items} - asked
            if not new:
                return decided(self._recipe, samples, events, late, world) if shards else state
            self._work(shards, running)
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

    def _committed_before(self, parent: Version | None) -> bool:
        """Whether this job has its version already: a reply was lost, or another attempt was faster.

        Versions are created one after the other, and this looks at each up to the one that is built on: so a job
        that has a version never makes a second one.
        """
        name, since = self._identity()
        if name is None or parent is None:
            return False
        for number in range(max(since, self._searched) + 1, parent.number + 1):
            version = parent if number == parent.number else self._dataset.version(number)
            if version.job == name:
                self._own = version
                self._drop = self._look(parent)
                self._waiting = self._drop.waiting if self._drop else ()
                return True
        self._searched = parent.number
        return False

    def _identity(self) -> tuple[str | None, int]:
        """The id of this job, if it is known by now, and the version after which its own would come."""
        if self._job is not None:
            return self._job.record.id, self._job.record.parent or 0
        if self._around.job is None:
            return None, 0
        try:
            return self._around.job.id, job.read(self._store, self._around.job.id).parent or 0
        except JobMissingError:
            return None, 0  # no attempt has come so far

    def _look(self, parent: Version | None) -> Drop | None:
        if self._ingest is None or (self._around.job is not None and not self._around.job.drop):
            return None
        return drop_folder.look(self._store, lambda: self._known(parent))

    def _known(self, parent: Version | None) -> set[tuple[str, str]]:
        """Drop-folder objects that `parent` has inside: by its record, and by every sample's own ledger."""
        known = self._dataset.consumed(parent) if parent else set()
        for sample in self._parent_samples(parent):
            known.update(ledger(sample))
        return known

    def _started(self, parent: Version | None, drop: Drop | None) -> job.Job:
        """The job, started once; a rebase on another parent is the same job."""
        if self._job is None:
            seen = [(item.id, item.key) for item in drop.new] if drop else []
            asked, around = self._around.job, self._around
            name = asked.id if asked else job.job_id(parent.sha256 if parent else None, self._fingerprint, seen)
            record = job.JobRecord(
                id=name,
                dataset=self._dataset.url,
                parent=parent.number if parent else None,
                created=asked.created if asked else job.stamp(around.date or around.clock()),
                fingerprint=self._fingerprint,
                recipe=self._recipe.plain(),
            )
            log = around.log or job.Log(self._store, name, around.clock)
            self._job = job.start(self._store, record, log)
            self._job.say("running", images=len(seen), **log.notes)
        return self._job

    def _parent_samples(self, parent: Version | None) -> Iterator[Sample]:
        for role in ROLES if parent else ():
            assert parent is not None  # noqa: S101  # for the type checker
            yield from self._dataset.read(parent, role)

    def _measure(self, samples: Sequence[Sample], new: Sequence[Item], running: job.Job) -> None:
        """Have everything measured that is missing: new drop objects, then known images that lack facts."""
        at_once = {name: extractor for name, extractor in self._extractors.items() if not extractor.deferred}
        later = [extractor for extractor in self._extractors.values() if extractor.deferred]
        fresh = [extractor for extractor in later if not any(self._store.list(f"facts/{extractor.identity()}"))]
        if fresh and (new or samples):
            self._around.watcher.phase("trying the models")
            self._around.engine.check(self._store, fresh)
        self._work(plan_new(self._store, new, at_once, self._size(len(new))), running)
        ingested = (
            Item(ingest_facts.image_key(event["content"], event["extension"]), event["size"], sha256=event["content"])
            for event in self._events(new)
            if event["content"] is not None
        )
        self._work(plan_known(self._store, samples, at_once, self._size(len(samples)), also=ingested), running)

    def _compared(
        self, parent: Version | None, samples: Sequence[Sample], events: Sequence[Mapping[str, Any]], running: job.Job
    ) -> Compared:
        """Have everything compared that is new, known images of another recipe too."""
        self._around.watcher.phase("comparing")
        keys = {content for sample in samples if (content := sample.value(CONTENT)) is not None}
        keys |= {event["content"] for event in events if event["content"] is not None}
        engine = self._around.engine
        return compared(self._store, self._recipe, self._extractors, parent, sorted(keys), engine, running.say)

    def _size(self, images: int) -> int:
        return self._around.shard or shard_size(images, self._around.engine.parallel)

    def _work(self, shards: Sequence[Shard], running: job.Job) -> None:
        if not shards:
            return
        watcher = self._around.watcher
        watcher.phase("starting workers")
        watcher.expect(sum(len(shard.items) for shard in shards))

        def done(tally: Tally) -> None:
            self._tally += tally
            watcher.phase("measuring")
            watcher.advance(tally)
            running.log.say_progress(work=asdict(self._tally))

        self._around.engine.run(self._store, shards, done)

    def _events(self, new: Sequence[Item]) -> list[dict[str, Any]]:
        """What taking in each new drop object found, in order of key; those that went away are not among them."""
        table = facts.read(self._store, ingest_facts.IDENTITY, [item.id for item in new], ingest_facts.COLUMNS)
        return [event for event in table.to_pylist() if event["key"] is not None]

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
        report = closing.report_once(self._dataset, version, self._tally, self._waiting, watcher)
        if self._drop is not None:
            closing.clear(self._dataset, newest, self._drop, watcher)
        address = self._store.address(report)
        return self._told(Outcome(state, version, version.job, self._tally, self._waiting, address))

    def _told(self, outcome: Outcome) -> Outcome:
        """`outcome`, with which the job ends; that of the version too, if its own run was interrupted here."""
        version, clock = outcome.version, self._around.clock
        work = {"work": asdict(self._tally), **({"counts": version.counts} if version else {})}
        how = job.Ended(state=outcome.state, version=version.number if version else None, ended=job.stamp(clock()))
        if self._around.job is not None:
            job.end(self._store, self._around.job.id, how, clock=clock, log=self._around.log, **work)
        elif self._job is not None and outcome.state == "nothing":
            self._job.say("nothing", version=how.version, **work)
        if version is not None and (self._around.job is None or version.job != self._around.job.id):
            made = how.model_copy(update={"state": "committed"})
            log = self._job.log if self._job is not None and self._job.record.id == version.job else None
            job.end(self._store, version.job, made, clock=clock, log=log, **work)
        return outcome


def steps_of(version: Version | None) -> tuple[Mapping[str, Any], ...]:
    """The steps of the recipe that made a version."""
    steps: Any = version.recipe.get("steps", ()) if version else ()
    return tuple(steps)
