"""One attempt at a job: under which name it works, whether it still may, what it says, how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ClusterError, CommitError, ImageyardError, JobEndedError, StoreError
from imageyard.manifests.version import Version
from imageyard.ray_jobs import job, job_end
from imageyard.ray_jobs.recipe import Recipe
from imageyard.ray_jobs.watcher import Watcher
from imageyard.ray_jobs.work import Tally

PASSING = (StoreError, CommitError, ClusterError)
"""Errors that another attempt may not meet; after any other, a submitted job has failed."""


class Attempt:
    """An attempt at what was submitted or, where nothing was, at what the dataset and the recipe ask for.

    The latter has a name only when it is known what there is to do, and never ends for good but by its commit: run
    again, it is the same job.
    """

    def __init__(
        self,
        dataset: Dataset,
        clock: job.Clock,
        *,
        asked: job.Submission | None = None,
        log: job.Log | None = None,
        date: datetime | None = None,
    ) -> None:
        self._dataset = dataset
        self._store = dataset.store
        self._clock = clock
        self._asked = asked
        self._log = job.Log(self._store, asked.id, clock) if log is None and asked is not None else log
        self._date = date
        self._job: job.Job | None = None
        self._notes: dict[str, Any] = {} if self._log is None else self._log.notes
        self.tally = Tally()
        """What it has read and measured so far."""
        self._looks = 0
        """At the newest version: one, and one more for every commit that another was faster with."""
        self._searched = 0
        """Versions up to this one have been looked at: none of them is this job's."""

    @property
    def takes_drop(self) -> bool:
        """Whether it is to take in what lies in the drop folder."""
        return self._asked is None or self._asked.drop

    def begin(self) -> None:
        """Say that it runs. Raises JobEndedError if it may not."""
        if self._asked is not None and self._log is not None:
            # First this, then the look: who cancels does it the other way around, so that one sees the other.
            if self._log.silent:
                self._log.say("running")
            self.refuse_if_over()

    def refuse_if_over(self) -> None:
        """Raises JobEndedError if the job has ended, or is to end."""
        if self._asked is None:
            return
        over = job.ended(self._store, self._asked.id)
        if over is None and job.cancelled(self._store, self._asked.id):
            over = self._cancelled(self._asked.id)
        if over is not None:
            raise JobEndedError(f"job {self._asked.id} has ended: {over.state}; submit it again under another id")

    def noted(self, watcher: Watcher) -> Watcher:
        """`watcher`, and what it hears is told with the job's progress."""
        return _Noted(watcher, self._notes)

    def committed_before(self, parent: Version | None) -> Version | None:
        """The version that this job has already: a reply was lost, or another attempt was faster.

        Versions are created one after the other, and this looks at each up to the one that is built on: so a job
        that has a version never makes a second one.
        """
        self._looks += 1
        name = self._job.record.id if self._job is not None else self._asked.id if self._asked is not None else None
        if name is None or parent is None:
            return None
        found = job_end.version_of(self._dataset, name, newest=parent, searched=self._searched)
        self._searched = parent.number
        return found

    def start(
        self, parent: Version | None, fingerprint: str, recipe: Recipe, seen: Sequence[tuple[str, str]]
    ) -> job.Job:
        """The job, started once; a rebase on another parent is the same job. `seen` is what the drop folder holds."""
        if self._job is None:
            asked = self._asked
            name = asked.id if asked else job.job_id(parent.sha256 if parent else None, fingerprint, list(seen))
            record = job.JobRecord(
                id=name,
                dataset=self._dataset.url,
                parent=parent.number if parent else None,
                created=asked.created if asked else job.stamp(self._date or self._clock()),
                fingerprint=fingerprint,
                recipe=recipe.plain(),
            )
            log = self._log or job.Log(self._store, name, self._clock, notes=self._notes)
            self._job = job.start(self._store, record, log)
            self._job.say("progress" if asked else "running", found=len(seen), **self._notes)
        return self._job

    def did(self, tally: Tally) -> None:
        """A shard is finished; told now and then."""
        self.tally += tally
        if self._job is not None:
            self._job.log.say_progress(work=asdict(self.tally))

    def finish(self, state: Literal["committed", "nothing"], version: Version | None) -> None:
        """The job has ended so; `version` is its own, or the newest where there was nothing to do.

        Of that, too, it is noted that its job has ended, in case its run was interrupted here.
        """
        how = job.Ended(state=state, version=version.number if version else None, ended=job.stamp(self._clock()))
        told: dict[str, Any] = {"work": asdict(self.tally), "conflicts": max(0, self._looks - 1)}
        if version is not None and state == "committed":
            told["counts"] = version.counts
        if self._asked is not None:
            job.end(self._store, self._asked.id, how, clock=self._clock, log=self._log, **told)
        elif self._job is not None and state == "nothing":
            self._job.say("nothing", version=how.version, **told)
        if version is not None and (self._asked is None or version.job != self._asked.id):
            own = self._job if self._job is not None and self._job.record.id == version.job else None
            told = told if own else {"counts": version.counts}
            made = how.model_copy(update={"state": "committed"})
            job.end(self._store, version.job, made, clock=self._clock, log=own.log if own else None, **told)

    def failed(self, error: ImageyardError) -> None:
        """The attempt could not go on; whether the job can is for the kind of error to say."""
        work = {"work": asdict(self.tally)}
        try:
            if self._asked is None:
                if self._job is not None:
                    self._job.say("failed", error=str(error), **work)
            elif isinstance(error, JobEndedError):
                return
            elif isinstance(error, PASSING) and self._log is not None:
                self._log.say("stopped", error=str(error), **work)
            else:
                name, clock = self._asked.id, self._clock
                job_end.end_failed(self._dataset, name, str(error), clock=clock, log=self._log, **work)
        except ImageyardError:
            return  # the store that failed the job cannot note it either; the caller has the reason

    def interrupted(self) -> None:
        """Somebody stopped the attempt: because the job was cancelled, or for reasons of their own."""
        try:
            if self._asked is not None and job.cancelled(self._store, self._asked.id):
                self._cancelled(self._asked.id)
                return
            log = self._job.log if self._job is not None else self._log
            if log is not None:
                log.say("stopped", error="interrupted; run again to go on", work=asdict(self.tally))
        except ImageyardError:
            return

    def _cancelled(self, name: str) -> job.Ended:
        """How a job ends that somebody cancelled: so, unless it had its version by then."""
        return job_end.end_cancelled(self._dataset, name, clock=self._clock, log=self._log)


class _Noted:
    """A watcher, and notes of the phase and of the images in it."""

    def __init__(self, watcher: Watcher, notes: dict[str, Any]) -> None:
        self._watcher, self._notes = watcher, notes

    def phase(self, name: str, *, brief: bool = False) -> None:
        self._notes["phase"] = name
        self._watcher.phase(name, brief=brief)

    def expect(self, images: int) -> None:
        self._notes["images"] = images
        self._watcher.expect(images)

    def advance(self, tally: Tally) -> None:
        self._watcher.advance(tally)
