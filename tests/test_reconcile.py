"""The reconcile loop against a server that speaks Ray's Jobs API: whatever Ray says or forgets, jobs end right."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import pictures
from imageyard.manifests import Dataset, Store
from imageyard.manifests.errors import ClusterError, JobError
from imageyard.manifests.store import Entry
from imageyard.ray_jobs import job
from imageyard.ray_jobs.job_attempts import attempt_writer
from imageyard.ray_jobs.submit import GRACE, RayJobs
from imageyard.service.one_job import FIRST_PAUSE, MAX_ATTEMPTS, MAX_FAILED, Limits
from imageyard.service.reconcile import Reconciler
from imageyard.service.stores import Stores
from jobs import drop, job_events, store_keys
from ray_api import TOKEN, RayApi, ray_api
from test_jobs import asked_of, attempt


class Time:
    """Seconds of a machine's own clock, which a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def api() -> Iterator[RayApi]:
    with ray_api() as server:
        yield server


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset = Dataset.open((tmp_path / "cats").as_uri())
    drop(dataset, {"p.jpg": pictures.photo(1, (96, 96))})
    return dataset


def loop_of(dataset: Dataset, api: RayApi, time: Time | None = None, **limits: float) -> Reconciler:
    ray = RayJobs(api.address, TOKEN, timeout=20)
    return Reconciler({"acme": lambda: [dataset.url]}, ray, limits=Limits(**limits), monotonic=time or Time())  # type: ignore[arg-type]


def submitted(dataset: Dataset, name: str = "a-job") -> job.Submission:
    return job.submit(dataset.store, asked_of(dataset, name))


def begin(dataset: Dataset, number: int, name: str = "a-job") -> job.Log:
    """An attempt says that it runs."""
    log = job.Log(dataset.store, name, lambda: datetime.now(UTC), writer=attempt_writer(number))
    log.say("running")
    return log


def state(dataset: Dataset, name: str = "a-job") -> str:
    return job.describe(dataset.store, name).state


def test_a_submission_is_handed_over_once_with_a_constant_command(dataset: Dataset, api: RayApi) -> None:
    asked = submitted(dataset)
    loop = loop_of(dataset, api)
    assert (loop.once().live, loop.once().live) == (1, 1)
    (handed,) = api.jobs.values()
    assert handed["submission_id"] == "a-job-a1"
    assert handed["entrypoint"] == f"python -m imageyard.ray_jobs.main {asked.url}"
    assert handed["runtime_env"] == {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(GRACE)}}
    assert handed["metadata"]["imageyard-sha256"] == asked.sha256
    assert TOKEN not in str(handed)
    assert state(dataset) == "pending"
    assert sum(path == "/api/jobs/" for _, path in api.asked) == 1


def test_what_was_handed_over_by_one_that_died_then_is_not_handed_over_twice(dataset: Dataset, api: RayApi) -> None:
    asked = submitted(dataset)
    RayJobs(api.address, TOKEN).hand_over(asked, 1)  # and it dies before it can write that down
    assert loop_of(dataset, api).once().live == 1
    assert list(api.jobs) == ["a-job-a1"]
    assert job.describe(dataset.store, "a-job").attempt == 1


