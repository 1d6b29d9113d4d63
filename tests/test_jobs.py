"""Jobs in the store: what was submitted is run once, whoever tries, and its end is there to be read."""

import json
import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import pictures
from cuts import FailingStore, PowerCut
from imageyard.manifests import Dataset, Store
from imageyard.manifests.errors import (
    CommitError,
    JobEndedError,
    JobError,
    JobMissingError,
    JobTakenError,
    ModelError,
    StoreError,
)
from imageyard.manifests.store import Entry
from imageyard.ray_jobs import job, job_end
from imageyard.ray_jobs.engine import LocalEngine
from imageyard.ray_jobs.job_log import ALIVE_EVERY, Log, kind_of
from imageyard.ray_jobs.recipe import parse_recipe
from imageyard.ray_jobs.run import Outcome, Surroundings, run
from imageyard.ray_jobs.submit import entry_point
from imageyard.ray_jobs.watcher import Unwatched
from imageyard.service.job_lists import JobLists
from imageyard.service.jobs_command import show_jobs
from imageyard.service.stores import Stores
from jobs import DATE, by_name, drop, go, job_events, manifests, recipe, store_keys

STEPS = ["ingest", {"validate": {"min_side": 64}}, {"split": {"test": 0.25}}]


def asked_of(dataset: Dataset, name: str = "a-job", **members: Any) -> job.Submission:
    said = {"recipe": {"steps": STEPS}, "created": job.stamp(DATE), "by": "the test", **members}
    return job.Submission(id=name, dataset=dataset.url, **said)


def attempt(dataset: Dataset, asked: job.Submission, models: Path, **more: Any) -> Outcome:
    """One attempt at a submitted job, in this process."""
    around = Surroundings(engine=LocalEngine(), models=models, job=asked, **more)
    return run(dataset, parse_recipe(asked.recipe, where="the test", dataset=asked.dataset), around)


def photos(count: int, *, first: int = 0) -> dict[str, bytes]:
    return {f"p{seed}.jpg": pictures.photo(seed, (96, 96)) for seed in range(first, first + count)}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(f"memory://{tmp_path.name}")


def test_folders_are_named_without_what_lies_in_them(tmp_path: Path) -> None:
    for store in (Store.open(f"memory://folders-{tmp_path.name}"), Store.open(tmp_path.as_uri())):
        look_at_folders(store)


@pytest.mark.server
def test_folders_of_a_bucket(bucket: str) -> None:
    look_at_folders(Store.open(f"s3://{bucket}"))
    look_at_folders(Store.open(f"s3://{bucket}/deeper/prefix"))


@pytest.mark.server
@pytest.mark.parametrize("name", ["cats", "my%20cats", "a%2Bb"])
def test_a_dataset_is_at_one_place_however_its_store_is_opened(bucket: str, name: str) -> None:
    url = f"s3://{bucket}/{name}"
    Store.open(url).create("drop/a.jpg", b"x")
    assert store_keys(Stores().dataset(url)) == ["drop/a.jpg"]


def look_at_folders(store: Store) -> None:
    for key in ("a/b/1", "a/b/2", "a/c/d/3", "a/x", "top"):
        store.create(key, b"x")
    assert store.folders("a") == ["b", "c"]
    assert "a" in store.folders()
    assert store.folders("a/b") == []
    assert store.folders("nothing") == []


def test_a_submission_asked_again_is_the_same_and_another_under_its_id_is_refused(dataset: Dataset) -> None:
    asked = asked_of(dataset)
    assert job.submit(dataset.store, asked) == asked
    again = asked.model_copy(update={"created": job.stamp(DATE + timedelta(hours=1))})
    before = store_keys(dataset.store)
    assert job.submit(dataset.store, again) == asked
    assert store_keys(dataset.store) == before
    with pytest.raises(JobTakenError):
        job.submit(dataset.store, asked.model_copy(update={"drop": False}))
    with pytest.raises(JobError, match="decisions"):
        job.submit(dataset.store, asked_of(dataset, "large", recipe={"steps": ["x" * job.RECIPE_BYTES]}))
    assert job.submission(dataset.store, "a-job") == asked
    assert store_keys(dataset.store, "open") == ["open/a-job"]


