"""The watcher over real stores and runs: whatever becomes of events, every object ends in one sample or rejection."""

import hashlib
import itertools
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pictures
from imageyard.manifests import Dataset
from imageyard.manifests.errors import JobError, QueueError
from imageyard.manifests.version import ROLES
from imageyard.ray_jobs.engine import LocalEngine
from imageyard.ray_jobs.recipe import parse_recipe
from imageyard.service.watch.counts import Counts
from imageyard.service.watch.lying import Mark, Routes, Watched
from imageyard.service.watch.runners import LocalRunner, Ran
from imageyard.service.watch.sqs import Message
from imageyard.service.watch.watcher import Pace, Watcher
from imageyard.service.watch.windows import LONGEST_PAUSE, Pause, Rule, Window, closes, failed, grown
from jobs import DATE, drop, store_keys
from queues import MemoryQueue, s3_message

GOOD = [pictures.photo(seed, (48, 48)) for seed in range(4)]
BROKEN = [b"", pictures.truncated()]
NAMES = itertools.count()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


class World:
    """Datasets in memory, a queue, a clock, and a watcher that may die and be started again."""

    def __init__(self, folder: Path, *names: str, queue: bool = True, pace: Pace | None = None, **more: Any) -> None:
        self.bucket = f"b{next(NAMES)}-{folder.name}".replace("_", "-").lower()
        self.datasets = {name: Dataset.open(f"memory://{self.bucket}/{name}") for name in names or ("cats",)}
        self.clock, self.folder, self.more = Clock(), folder, more
        self.queue = MemoryQueue(self.clock) if queue else None
        self.pace = pace or Pace(Rule(30, 5), every=1000, hide=60)
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.start()

    def start(self) -> Watcher:
        recipes = [{"dataset": dataset.url, "steps": ["ingest"]} for dataset in self.datasets.values()]
        watched = [Watched(parse_recipe(recipe, where="the test")) for recipe in recipes]
        runner = self.more.get("runner") or LocalRunner(LocalEngine, self.folder, date=DATE)
        self.watcher = Watcher(
            lambda: watched,
            runner,
            queue=self.queue,
            pace=self.pace,
            tell=lambda kind, **said: self.said.append((kind, said)),
            clock=self.clock,
            pause=lambda seconds: None,
        )
        return self.watcher

    def die(self) -> None:
        """As kill -9 does: nothing is put back, nothing deleted. What ran is over, as far as the store is concerned."""
        while self.watcher.busy:
            time.sleep(0.001)
        self.start()

    def turn(self, turns: int = 1) -> None:
        for _ in range(turns):
            self.watcher.turn()
            while self.watcher.busy:
                time.sleep(0.001)

    def pass_(self, seconds: float) -> None:
        self.turn(2)
        self.clock.pass_(seconds)
        self.turn(3)

    @property
    def dataset(self) -> Dataset:
        return next(iter(self.datasets.values()))

    def upload(self, name: str, data: bytes, *, dataset: str | None = None, told: bool = True) -> str:
        """Put an object into a drop folder, over what lies there; the body of its notification, sent if `told`."""
        where = self.datasets[dataset] if dataset else self.dataset
        entries = {entry.key: entry for entry in where.store.list("drop")}
        if f"drop/{name}" in entries:
            where.store.remove(entries[f"drop/{name}"])
        drop(where, {name: data})
        folder = next(key for key, value in self.datasets.items() if value is where)
        etag = where.store.head(f"drop/{name}").etag.strip('"')
        body = s3_message(f"{folder}/drop/{name}", bucket=self.bucket, etag=etag)
        if told and self.queue is not None:
            self.queue.send(body)
        return body

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        return [said for one, said in self.said if one == kind]