def test_two_loops_at_once_hand_over_the_same_attempts(dataset: Dataset, api: RayApi) -> None:
    for number in range(6):
        submitted(dataset, f"job-{number}")
    loops = [loop_of(dataset, api) for _ in range(2)]
    threads = [threading.Thread(target=loop.once) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(api.jobs) == [f"job-{number}-a1" for number in range(6)]
    for number in range(6):
        assert [event["kind"] for event in job_events(dataset, f"job-{number}")].count("handed") == 1


def test_a_head_that_was_started_anew_is_given_the_next_attempt(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    loop = loop_of(dataset, api)
    for number in range(1, 9):  # a lost head is nobody's fault: more of them than of faults are borne
        loop.once()
        assert list(api.jobs) == [f"a-job-a{number}"]
        begin(dataset, number)
        assert state(dataset) == "running"
        api.jobs.clear()
    loop.once()
    lost = [event for event in job_events(dataset, "a-job") if event["kind"] == "lost"]
    assert len(lost) == 8
    assert "started anew" in lost[0]["error"]


def test_attempts_that_end_without_a_word_are_tried_again_with_pauses_and_then_it_failed(
    dataset: Dataset, api: RayApi
) -> None:
    submitted(dataset)
    time = Time()
    loop = loop_of(dataset, api, time)
    for number in range(1, MAX_FAILED + 1):
        loop.once()
        assert f"a-job-a{number}" in api.jobs
        api.set(f"a-job-a{number}", "FAILED", "x" * 5000 + "Killed")
        loop.once()
        assert f"a-job-a{number + 1}" not in api.jobs
        time.now += FIRST_PAUSE * 2**number
    loop.once()
    status = job.describe(dataset.store, "a-job")
    assert (status.state, status.attempt) == ("failed", MAX_FAILED)
    assert (status.error or "").endswith("Killed")
    assert len(status.error or "") < 3000
    assert store_keys(dataset.store, "open") == []
    assert loop.once().open == 0


def test_attempts_that_are_lost_without_end_come_to_an_end(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    loop = loop_of(dataset, api)
    for _ in range(MAX_ATTEMPTS + 1):
        loop.once()
        api.jobs.clear()
    assert state(dataset) == "failed"


def test_an_attempt_that_was_ended_from_outside_is_followed_by_another_at_once(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    loop = loop_of(dataset, api)
    for number in range(1, MAX_FAILED + 2):
        loop.once()
        api.set(f"a-job-a{number}", "STOPPED")
    assert len(api.jobs) == MAX_FAILED + 1


def test_a_job_whose_version_is_there_is_committed_however_its_last_attempt_ended(
    dataset: Dataset, api: RayApi, models: Path
) -> None:
    asked = submitted(dataset)
    attempt(dataset, asked, models)
    dataset.store.remove(dataset.store.head("jobs/a-job/ended.json"))
    dataset.store.create("open/a-job", b"")
    time = Time()
    loop = loop_of(dataset, api, time)
    for number in range(2, MAX_FAILED + 2):  # the first is lost with its head
        loop.once()
        api.set(f"a-job-a{number}", "FAILED", "Killed")
        loop.once()
        time.now += 1000
    loop.once()
    assert state(dataset) == "committed"
    assert dataset.numbers() == [1]


def test_an_attempt_that_falls_silent_is_ended_and_followed_by_another(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    time = Time()
    loop = loop_of(dataset, api, time, stale=120)
    loop.once()
    api.set("a-job-a1", "RUNNING")
    log = begin(dataset, 1)
    for _ in range(5):  # it lives, whatever its clock says
        loop.once()
        time.now += 100
        log.say("alive")
        loop.once()
        time.now += 100
        log.say("alive")
    loop.once()
    assert api.stopped == []
    time.now += 121
    loop.once()
    loop.once()
    assert api.stopped == ["a-job-a1"]
    assert list(api.jobs) == ["a-job-a1"]
    api.set("a-job-a1", "STOPPED")
    loop.once()
    assert list(api.jobs) == ["a-job-a1", "a-job-a2"]


def test_an_attempt_whose_node_is_gone_is_lost_although_ray_says_that_it_runs(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    time = Time()
    loop = loop_of(dataset, api, time, stale=120)
    loop.once()
    api.set("a-job-a1", "RUNNING")
    begin(dataset, 1)
    api.gone = "a-job-a1"
    loop.once()
    time.now += 121
    loop.once()
    assert list(api.jobs) == ["a-job-a1", "a-job-a2"]
    assert api.stopped == ["a-job-a1"]


def test_an_attempt_that_waited_long_for_the_cluster_is_not_lost_when_it_begins(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    time = Time()
    loop = loop_of(dataset, api, time, stale=120)
    loop.once()
    for _ in range(5):
        time.now += 100
        loop.once()
    api.set("a-job-a1", "RUNNING")
    loop.once()
    assert api.stopped == []


def test_a_cancelled_attempt_that_cannot_be_ended_is_left_behind(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    time = Time()
    loop = loop_of(dataset, api, time, cancel=30, stale=120)
    loop.once()
    begin(dataset, 1)
    api.set("a-job-a1", "RUNNING")
    job.cancel(dataset.store, "a-job", by="somebody")
    for _ in range(4):
        loop.once()
        assert state(dataset) == "cancelling"
        time.now += 60
    time.now += 60
    loop.once()
    assert (state(dataset), api.stopped) == ("cancelled", ["a-job-a1"])


def test_a_job_that_nobody_can_read_hides_no_lost_attempt_of_another(dataset: Dataset, api: RayApi) -> None:
    dataset.store.create("open/bad-one", b"")
    dataset.store.create("jobs/bad-one/submitted.json", b"garbage")
    submitted(dataset)
    time = Time()
    loop = loop_of(dataset, api, time, stale=120)
    loop.once()
    api.set("a-job-a1", "RUNNING")
    begin(dataset, 1)
    for _ in range(4):
        loop.once()
        time.now += 61
    loop.once()
    assert api.stopped == ["a-job-a1"]


def test_an_attempt_that_is_silent_and_cannot_be_ended_is_left_behind(dataset: Dataset, api: RayApi) -> None:
    """Its node is gone, and Ray has not noticed."""
    submitted(dataset)
    time = Time()
    loop = loop_of(dataset, api, time, stale=120)
    loop.once()
    api.set("a-job-a1", "RUNNING")
    for _ in range(4):
        loop.once()
        time.now += 121
    loop.once()
    assert "a-job-a2" in api.jobs


def test_a_job_that_waits_in_the_cluster_says_so_and_is_cancelled_at_once(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    loop = loop_of(dataset, api)
    loop.once()
    loop.once()
    later = datetime.now(UTC) + timedelta(minutes=7)
    assert job.describe(dataset.store, "a-job").waiting is None
    assert "7 minutes ago" in (job.describe(dataset.store, "a-job", clock=lambda: later).waiting or "")
    assert job.cancel(dataset.store, "a-job", by="somebody").state == "cancelled"
    loop.once()
    assert loop.once().open == 0


def test_a_pending_next_attempt_is_cancelled_at_once_too(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    loop = loop_of(dataset, api)
    loop.once()
    begin(dataset, 1)
    api.jobs.clear()
    loop.once()
    assert list(api.jobs) == ["a-job-a2"]
    assert job.cancel(dataset.store, "a-job", by="somebody").state == "cancelling"
    loop.once()
    assert state(dataset) == "cancelled"


def test_a_running_job_that_is_cancelled_has_time_to_end_and_is_ended_then(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    time = Time()
    loop = loop_of(dataset, api, time, cancel=30)
    loop.once()
    begin(dataset, 1)
    api.set("a-job-a1", "RUNNING")
    loop.once()
    job.cancel(dataset.store, "a-job", by="somebody")
    loop.once()
    assert (state(dataset), api.stopped) == ("cancelling", [])
    time.now += 31
    loop.once()
    loop.once()
    assert (state(dataset), api.stopped) == ("cancelling", ["a-job-a1"])
    api.set("a-job-a1", "STOPPED")
    loop.once()
    assert state(dataset) == "cancelled"
    assert list(api.jobs) == ["a-job-a1"]


def test_an_attempt_whose_clock_was_set_back_is_not_taken_for_silent(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    time = Time()
    loop = loop_of(dataset, api, time, stale=120)
    loop.once()
    api.set("a-job-a1", "RUNNING")
    clock = datetime.now(UTC)
    log = job.Log(dataset.store, "a-job", lambda: clock, writer=attempt_writer(1))
    log.say("running")
    loop.once()
    clock -= timedelta(hours=1)
    for _ in range(6):
        time.now += 60
        clock += timedelta(seconds=60)
        log.say("alive")
        loop.once()
    assert api.stopped == []


EVENT = "20260101T000000000000-0123abcd-000001-alive"


@pytest.mark.parametrize(
    ("key", "garbage"),
    [
        ("jobs/a-job/attempts/001.json", b"garbage"),
        ("jobs/a-job/attempts/README.md", b"# Attempts"),
        ("jobs/a-job/ended.json", b"{}"),
        ("jobs/a-job/submitted.json", b"[]"),
        (f"jobs/a-job/events/{EVENT}.json", b"garbage"),
        (f"jobs/a-job/events/{EVENT}.json", b"[1]"),
        (f"jobs/a-job/events/{EVENT}.json", b"\xff\xfe"),
        ("open/..-is-no-job", b""),
    ],
)
def test_what_somebody_put_beside_a_job_holds_up_no_other(
    dataset: Dataset, api: RayApi, key: str, garbage: bytes
) -> None:
    dataset.store.create("open/a-job", b"")
    dataset.store.create(key, garbage)
    if not key.endswith("submitted.json"):
        dataset.store.create("jobs/a-job/submitted.json", asked_of(dataset).encoded())
    submitted(dataset, "good-one")
    ray = RayJobs(api.address, TOKEN, timeout=20)
    heard: list[str] = []
    loop = Reconciler({"acme": lambda: [dataset.url]}, ray, heard=lambda url, name, one, said: heard.append(name))
    for _ in range(3):
        loop.once()
        api.jobs.pop("a-job-a1", None)
    assert "good-one-a1" in api.jobs
    assert "good-one" in heard


def test_a_cluster_that_is_away_loses_nothing(dataset: Dataset) -> None:
    submitted(dataset)
    time = Time()
    with ray_api() as api:
        port = api.port
    loop = loop_of(dataset, api, time)
    for _ in range(3):
        assert "cannot be reached" in (loop.once().away or "")
        assert "asked again" in (loop.once().away or "")  # not at once
        time.now += 100
    assert state(dataset) == "submitted"
    with ray_api(RayApi(port=port)) as back:
        assert loop.once().away is None
        assert list(back.jobs) == ["a-job-a1"]


def test_one_job_that_ray_refuses_holds_up_no_other(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset, "bad-one")
    submitted(dataset, "good-one")
    api.refuses = "bad-one"
    loop = loop_of(dataset, api)
    found = loop.once()
    assert list(api.jobs) == ["good-one-a1"]
    assert (found.away, len(found.troubles)) == (None, 1)
    assert "no room" in found.troubles[0]
    before = len(api.asked)
    loop.once()  # it is not asked for again at once
    assert [path for method, path in api.asked[before:] if method == "POST"] == []


def test_a_cluster_is_given_so_many_jobs_at_a_time_the_oldest_first(dataset: Dataset, api: RayApi) -> None:
    for number in (3, 1, 2):
        submitted(dataset, f"job-{number}")
    loop = loop_of(dataset, api, most=2)
    assert (loop.once().live, loop.once().live) == (2, 2)
    assert sorted(api.jobs) == ["job-1-a1", "job-3-a1"]
    job.cancel(dataset.store, "job-1", by="somebody")
    loop.once()
    loop.once()
    assert "job-2-a1" in api.jobs


def test_who_is_looked_at_first_in_turn_waits_for_room_and_takes_none_from_others(
    dataset: Dataset, tmp_path: Path, api: RayApi
) -> None:
    other = Dataset.open((tmp_path / "bees").as_uri())
    for number in range(4):
        submitted(dataset, f"job-{number}")
    submitted(other, "theirs")
    orders = iter([[dataset.url, other.url], [other.url, dataset.url]] * 2)
    loop = Reconciler(
        {"acme": lambda: next(orders)}, RayJobs(api.address, TOKEN), limits=Limits(most=2), monotonic=Time()
    )
    assert (loop.once().live, loop.once().live) == (2, 2)
    assert sorted(api.jobs) == ["job-0-a1", "job-1-a1"]
    job.end(
        dataset.store,
        "job-0",
        job.Ended(state="nothing", ended=job.stamp(datetime.now(UTC))),
        clock=lambda: datetime.now(UTC),
    )
    assert [loop.once().live, loop.once().live] == [1, 2]
    assert sorted(api.jobs) == ["job-0-a1", "job-1-a1", "theirs-a1"]


def test_a_marker_of_a_submission_that_never_came_goes_after_an_hour(dataset: Dataset, api: RayApi) -> None:
    dataset.store.create("open/nobody", b"")
    loop_of(dataset, api).once()
    assert store_keys(dataset.store, "open") == ["open/nobody"]
    late = Reconciler(
        {"acme": lambda: [dataset.url]},
        RayJobs(api.address, TOKEN),
        clock=lambda: datetime.now(UTC) + timedelta(hours=2),
    )
    late.once()
    assert store_keys(dataset.store, "open") == []


class Meanwhile(Store):
    """A real store; just before a call something else happens."""

    before: tuple[str, str] = ("", "")
    then: Callable[[], object] = staticmethod(lambda: None)

    def _passes(self, verb: str, key: str) -> None:
        if (verb, key) == self.before:
            self.before = ("", "")
            self.then()

    def create(self, key: str, data: bytes) -> None:
        self._passes("create", key)
        super().create(key, data)

    def remove(self, entry: Entry) -> bool:
        self._passes("remove", entry.key)
        return super().remove(entry)


class OneStore(Stores):
    """The same store for every URL."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def dataset(self, url: str) -> Store:
        return self._store


@pytest.mark.parametrize("who", ["client", "loop"])
def test_what_is_submitted_again_while_its_old_marker_is_swept_away_is_handed_over(
    dataset: Dataset, api: RayApi, who: str
) -> None:
    """The first try died an hour ago between the marker and the submission."""
    dataset.store.create("open/a-job", b"")
    store = Meanwhile(dataset.store._backend, dataset.url)
    ray = RayJobs(api.address, TOKEN, timeout=20)
    late = Reconciler(
        {"acme": lambda: [dataset.url]},
        ray,
        clock=lambda: datetime.now(UTC) + timedelta(hours=2),
        stores=OneStore(store),
    )
    if who == "client":  # it has seen its marker, and puts the submission there in a moment
        store.before, store.then = ("create", "jobs/a-job/submitted.json"), late.once
        job.submit(store, asked_of(dataset))
    else:  # the loop has seen no submission, and takes the marker away in a moment
        store.before, store.then = ("remove", "open/a-job"), lambda: job.submit(dataset.store, asked_of(dataset))
        late.once()
    loop_of(dataset, api).once()
    assert list(api.jobs) == ["a-job-a1"]


def test_a_submission_without_a_marker_is_mended_by_asking_again(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    dataset.store.remove(dataset.store.head("open/a-job"))
    submitted(dataset)
    loop_of(dataset, api).once()
    assert list(api.jobs) == ["a-job-a1"]


def test_a_dataset_that_cannot_be_read_holds_up_no_other(dataset: Dataset, api: RayApi) -> None:
    submitted(dataset)
    ray = RayJobs(api.address, TOKEN)
    found = Reconciler({"acme": lambda: ["ftp://nowhere", dataset.url]}, ray).once()
    assert list(api.jobs) == ["a-job-a1"]
    assert len(found.troubles) == 1


def test_a_dataset_whose_name_no_command_may_have_fails_its_job(tmp_path: Path, api: RayApi) -> None:
    dataset = Dataset.open((tmp_path / "cats; echo").as_uri().replace("%20", " ").replace("%3B", ";"))
    job.submit(dataset.store, asked_of(dataset))
    loop_of(dataset, api).once()
    assert api.jobs == {}
    assert "not the URL" in (job.describe(dataset.store, "a-job").error or "")


@pytest.mark.parametrize("token", [None, "wrong"])
def test_a_wrong_token_is_told_and_not_shown(dataset: Dataset, api: RayApi, token: str | None) -> None:
    submitted(dataset)
    ray = RayJobs(api.address, token)
    with pytest.raises(ClusterError, match="RAY_AUTH_TOKEN") as raised:
        ray.check()
    assert "wrong" not in str(raised.value)
    assert Reconciler({"acme": lambda: [dataset.url]}, ray).once().away is not None
    assert state(dataset) == "submitted"


@pytest.mark.parametrize(
    "raw",
    [
        (302, {"Location": "http://169.254.169.254/"}, b""),
        (200, {}, b"<html>"),
        (200, {}, b"[]"),
        (200, {}, b'{"status": "DANCING"}'),
        (200, {}, b'{"status": "RUNNING"' + b" " * 5_000_000 + b"}"),
        (502, {}, b"\xff\xfe"),
    ],
)
def test_an_answer_that_is_none_of_ray_is_an_error(api: RayApi, raw: tuple[int, dict[str, str], bytes]) -> None:
    api.raw = raw
    with pytest.raises(ClusterError):
        RayJobs(api.address, TOKEN).status("a-job-a1")


@pytest.mark.parametrize(
    "address", ["ray://head:10001", "http://user:word@head:8265", "head:8265", "http://h/x", "auto"]
)
def test_an_address_that_is_no_dashboard_is_refused(address: str) -> None:
    with pytest.raises(JobError, match="dashboard"):
        RayJobs(address)


def test_a_job_of_that_id_that_is_not_ours_is_an_error(dataset: Dataset, api: RayApi) -> None:
    asked = submitted(dataset)
    api.jobs["a-job-a1"] = {"status": "RUNNING", "metadata": {}}
    with pytest.raises(JobError, match="another job"):
        RayJobs(api.address, TOKEN).hand_over(asked, 1)


def test_the_environment_does_not_say_where_ray_is(api: RayApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    RayJobs(api.address, TOKEN).check()