def test_a_submitted_job_runs_under_its_id_and_date_and_ends_in_the_store(dataset: Dataset, models: Path) -> None:
    drop(dataset, photos(4))
    asked = job.submit(dataset.store, asked_of(dataset))
    assert job.describe(dataset.store, "a-job").state == "submitted"
    outcome = attempt(dataset, asked, models)
    version = dataset.newest()
    assert version is not None
    assert (outcome.state, version.job, version.created) == ("committed", "a-job", job.stamp(DATE))
    status = job.describe(dataset.store, "a-job")
    assert (status.state, status.version, status.by) == ("committed", 1, "the test")
    assert status.work["images"] == 4
    assert status.counts["found"] == 4
    assert store_keys(dataset.store, "open") == []
    assert [kind_of(name) for name in job.event_ids(dataset.store, "a-job")][-1] == "committed"
    with pytest.raises(JobEndedError):
        attempt(dataset, asked, models)
    assert dataset.numbers() == [1]


def test_a_submitted_job_makes_the_bytes_that_a_run_makes(tmp_path: Path, models: Path) -> None:
    made = []
    for way in ("run", "submitted"):
        dataset = Dataset.open(f"memory://{tmp_path.name}-{way}")
        drop(dataset, photos(4))
        if way == "run":
            outcome = go(dataset, recipe(dataset, *STEPS), models)
        else:
            outcome = attempt(dataset, job.submit(dataset.store, asked_of(dataset)), models)
        found = manifests(dataset, outcome.version)
        made.append({role: data.replace(dataset.url.encode(), b"") for role, data in found.items()})
    assert made[0] == made[1]


def test_a_job_may_leave_the_drop_folder_alone(dataset: Dataset, models: Path) -> None:
    drop(dataset, photos(2))
    go(dataset, recipe(dataset, "ingest"), models)
    drop(dataset, photos(1, first=5))
    outcome = attempt(dataset, job.submit(dataset.store, asked_of(dataset, drop=False)), models)
    assert outcome.state == "committed"
    assert len(by_name(dataset, outcome.version)) == 2
    assert store_keys(dataset.store, "drop") == ["drop/p5.jpg"]


def test_a_job_with_nothing_to_do_ends_so(dataset: Dataset, models: Path) -> None:
    assert attempt(dataset, job.submit(dataset.store, asked_of(dataset, "empty")), models).state == "nothing"
    assert job.describe(dataset.store, "empty").state == "nothing"
    drop(dataset, photos(2))
    attempt(dataset, job.submit(dataset.store, asked_of(dataset, "first")), models)
    attempt(dataset, job.submit(dataset.store, asked_of(dataset, "second")), models)
    status = job.describe(dataset.store, "second")
    assert (status.state, status.version) == ("nothing", 1)
    assert store_keys(dataset.store, "open") == []


def test_a_job_that_cannot_be_done_has_failed_and_says_why(dataset: Dataset, models: Path) -> None:
    drop(dataset, photos(1))
    wanting = {"steps": ["ingest", {"tag": {"model": "/nowhere/none"}}]}
    asked = job.submit(dataset.store, asked_of(dataset, recipe=wanting))
    with pytest.raises(ModelError):
        attempt(dataset, asked, models)
    status = job.describe(dataset.store, "a-job")
    assert status.state == "failed"
    assert "/nowhere/none" in (status.error or "")
    assert store_keys(dataset.store, "open") == []


class Faulty(Store):
    """A real store that stops working when manifests are written."""

    def writer(self, key: str) -> Any:
        raise StoreError(f"{self.address(key)}: the store cannot be reached")


def test_a_store_that_fails_has_not_failed_the_job(dataset: Dataset, models: Path) -> None:
    drop(dataset, photos(2))
    asked = job.submit(dataset.store, asked_of(dataset))
    with pytest.raises(StoreError):
        attempt(Dataset(Faulty(dataset.store._backend, dataset.url)), asked, models)
    status = job.describe(dataset.store, "a-job")
    assert (status.state, store_keys(dataset.store, "open")) == ("submitted", ["open/a-job"])
    assert attempt(dataset, asked, models).state == "committed"


