"""People's verdicts as commits: a new version in which some images are what a person says, and all others as before."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from imageyard.manifests.amending import amended
from imageyard.manifests.chunks import Chunks
from imageyard.manifests.dataset import Dataset
from imageyard.manifests.errors import ImageyardError, SampleError, StaleError, VersionError
from imageyard.manifests.finding import Found, find
from imageyard.manifests.sample import Json, Sample
from imageyard.manifests.version import Role, Version
from imageyard.ray_jobs import job
from imageyard.ray_jobs.actions import Actions, Label, Saying, applied, classes_with
from imageyard.ray_jobs.job_end import end_unless_lost
from imageyard.ray_jobs.state import CAPTION, PERSON, REJECTION, TAGS, Stamp
from imageyard.ray_jobs.statistics import Statistics, statistics

ACTED_ON = "acted-on"
"""Member of a version's counts: the samples that people changed; there in versions that people have made alone."""
NAMED = 5
"""Samples that an error names."""
Counting = Callable[[Dataset, Version], Statistics]


@dataclass(frozen=True)
class Acting:
    """Who acts, and how the dataset is read; nothing of it but `by` and the time is written."""

    by: str
    """Who: `cli`, or the tenant and the name of the key."""
    clock: job.Clock
    chunks: Chunks
    counting: Counting = statistics
    """Gives the numbers of a version, by which its classes are known."""


@dataclass(frozen=True)
class Acted:
    """What became of it."""

    version: Version
    """The version committed, or the newest where everything was as it is said to be."""
    changed: tuple[str, ...]
    """Keys of the samples that changed, in order."""


@dataclass(frozen=True)
class _Change:
    """One sample: where it stood, and what it is from now on."""

    found: Found
    role: Role
    sample: Sample


def act(dataset: Dataset, said: Actions, acting: Acting, *, expected: int | None = None) -> Acted:
    """Commit what a person says. Of what nobody speaks of, no line is parsed, and none changes.

    What another job commits meanwhile stays: the actions are applied to that. Raises SampleError, naming them, for
    samples that are not there and for what cannot be said of one, VersionError for a dataset without a version, and
    StaleError where the newest version is not number `expected`: then nothing is committed.
    """
    now = acting.clock()
    task = _Task(dataset, said, acting, expected, now)
    try:
        version = dataset.commit(task.build)
    except ImageyardError as error:
        task.failed(error)
        raise
    if version is None:
        newest = dataset.newest()
        assert newest is not None  # noqa: S101  # build has seen one
        task.ended("nothing", newest)
        return Acted(newest, ())
    task.ended("committed", version, counts=version.counts)
    return Acted(version, tuple(task.changes))


class _Task:
    """One call of `act`; a rebase on another parent is the same job."""

    def __init__(self, dataset: Dataset, said: Actions, acting: Acting, expected: int | None, now: datetime) -> None:
        self._dataset = dataset
        self._said = said
        self._acting = acting
        self._expected = expected
        self._now = now
        self._job: job.Job | None = None
        self.changes: dict[str, _Change] = {}

    def ended(self, state: Literal["committed", "nothing"], version: Version, **told: Json) -> None:
        """End the job, if it has begun: what is refused before anything is written leaves no job."""
        if self._job is not None:
            clock, log = self._acting.clock, self._job.log
            how = job.Ended(state=state, version=version.number, ended=job.stamp(clock()))
            job.end(self._dataset.store, self._job.record.id, how, clock=clock, log=log, **told)

    def failed(self, error: ImageyardError) -> None:
        """End the job, if it has begun, and if it has no version: of that the answer may have been lost."""
        if self._job is not None:
            end_unless_lost(self._dataset, self._job, error, clock=self._acting.clock)

    def build(self, parent: Version | None) -> Version | None:
        """The record that follows `parent`; called again when another job commits first."""
        where = self._dataset.url
        if parent is None:
            raise VersionError(f"{where}: has no version yet, so nothing can be said of its images; run a recipe first")
        if self._expected is not None and parent.number != self._expected:
            raise StaleError(
                f"{where}: version {parent.number} is the newest, not {self._expected}; nothing was committed. Look at "
                "what has changed and say it again"
            )
        found = self._found(parent)
        classes, new = self._classes(parent)
        stamp = Stamp("imageyard/person", job.stamp(self._now))
        saying = Saying(self._acting.by, stamp, self._said.comment, classes)
        self.changes = _changes(self._said, found, saying)
        if not self.changes:
            return None
        running = self._started(parent)
        moved = {key: (change.found, change.role, change.sample) for key, change in self.changes.items()}
        draft = amended(self._dataset, parent, moved, self._acting.chunks)
        name = running.record.id
        return Version(
            number=parent.number + 1,
            transaction=draft.transaction,
            parent=parent.number,
            parent_sha256=parent.sha256,
            created=running.record.created,
            job=name,
            # Another one than the parent's, so that the recipe decides again, heeding what was said.
            fingerprint=hashlib.sha256(f"{parent.fingerprint} and {name}".encode()).hexdigest(),
            recipe=dict(parent.recipe),
            extractors=dict(parent.extractors),
            counts=_counts(parent, {str(role): entry.lines for role, entry in draft.manifests.items()}, self.changes),
            manifests=dict(draft.manifests),
            consumed=draft.consumed,
            certificates={PERSON: self._certificate(parent, new)},
            index=dict(parent.index),
            models=dict(parent.models),
        )

    def _found(self, parent: Version) -> dict[str, Found]:
        found: dict[str, Found] = {}
        missing = []
        for key in self._said.keys:
            one = find(self._dataset.store, parent, key, self._acting.chunks)
            if one is None:
                missing.append(key)
            else:
                found[key] = one
        if missing:
            more = f" and {len(missing) - NAMED:,} more" if len(missing) > NAMED else ""
            raise SampleError(
                f"{self._dataset.url}: version {parent.number} has no sample {', '.join(missing[:NAMED])}{more}; "
                "nothing was committed"
            )
        return found

    def _classes(self, parent: Version) -> tuple[dict[str, Mapping[str, Json]], dict[str, dict[str, Json]]]:
        """By attribute what stands for each class, and the same of those alone that are new."""
        labels = [action for action in self._said.actions if isinstance(action, Label)]
        if not labels:
            return {}, {}
        known, others = _vocabulary(self._dataset, parent, self._acting.counting)
        classes: dict[str, Mapping[str, Json]] = {label.attribute: known.get(label.attribute, {}) for label in labels}
        new: dict[str, dict[str, Json]] = {}
        for label in labels:
            before = classes[label.attribute]
            classes[label.attribute] = after = classes_with(label, before, others.get(label.attribute, 0))
            if label.name not in before:
                new.setdefault(label.attribute, {})[label.name] = after[label.name]
        return classes, new

    def _started(self, parent: Version) -> job.Job:
        if self._job is None:
            digest = hashlib.sha256(self._said.model_dump_json().encode()).hexdigest()
            name = job.job_id(parent.sha256, f"{digest} by {self._acting.by} at {job.stamp(self._now)}", [])
            record = job.JobRecord(
                id=name,
                dataset=self._dataset.url,
                parent=parent.number,
                created=job.stamp(self._now),
                fingerprint=parent.fingerprint,
                recipe={"name": "person", "by": self._acting.by, **self._said.model_dump(mode="json", by_alias=True)},
            )
            log = job.Log(self._dataset.store, name, self._acting.clock)
            self._job = job.start(self._dataset.store, record, log)
            self._job.say("running", images=len(self._said.keys))
        return self._job

    def _certificate(self, parent: Version, new: dict[str, dict[str, Json]]) -> dict[str, object]:
        """What was said, and by which version all promises of the steps were last checked: here none was."""
        actions = Counter(action.action for action in self._said.actions for _ in action.samples)
        certified = parent.certificates.get(PERSON, {}).get("certified", parent.number)
        told: dict[str, object] = {"by": self._acting.by, "actions": dict(sorted(actions.items()))}
        told |= {"changed": len(self.changes), "certified": certified}
        classes = _added(parent)
        for name, added in new.items():
            classes.setdefault(name, {}).update(added)
        return told | ({"classes": classes} if classes else {})