def outcome(dataset: Dataset) -> dict[str, str | None]:
    """By content, the check that a sample was rejected for, or None; fails if a content is there twice."""
    newest = dataset.newest()
    found: dict[str, str | None] = {}
    for role in ROLES if newest else ():
        assert newest is not None
        for sample in dataset.read(newest, role):
            assert sample.key not in found
            found[sample.key] = sample.value("rejection")["check"] if role == "rejected" else None
    return found


def key_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- windows ---


@pytest.mark.parametrize(
    ("arrivals", "pause", "expected"),
    [
        ([(0, 1)], Pause(), 30),
        ([(0, 1), (29, 1)], Pause(), 30),
        ([(0, 1), (10, 4)], Pause(), 0),
        ([(7, 5)], Pause(), 7),
        ([(0, 1)], Pause(2, 100.0), 100),
        ([(0, 5)], Pause(2, 100.0), 100),
    ],
)
def test_a_window_closes_by_time_or_by_count_and_never_within_a_pause(
    arrivals: list[tuple[float, int]], pause: Pause, expected: float
) -> None:
    window: Window | None = None
    for now, events in arrivals:
        window = grown(window, now, events)
    assert window is not None
    assert closes(window, pause, Rule(30, 5)) == expected


def test_pauses_double_up_to_a_limit() -> None:
    pause, lengths = Pause(), []
    for _ in range(60):
        pause = failed(pause, 0.0)
        lengths.append(pause.until)
    assert lengths[:4] == [5, 10, 20, 40]
    assert lengths == sorted(lengths)
    assert lengths[-1] == LONGEST_PAUSE


@pytest.mark.parametrize(
    ("bucket", "key", "found"),
    [
        ("b", "cats/drop/a.jpg", ("cats", "drop/a.jpg")),
        ("b", "cats/drop/normal/a.jpg", ("cats", "drop/normal/a.jpg")),
        ("b", "cats/drop/drop/a.jpg", ("cats", "drop/drop/a.jpg")),
        ("b", "cats/drop/x/drop/a.jpg", ("cats/drop/x", "drop/a.jpg")),
        ("b", "drop/a.jpg", ("", "drop/a.jpg")),
        ("b", "cats/images/a.jpg", None),
        ("b", "cats/backdrop/a.jpg", None),
        ("b", "dogs/drop/a.jpg", None),
        ("c", "cats/drop/a.jpg", None),
        ("b", "cats/drop", None),
    ],
)
def test_an_object_belongs_to_the_dataset_in_whose_drop_folder_it_lies(
    bucket: str, key: str, found: tuple[str, str] | None
) -> None:
    urls = {prefix: f"s3://b/{prefix}".rstrip("/") for prefix in ("", "cats", "cats/drop/x")}
    steps = [Watched(parse_recipe({"dataset": url, "steps": ["ingest"]}, where="x")) for url in urls.values()]
    place = Routes(steps).find(bucket, key)
    assert place == (None if found is None else (urls[found[0]], found[1]))


# --- the loop ---