def test_a_job_cancelled_before_it_began_ends_at_once_and_never_runs(dataset: Dataset, models: Path) -> None:
    drop(dataset, photos(1))
    asked = job.submit(dataset.store, asked_of(dataset))
    assert job.cancel(dataset.store, "a-job", by="somebody").state == "cancelled"
    assert job.cancel(dataset.store, "a-job", by="somebody").state == "cancelled"
    with pytest.raises(JobEndedError):
        attempt(dataset, asked, models)
    assert dataset.numbers() == []
    assert store_keys(dataset.store, "open") == []


@pytest.mark.parametrize("phase", ["looking at the drop folder", "measuring", "deciding", "committing"])
def test_a_job_cancelled_while_it_runs_commits_nothing(dataset: Dataset, models: Path, phase: str) -> None:
    class Cancelling(Unwatched):
        seen = ""

        def phase(self, name: str, *, brief: bool = False) -> None:
            if name == phase and not self.seen:
                self.seen = job.cancel(dataset.store, "a-job", by="somebody").state

    drop(dataset, photos(2))
    asked, watcher = job.submit(dataset.store, asked_of(dataset)), Cancelling()
    with pytest.raises(JobEndedError):
        attempt(dataset, asked, models, watcher=watcher)
    assert watcher.seen == "cancelling"
    assert job.describe(dataset.store, "a-job").state == "cancelled"
    assert dataset.numbers() == []
    assert len(store_keys(dataset.store, "drop")) == 2


def test_a_job_interrupted_ends_only_if_it_was_cancelled(dataset: Dataset, models: Path) -> None:
    class Interrupting(Unwatched):
        def __init__(self, cancels: bool) -> None:
            self.cancels = cancels

        def phase(self, name: str, *, brief: bool = False) -> None:
            if name == "deciding":
                if self.cancels:
                    job.cancel(dataset.store, "a-job", by="somebody")
                raise KeyboardInterrupt

    drop(dataset, photos(1))
    asked = job.submit(dataset.store, asked_of(dataset))
    for cancels, state in ((False, "submitted"), (True, "cancelled")):
        with pytest.raises(KeyboardInterrupt):
            attempt(dataset, asked, models, watcher=Interrupting(cancels))
        assert job.describe(dataset.store, "a-job").state == state


def test_a_cancelled_job_that_had_its_version_by_then_is_committed(dataset: Dataset, models: Path) -> None:
    drop(dataset, photos(1))
    asked = job.submit(dataset.store, asked_of(dataset))
    attempt(dataset, asked, models)
    store = dataset.store
    store.remove(store.head("jobs/a-job/ended.json"))
    assert job.cancel(store, "a-job", by="somebody").state == "cancelling"
    assert job_end.end_cancelled(dataset, "a-job", clock=lambda: DATE).state == "committed"
    assert job.describe(store, "a-job").version == 1


def test_an_attempt_stopped_at_any_change_is_followed_by_one_that_commits_the_same_once(
    models: Path, tmp_path: Path
) -> None:
    """The moments between the commit, the report, the cleared drop folder and the end are among them."""

    def fresh(name: str) -> tuple[Dataset, FailingStore, job.Submission]:
        store = FailingStore(Store.open(f"memory://{name}")._backend, "memory://the-dataset")
        dataset = Dataset(store)
        drop(dataset, photos(3))
        return dataset, store, job.submit(store, asked_of(dataset))

    dataset, store, asked = fresh(f"{tmp_path.name}-undisturbed")
    before = store.changes
    expected = manifests(dataset, attempt(dataset, asked, models).version)
    for at in range(1, store.changes - before + 1):
        dataset, store, asked = fresh(f"{tmp_path.name}-{at}")
        store.left, store.after = at, bool(at % 2)
        with pytest.raises(PowerCut):
            attempt(dataset, asked, models)
        store.left = 10**9
        # What came meanwhile is for another job, if this one has its version.
        committed = dataset.numbers() == [1]
        if committed:
            drop(dataset, photos(1, first=9))
        try:
            assert attempt(dataset, asked, models).state == "committed"
        except JobEndedError:
            assert committed
        assert manifests(dataset, dataset.newest()) == expected, f"stopped at change {at}"
        assert dataset.numbers() == [1], f"stopped at change {at}"
        assert job.describe(store, "a-job").state == "committed"
        assert store_keys(store, "drop") == (["drop/p9.jpg"] if committed else []), f"stopped at change {at}"