def _changes(said: Actions, found: Mapping[str, Found], saying: Saying) -> dict[str, _Change]:
    """The samples that are not as they were, in order of key."""
    now = {key: (one.role, one.line.sample) for key, one in found.items()}
    for action in said.actions:
        for key in action.samples:
            now[key] = applied(action, *now[key], saying)
    return {
        key: _Change(one, *now[key])
        for key, one in found.items()
        if now[key][0] != one.role or now[key][1].line != one.line.sample.line
    }


def _vocabulary(
    dataset: Dataset, version: Version, counting: Counting
) -> tuple[dict[str, dict[str, Json]], dict[str, int]]:
    """By attribute what stands for each class of a version, and images of classes that are not told.

    Counted for the newest version that a recipe has made: people have added to it what the version tells.
    """
    certificate = version.certificates.get(PERSON, {})
    certified = certificate.get("certified")
    added = _added(version)
    if isinstance(certified, int) and certified != version.number:
        version = dataset.version(certified)
    numbers = counting(dataset, version)
    known = {name: {one.name: one.value for one in found.classes} for name, found in numbers.labels.items()}
    for name, classes in added.items():
        known.setdefault(name, {}).update(classes)
    return known, {name: found.others for name, found in numbers.labels.items()}


def _added(version: Version) -> dict[str, dict[str, Json]]:
    """By attribute, the classes that people have added since the version that was last certified."""
    said = version.certificates.get(PERSON, {}).get("classes", {})
    assert isinstance(said, dict)  # noqa: S101  # as _certificate writes it
    return {name: dict(classes) for name, classes in said.items()}


def _counts(parent: Version, roles: Mapping[str, int], changes: Mapping[str, _Change]) -> dict[str, int]:
    """The counts of the version: the parent's, less what the samples counted there and with what they count now."""
    counts = Counter(
        {name: count for name, count in parent.counts.items() if name in (TAGS, _CAPTIONS) or name.startswith(_OUT)}
    )
    for change in changes.values():
        counts.subtract(_counted(change.found.role, change.found.line.sample))
        counts.update(_counted(change.role, change.sample))
    told = {name: count for name, count in sorted(counts.items()) if count > 0}
    return {**roles, "found": 0, "new": 0, ACTED_ON: len(changes), TAGS: counts[TAGS], **told}


_CAPTIONS, _OUT = "captions", "rejected-"


def _counted(role: Role, sample: Sample) -> Counter[str]:
    if role == "rejected":
        said = sample.value(REJECTION)
        return Counter([f"{_OUT}{said.get('check')}"] if isinstance(said, dict) else [])
    return Counter({TAGS: len(sample.value(TAGS) or ()), _CAPTIONS: int(bool(sample.value(CAPTION)))})