def test_a_message_is_deleted_after_the_commit_and_not_before(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.turn(2)
    world.upload("a.jpg", GOOD[0])
    world.turn()
    assert world.dataset.numbers() == []
    assert world.queue is not None
    assert len(world.queue.shown) == 1
    world.pass_(30)
    assert outcome(world.dataset) == {key_of(GOOD[0]): None}
    assert world.queue.shown == {}
    assert store_keys(world.dataset.store, "drop") == []
    assert world.watcher.counts == Counts(received=1, deleted=1, windows=1, jobs=1, images=1)


def test_a_burst_does_not_wait_for_the_window(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.turn()
    for number in range(5):
        world.upload(f"{number}.jpg", pictures.photo(number, (48, 48)))
    world.turn(3)
    assert len(outcome(world.dataset)) == 5
    assert world.watcher.counts.jobs == 1


def test_a_redelivered_event_changes_nothing_and_starts_no_job(tmp_path: Path) -> None:
    world = World(tmp_path)
    body = world.upload("a.jpg", GOOD[0])
    world.pass_(30)
    jobs = store_keys(world.dataset.store, "jobs")
    assert world.queue is not None
    world.queue.send(body)
    world.queue.send(body)
    world.pass_(30)
    assert world.queue.shown == {}
    assert world.dataset.numbers() == [1]
    assert store_keys(world.dataset.store, "jobs") == jobs
    assert world.watcher.counts.duplicates == 1
    assert world.watcher.counts.jobs == 1


def test_a_watcher_that_dies_between_commit_and_delete_leaves_nothing_to_do_twice(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.turn()
    world.upload("a.jpg", GOOD[0])
    world.turn()
    world.clock.pass_(30)
    world.watcher.turn()  # the job begins, and its end is not heard of
    world.die()
    assert world.dataset.numbers() == [1]
    assert world.queue is not None
    assert len(world.queue.shown) == 1
    world.pass_(60)
    world.pass_(30)
    assert world.queue.shown == {}
    assert world.dataset.numbers() == [1]
    assert world.watcher.counts.jobs == 0


def test_an_object_that_no_event_told_of_is_found_by_listing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.turn(2)
    world.upload("a.jpg", GOOD[0], told=False)
    world.pass_(100)
    assert world.dataset.numbers() == []
    world.pass_(900)
    world.pass_(30)
    assert outcome(world.dataset) == {key_of(GOOD[0]): None}
    assert world.watcher.counts.found == 1


def test_without_a_queue_listing_is_enough(tmp_path: Path) -> None:
    world = World(tmp_path, queue=False, pace=Pace(Rule(30, 5), every=60))
    world.turn(2)
    world.upload("a.jpg", GOOD[0])
    world.pass_(60)
    world.pass_(30)
    assert outcome(world.dataset) == {key_of(GOOD[0]): None}


def test_what_waits_is_dealt_with_and_said(tmp_path: Path) -> None:
    world = World(tmp_path)
    for name in (".hidden", "nobody.txt", "notes.json"):
        world.upload(name, b"words")
    world.pass_(30)
    assert world.queue is not None
    assert world.queue.shown == {}
    (said,) = world.kinds("nothing")
    assert {one["key"] for one in said["waiting"]} == {"drop/.hidden", "drop/nobody.txt", "drop/notes.json"}
    for _ in range(5):
        world.pass_(1000)
    assert world.watcher.counts.jobs == 1  # the same three are no news


def test_a_caption_that_waits_finds_its_picture_and_a_late_one_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.upload("a.txt", b"first the words")
    world.pass_(30)
    world.upload("a.jpg", GOOD[0])
    world.upload("b.jpg", GOOD[1])
    world.pass_(30)
    world.upload("b.txt", b"last the words")
    world.pass_(30)
    newest = world.dataset.newest()
    assert newest is not None
    captions = {sample.key: sample.value("caption") for sample in world.dataset.read(newest, "unsplit")}
    assert captions == {key_of(GOOD[0]): "first the words", key_of(GOOD[1]): "last the words"}
    assert store_keys(world.dataset.store, "drop") == []


def test_malformed_messages_are_buried_with_a_reason_and_hold_up_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.queue is not None
    world.queue.send("hello")
    world.queue.send('{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}')
    world.upload("a.jpg", GOOD[0])
    world.pass_(30)
    world.pass_(30)
    assert world.queue.buried == [("hello", "not JSON")]
    assert world.queue.shown == {}
    assert world.kinds("malformed")[0]["reason"] == "not JSON"
    assert world.watcher.counts.malformed == world.watcher.counts.buried == 1
    assert outcome(world.dataset) == {key_of(GOOD[0]): None}


def test_events_of_no_dataset_are_deleted_and_counted(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.queue is not None
    world.queue.send(s3_message("elsewhere/a.jpg", "cats/images/a.jpg", bucket=world.bucket))
    world.turn()
    assert world.queue.shown == {}
    assert world.watcher.counts.unrouted == 2


def test_a_message_of_two_datasets_waits_for_both(tmp_path: Path) -> None:
    world = World(tmp_path, "cats", "dogs")
    for name in ("cats", "dogs"):
        world.upload("a.jpg", GOOD[0], dataset=name, told=False)
    assert world.queue is not None
    world.queue.send(s3_message("cats/drop/a.jpg", "dogs/drop/a.jpg", bucket=world.bucket))
    world.turn(2)
    world.clock.pass_(30)
    world.turn(1)
    assert len(world.queue.shown) == 1  # one of the two has been looked at
    world.turn(3)
    assert world.queue.shown == {}
    assert [len(outcome(dataset)) for dataset in world.datasets.values()] == [1, 1]


class Stubborn:
    """A runner whose jobs of one dataset fail until told otherwise."""

    at_once = 1

    def __init__(self, inner: LocalRunner, fails: str) -> None:
        self.inner, self.fails, self.tries = inner, fails, 0

    def run(self, watched: Watched, lying: Collection[Mark], stopping: Callable[[], bool]) -> Ran:
        if self.fails and watched.url.endswith(self.fails):
            self.tries += 1
            raise JobError("a model is missing")
        return self.inner.run(watched, lying, stopping)


def test_a_failing_dataset_keeps_its_messages_backs_off_and_blocks_no_other(tmp_path: Path) -> None:
    runner = Stubborn(LocalRunner(LocalEngine, tmp_path, date=DATE), "dogs")
    world = World(tmp_path, "cats", "dogs", runner=runner)
    world.upload("a.jpg", GOOD[0], dataset="dogs")
    world.upload("a.jpg", GOOD[1], dataset="cats")
    world.pass_(30)
    assert outcome(world.datasets["cats"]) == {key_of(GOOD[1]): None}
    assert world.queue is not None
    assert len(world.queue.shown) == 1
    for _ in range(200):
        world.pass_(10)
    assert 3 < runner.tries < 12
    assert world.queue.receives == {"m0": 1, "m1": 1}  # hidden all the while, so it wears out no redrive policy
    assert world.watcher.counts.failures == runner.tries
    assert "a model is missing" in world.kinds("failed")[0]["error"]
    runner.fails = ""
    for _ in range(100):
        world.pass_(10)
    assert outcome(world.datasets["dogs"]) == {key_of(GOOD[0]): None}
    assert world.queue.shown == {}


def test_a_watcher_that_ends_gives_back_what_it_holds(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.turn()
    world.upload("a.jpg", GOOD[0])
    world.turn()
    world.watcher.end()
    assert world.watcher.counts.given_back == 1
    world.start()
    world.pass_(0)
    world.pass_(30)
    assert outcome(world.dataset) == {key_of(GOOD[0]): None}


def test_once_takes_what_there_is_and_ends(tmp_path: Path) -> None:
    world = World(tmp_path, "cats", "dogs", pace=Pace(Rule(3600, 5000), once=True))
    world.upload("a.jpg", GOOD[0], dataset="cats")
    world.upload("a.jpg", GOOD[1], dataset="dogs", told=False)
    world.watcher.run()
    assert [len(outcome(dataset)) for dataset in world.datasets.values()] == [1, 1]
    assert world.queue is not None
    assert world.queue.shown == {}


def test_once_tries_a_failing_dataset_once(tmp_path: Path) -> None:
    runner = Stubborn(LocalRunner(LocalEngine, tmp_path, date=DATE), "cats")
    world = World(tmp_path, runner=runner, pace=Pace(once=True))
    world.upload("a.jpg", GOOD[0])
    world.watcher.run()
    assert world.watcher.counts.failures == runner.tries == 1
    assert world.queue is not None
    assert [at for at, _ in world.queue.shown.values()] == [world.clock.now]


def test_two_watchers_of_one_queue_are_harmless(tmp_path: Path) -> None:
    world = World(tmp_path)
    other = world.watcher
    world.start()
    for number in range(12):
        world.upload(f"{number}.jpg", pictures.photo(number, (48, 48)))
        (other if number % 2 else world.watcher).turn()
    for _ in range(6):
        world.clock.pass_(15)
        other.turn()
        world.watcher.turn()
        while other.busy or world.watcher.busy:
            time.sleep(0.001)
    world.turn(2)
    other.turn()
    assert set(outcome(world.dataset).values()) == {None}
    assert len(outcome(world.dataset)) == 12
    assert world.queue is not None
    assert world.queue.shown == {}


def test_the_lag_is_the_age_of_the_oldest_message_held(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.watcher.lag(100.0) == 0
    world.upload("a.jpg", GOOD[0])
    world.turn()
    assert world.watcher.lag(100.0) == 100.0  # the queue of the test sent it in 1970
    world.pass_(30)
    assert world.watcher.lag(100.0) == 0


class During:
    """A runner during whose first job something else happens, after it has looked at the drop folder."""

    at_once = 1

    def __init__(self, inner: LocalRunner) -> None:
        self.inner = inner
        self.happens: Callable[[], None] | None = None

    def run(self, watched: Watched, lying: Collection[Mark], stopping: Callable[[], bool]) -> Ran:
        ran = self.inner.run(watched, lying, stopping)
        if self.happens is not None:
            self.happens()
            self.happens = None
        return ran


@pytest.mark.parametrize("told", [True, False])
def test_a_caption_that_comes_while_a_job_runs_is_not_taken_for_one_that_waits(tmp_path: Path, told: bool) -> None:
    runner = During(LocalRunner(LocalEngine, tmp_path, date=DATE))
    world = World(tmp_path, runner=runner)
    runner.happens = lambda: world.upload("a.txt", b"words", told=told) and None
    world.upload("a.jpg", GOOD[0])
    world.pass_(30)
    world.pass_(30)
    newest = world.dataset.newest()
    assert newest is not None
    assert [sample.value("caption") for sample in world.dataset.read(newest, "unsplit")] == ["words"]
    assert store_keys(world.dataset.store, "drop") == []


def test_a_message_that_was_lost_is_held_again_when_it_comes_again(tmp_path: Path) -> None:
    world = World(tmp_path, pace=Pace(Rule(300, 5), every=1000, hide=60))
    world.upload("a.jpg", GOOD[0])
    world.turn()
    world.clock.pass_(61)  # it is shown again, and another receives it
    assert world.queue is not None
    world.queue.receive(wait=0, hide=10, most=1)
    world.turn()
    world.clock.pass_(11)
    world.turn(2)
    assert len(world.queue.shown) == 1
    world.pass_(300)
    assert outcome(world.dataset) == {key_of(GOOD[0]): None}
    assert world.queue.shown == {}


class StoppedMidway:
    """A runner during whose jobs the watcher is told to stop."""

    at_once = 1

    def __init__(self, inner: LocalRunner) -> None:
        self.inner = inner
        self.stop: Callable[[], None] = lambda: None

    def run(self, watched: Watched, lying: Collection[Mark], stopping: Callable[[], bool]) -> Ran:
        self.stop()
        return self.inner.run(watched, lying, stopping)


def test_a_watcher_that_is_told_to_stop_stops_its_job_and_gives_everything_back(tmp_path: Path) -> None:
    runner = StoppedMidway(LocalRunner(LocalEngine, tmp_path, date=DATE))
    world = World(tmp_path, runner=runner)
    runner.stop = world.watcher.stop
    world.upload("a.jpg", GOOD[0])
    world.turn(2)
    world.clock.pass_(30)
    world.watcher.run()
    assert world.dataset.numbers() == []
    assert [kind for kind, _ in world.said if kind != "found"] == ["stopped"]
    assert world.queue is not None
    assert [at for at, _ in world.queue.shown.values()] == [world.clock.now]
    world.more = {}
    world.start()
    world.pass_(30)
    assert outcome(world.dataset) == {key_of(GOOD[0]): None}


class Away(MemoryQueue):
    """A queue that cannot be asked."""

    away = True

    def receive(self, *, wait: int, hide: int, most: int) -> list[Message]:
        if self.away:
            raise QueueError("the queue cannot be reached")
        return super().receive(wait=wait, hide=hide, most=most)


def test_while_the_queue_is_away_listing_goes_on_and_the_queue_is_asked_ever_more_rarely(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.queue = queue = Away(world.clock)
    world.start()
    world.upload("a.jpg", GOOD[0])
    for _ in range(40):
        world.pass_(30)
    assert outcome(world.dataset) == {key_of(GOOD[0]): None}
    assert 4 < len(world.kinds("queue")) < 12
    queue.away = False
    for _ in range(40):
        world.pass_(30)
    assert queue.shown == {}
    assert world.watcher.counts.jobs == 1


def test_messages_for_which_there_is_no_room_come_again(tmp_path: Path) -> None:
    runner = Stubborn(LocalRunner(LocalEngine, tmp_path, date=DATE), "dogs")
    world = World(tmp_path, "cats", "dogs", runner=runner, pace=Pace(Rule(30, 5), every=1000, hide=60, most_held=3))
    for number in range(6):
        world.upload(f"{number}.jpg", pictures.photo(number, (48, 48)), dataset="dogs")
    world.upload("a.jpg", GOOD[0], dataset="cats")
    world.pass_(30)
    assert world.watcher.counts.given_back == 3
    assert outcome(world.datasets["cats"]) == {key_of(GOOD[0]): None}
    runner.fails = ""
    for _ in range(60):
        world.pass_(30)
    assert len(outcome(world.datasets["dogs"])) == 6
    assert world.queue is not None
    assert world.queue.shown == {}


# --- whatever happens ---

UPLOAD = st.tuples(
    st.just("upload"),
    st.sampled_from(["a.jpg", "b.jpg", "normal/c.png"]),
    st.integers(0, len(GOOD) + len(BROKEN) - 1),
    st.lists(st.floats(0, 200), max_size=3),
)
"""A name, a content, and when each of its notifications comes; none, where it is lost."""
HAPPENING = UPLOAD | st.tuples(st.just("pass"), st.floats(0, 90)) | st.just(("die",)) | st.just(("turn",))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(HAPPENING, max_size=14))
def test_whatever_becomes_of_events_and_watchers_every_object_ends_in_one_sample_or_one_rejection(
    tmp_path_factory: pytest.TempPathFactory, happenings: list[tuple[Any, ...]]
) -> None:
    world = World(tmp_path_factory.mktemp("w"))
    contents = [*GOOD, *BROKEN]
    came: dict[str, list[int]] = {}
    for kind, *what in happenings:
        if kind == "upload":
            name, content, times = what
            body = world.upload(name, contents[content], told=False)
            came.setdefault(name, []).append(content)
            assert world.queue is not None
            for after in times:
                world.queue.send(body, after=after)
        elif kind == "pass":
            world.pass_(what[0])
        elif kind == "die":
            world.die()
        else:
            world.turn()
    for _ in range(12):
        world.pass_(100)
    assert world.queue is not None
    assert world.queue.shown == {}
    assert store_keys(world.dataset.store, "drop") == []
    found = outcome(world.dataset)
    last = {key_of(contents[numbers[-1]]) for numbers in came.values()}
    good = {key_of(data) for data in GOOD}
    standing = {key for key, check in found.items() if check is None}
    assert last <= set(found)
    assert last & good <= standing
    behind_broken = {
        key_of(contents[number])
        for numbers in came.values()
        if numbers[-1] >= len(GOOD)
        for number in numbers
        if number < len(GOOD)
    }
    assert standing <= (last & good) | behind_broken
    assert {found[key] for key in found.keys() - good} <= {"empty", "truncated"}
    assert {found[key] for key in found.keys() & good} <= {None, "superseded"}