class FlakyStore(Store):
    """A real store that fails once: at its nth call of any verb, before or after it was done."""

    left = 10**9
    after = False
    calls = 0

    def _call(self, key: str, verb: Callable[[], Any]) -> Any:
        self.calls += 1
        self.left -= 1
        if self.left == 0 and not self.after:
            raise StoreError(f"{key}: away for a moment")
        found = verb()
        if self.left == 0:
            raise StoreError(f"{key}: the answer was lost")
        return found

    def get(self, key: str, *, etag: str | None = None) -> bytes:
        return bytes(self._call(key, lambda: Store.get(self, key, etag=etag)))

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        return bytes(self._call(key, lambda: Store.get_range(self, key, offset, length)))

    def head(self, key: str) -> Entry:
        found: Entry = self._call(key, lambda: Store.head(self, key))
        return found

    def list(self, prefix: str = "") -> Iterator[Entry]:
        yield from self._call(prefix, lambda: list(Store.list(self, prefix)))

    def create(self, key: str, data: bytes) -> None:
        self._call(key, lambda: Store.create(self, key, data))

    def remove(self, entry: Entry) -> bool:
        return bool(self._call(entry.key, lambda: Store.remove(self, entry)))


@pytest.mark.parametrize("after", [False, True])
def test_an_attempt_whose_store_fails_once_anywhere_does_not_fail_its_job(
    models: Path, tmp_path: Path, after: bool
) -> None:
    def fresh(name: str) -> tuple[Dataset, FlakyStore, job.Submission]:
        store = FlakyStore(Store.open(f"memory://{name}")._backend, "memory://the-dataset")
        dataset = Dataset(store)
        drop(dataset, {**photos(3), "p1.txt": b"a caption", "broken.jpg": b"x"})
        return dataset, store, job.submit(store, asked_of(dataset))

    dataset, store, asked = fresh(f"{tmp_path.name}-undisturbed")
    before = store.calls
    expected = manifests(dataset, attempt(dataset, asked, models).version)
    ways = set()
    for at in range(1, store.calls - before + 1):
        dataset, store, asked = fresh(f"{tmp_path.name}-{at}")
        store.left, store.after = at, after
        ends = []
        while not ends or job.ended(store, "a-job") is None:
            try:
                ends.append(attempt(dataset, asked, models).state)
            except (StoreError, CommitError):
                ends.append("passing")
            store.left = 10**9
            assert len(ends) < 4, f"failed at call {at}"
        ways.add(tuple(ends))
        how = job.ended(store, "a-job")
        assert how is not None
        assert how.state == "committed", f"failed at call {at}: {how.error}"
        assert dataset.numbers() == [1], f"failed at call {at}"
        assert manifests(dataset, dataset.newest()) == expected, f"failed at call {at}"
        go(dataset, recipe(dataset, *STEPS), models)
        assert store_keys(store, "drop") == [], f"failed at call {at}"
    assert ("committed",) in ways or ("passing", "committed") in ways


class Turnstile:
    """Lets one of two threads pass at a time, by a drawn order that only the seed decides."""

    def __init__(self, seed: int, names: tuple[str, ...]) -> None:
        self._chance = random.Random(seed)
        self._weights = dict.fromkeys(names, 1.0)
        self._changed = threading.Condition()
        self._next = names[0]

    def slow_down(self) -> None:
        """Let the thread that calls pass seldom from now on: what it has yet to do comes late."""
        with self._changed:
            self._weights[threading.current_thread().name] = self._chance.choice([1.0, 0.1, 0.001])

    def passes(self) -> None:
        name = threading.current_thread().name
        with self._changed:
            if name in self._weights:
                assert self._changed.wait_for(lambda: self._next == name, timeout=60)
                self._draw()

    def leave(self) -> None:
        with self._changed:
            del self._weights[threading.current_thread().name]
            self._draw()

    def _draw(self) -> None:
        if self._weights:
            (self._next,) = self._chance.choices(list(self._weights), list(self._weights.values()))
        self._changed.notify_all()


class SlowStore(Store):
    """A real store; between two of its answers anything may happen. A picture arrives with the first version."""

    turnstile: Turnstile
    arrived = False

    def get(self, key: str, *, etag: str | None = None) -> bytes:
        self.turnstile.passes()
        return super().get(key, etag=etag)

    def create(self, key: str, data: bytes) -> None:
        self.turnstile.passes()
        super().create(key, data)
        if key.startswith("versions/") and not self.arrived:
            type(self).arrived = True
            self.turnstile.slow_down()
            super().create("drop/late.jpg", pictures.photo(77, (96, 96)))


@pytest.mark.parametrize("seed", range(24))
def test_two_attempts_at_once_in_any_order_commit_once(models: Path, tmp_path: Path, seed: int) -> None:
    """A lost driver that was not lost: it may not make a second version, although there is something new to take in."""

    class Slow(SlowStore):
        turnstile = Turnstile(seed, ("one", "two"))

    backend = Store.open(f"memory://{tmp_path.name}")._backend
    plain = Dataset(Store(backend, "memory://the-dataset"))
    drop(plain, photos(2))
    asked = job.submit(plain.store, asked_of(plain))
    ends: dict[str, str] = {}

    def work() -> None:
        name = threading.current_thread().name
        try:
            ends[name] = attempt(Dataset(Slow(backend, plain.url)), asked, models).state
        except JobEndedError:
            ends[name] = "ended before"
        finally:
            Slow.turnstile.leave()

    threads = [threading.Thread(target=work, name=name) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "committed" in ends.values()
    assert set(ends.values()) <= {"committed", "ended before"}
    assert plain.numbers() == [1]
    assert job.describe(plain.store, "a-job").version == 1
    assert store_keys(plain.store, "drop") == ["drop/late.jpg"]


def test_runs_without_a_submission_are_jobs_too(dataset: Dataset, models: Path) -> None:
    drop(dataset, {**photos(2), "half.jpg": pictures.truncated()})
    strict = parse_recipe({"dataset": dataset.url, "steps": ["ingest"], "max_error_fraction": 0.1}, where="the test")
    with pytest.raises(JobError):
        go(dataset, strict, models)
    (name,) = job.ids(dataset.store)
    failed = job.describe(dataset.store, name)
    assert (failed.state, failed.by) == ("failed", "run")
    assert "cannot be read" in (failed.error or "")
    # Run again, it is the same job: what failed may have been a limit that has been lifted since.
    outcome = go(dataset, recipe(dataset, "ingest"), models)
    assert outcome.job is not None
    status = job.describe(dataset.store, outcome.job)
    assert (status.state, status.version, status.attempt) == ("committed", 1, 2)
    with pytest.raises(JobMissingError):
        job.cancel(dataset.store, outcome.job, by="somebody")


def test_a_short_list_of_many_jobs_describes_those_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = Dataset.open((tmp_path / "cats").as_uri())
    for number in range(30):
        created = job.stamp(DATE + timedelta(minutes=number))
        job.submit(dataset.store, asked_of(dataset, f"job-{number}", created=created))
    for number in range(27):  # those that are not shown cannot be described
        dataset.store.create(f"jobs/job-{number}/ended.json", b"garbage")
    show_jobs(dataset.url, limit=3, as_json=True)
    assert [said["id"] for said in json.loads(capsys.readouterr().out)] == ["job-29", "job-28", "job-27"]
    show_jobs(dataset.url, limit=2, as_json=False)
    assert "more" in capsys.readouterr().out


def test_a_list_of_jobs_leaves_out_what_is_none(dataset: Dataset) -> None:
    for name in ("bad-end", "bad-submission", "good-one", "bad-record"):
        job.submit(dataset.store, asked_of(dataset, name))
    dataset.store.create("jobs/bad-end/ended.json", b"garbage")
    dataset.store.create("jobs/bad-record/job.json", b"[]")
    dataset.store.remove(dataset.store.head("jobs/bad-submission/submitted.json"))
    dataset.store.create("jobs/bad-submission/submitted.json", b"garbage")
    page = JobLists().page(dataset.store, lambda: DATE, start="", most=10)
    assert [status.id for status in page.jobs] == ["good-one"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "a" * 64, "a\n", "no-such-job"])
def test_what_is_no_job_is_missing_whatever_it_is_called(dataset: Dataset, name: str) -> None:
    with pytest.raises(JobMissingError):
        job.describe(dataset.store, name)
    with pytest.raises(JobMissingError):
        job.cancel(dataset.store, name, by="somebody")


def test_events_go_on_after_one_that_is_known(dataset: Dataset, models: Path) -> None:
    drop(dataset, photos(1))
    attempt(dataset, job.submit(dataset.store, asked_of(dataset)), models)
    names = job.event_ids(dataset.store, "a-job")
    assert kind_of(names[0]) == "submitted"
    assert names == sorted(names)
    assert job.event_ids(dataset.store, "a-job", after=names[1]) == names[2:]
    assert len(job_events(dataset, "a-job")) == len(names)


@pytest.mark.parametrize(
    "forged",
    ["", "x", "../../versions/1", "20260101T000000000000-abcdefgh-000001-evil", "9" * 200, "a\r\nb: c", "é"],
)
def test_an_event_id_that_nobody_gave_is_refused(dataset: Dataset, forged: str) -> None:
    with pytest.raises(JobError, match="not the id of an event"):
        job.event_ids(dataset.store, "a-job", after=forged)


def test_a_day_of_work_is_some_thousand_events_and_silence_is_broken(dataset: Dataset) -> None:
    now = [DATE]
    log = Log(dataset.store, "long", lambda: now[0])
    log.say("running")
    for _ in range(24 * 3600):
        now[0] += timedelta(seconds=1)
        log.say_progress(work={"images": 1})
    times = [datetime.strptime(name[:21], "%Y%m%dT%H%M%S%f") for name in job.event_ids(dataset.store, "long")]
    gaps = [(after - before).total_seconds() for before, after in pairwise(times)]
    assert 2000 < len(gaps) < 3500
    assert (gaps[0], gaps[-1]) == (5, 30)
    log.say_alive()
    assert len(job.event_ids(dataset.store, "long")) == len(times)
    now[0] += ALIVE_EVERY
    log.say_alive()
    last = job.event(dataset.store, "long", job.event_ids(dataset.store, "long")[-1])
    assert (last["kind"], last["work"]) == ("alive", {"images": 1})


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/cats/jobs/a-job/submitted.json; echo",
        "s3://bucket/$(id)/jobs/a-job/submitted.json",
        "s3://bucket/../jobs/a-job/submitted.json",
        "s3://bucket/a//b/jobs/a-job/submitted.json",
        "s3://bucket/cats/jobs/A/submitted.json",
        "s3://bucket/cats/jobs/a-job/other.json",
        "s3://bucket/cats jobs/a-job/submitted.json",
        "s3://bucket/cats/jobs/a-job/submitted.json\n",
        "http://169.254.169.254/jobs/a-job/submitted.json",
        "memory://x/jobs/a-job/submitted.json",
        "s3:///jobs/a-job/submitted.json",
    ],
)
def test_an_address_that_is_none_of_a_submission_becomes_no_command(url: str) -> None:
    with pytest.raises(JobError, match="not the URL of a submission"):
        entry_point(url)


def test_the_command_of_a_submission_is_plain(dataset: Dataset) -> None:
    asked = replace_url(asked_of(dataset), "s3://bucket/dt=2026-01-15/cats_2")
    assert entry_point(asked.url) == (
        "python -m imageyard.ray_jobs.main s3://bucket/dt=2026-01-15/cats_2/jobs/a-job/submitted.json"
    )


def replace_url(asked: job.Submission, url: str) -> job.Submission:
    return asked.model_copy(update={"dataset": url})


def test_a_version_of_a_job_is_found_between_others(dataset: Dataset, models: Path) -> None:
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731
    drop(dataset, photos(1))
    go(dataset, recipe(dataset, "ingest"), models)
    drop(dataset, photos(1, first=1))
    attempt(dataset, job.submit(dataset.store, asked_of(dataset)), models)
    drop(dataset, photos(1, first=2))
    go(dataset, recipe(dataset, "ingest"), models)
    found = job_end.version_of(dataset, "a-job")
    assert found is not None
    assert found.number == 2
    assert job_end.version_of(dataset, "another") is None
    assert job_end.end_failed(dataset, "a-job", "lost", clock=clock).state == "committed"
