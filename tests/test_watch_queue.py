"""The watcher on a real queue: bucket notifications become samples, through redelivery, kills and nonsense."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import pictures
from imageyard.manifests import Dataset
from imageyard.manifests.errors import QueueError
from imageyard.ray_jobs.engine import LocalEngine
from imageyard.ray_jobs.recipe import parse_recipe
from imageyard.service.watch.lying import Watched
from imageyard.service.watch.runners import LocalRunner
from imageyard.service.watch.sqs import SqsQueue
from imageyard.service.watch.watcher import Pace, Watcher
from imageyard.service.watch.windows import Rule
from jobs import DATE, roles, store_keys
from ministack import Ministack
from queues import s3_message

pytestmark = pytest.mark.server

PHOTOS = [pictures.photo(seed, (64, 64)) for seed in range(3)]


@dataclass(frozen=True)
class Place:
    """A bucket that tells a queue, and a dataset in it."""

    server: Ministack
    bucket: str
    queue: str

    @property
    def dataset(self) -> Dataset:
        return Dataset.open(f"s3://{self.bucket}/cats")

    @property
    def dead(self) -> str:
        return f"{self.queue}-dead"

    def upload(self, name: str, data: bytes) -> None:
        self.server.client("s3").put_object(Bucket=self.bucket, Key=f"cats/drop/{name}", Body=data)

    def send(self, body: str) -> None:
        self.server.client("sqs").send_message(QueueUrl=self.queue, MessageBody=body)

    def watcher(self, folder: Path, *, dead_letters: bool = False, **pace: Any) -> Watcher:
        recipe = parse_recipe({"dataset": self.dataset.url, "steps": ["ingest"]}, where="the test")
        queue = SqsQueue.open(self.queue, dead_letters=self.dead if dead_letters else None)
        runner = LocalRunner(LocalEngine, folder, date=DATE)
        return Watcher(lambda: [Watched(recipe)], runner, queue=queue, pace=Pace(**pace))

    def watch_once(self, folder: Path) -> Watcher:
        watcher = self.watcher(folder, once=True)
        watcher.run()
        return watcher


@pytest.fixture
def place(events: Ministack) -> Place:
    name = f"test-{uuid.uuid4().hex[:12]}"
    queue = events.queue(name, dead_letters_after=3)
    return Place(events, events.bucket(name, tells=queue, prefix="cats/drop/"), queue)


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_upload_becomes_a_message_and_a_sample(place: Place, tmp_path: Path) -> None:
    """The first message of every notification is a test event."""
    name = "normal/red flower+1 100%.jpg"
    place.upload(name, PHOTOS[0])
    until(lambda: place.server.messages(place.queue) == 2)
    watcher = place.watcher(tmp_path, rule=Rule(0.5, 100))
    while place.server.messages(place.queue):
        watcher.turn()
    watcher.end()
    assert roles(place.dataset, place.dataset.newest()) == {name: "unsplit"}
    assert store_keys(place.dataset.store, "drop") == []
    counts = watcher.counts
    assert (counts.deleted, counts.jobs, counts.images, counts.malformed) == (2, 1, 1, 0)


def test_no_name_of_an_object_stops_the_others(place: Place, tmp_path: Path) -> None:
    names = [
        "a\nb",
        "a\x01b",
        "a\tb",
        "d\x7f",
        "a//b",
        "a/../b",
        "..b/x",
        "x*?#{}^|~`",
        "\u202e",
        "%2F",
        "a\\b",
        "ü + %",
    ]
    for number, name in enumerate(names):
        place.upload(f"{name}.jpg", pictures.photo(number, (48, 48)))
    until(lambda: place.server.messages(place.queue) == len(names) + 1)
    watcher = place.watch_once(tmp_path)
    assert watcher.counts.failures == 0
    assert set(roles(place.dataset, place.dataset.newest())) == {f"{name}.jpg" for name in names}
    assert store_keys(place.dataset.store, "drop") == []
    assert place.server.messages(place.queue) == 0


def test_where_all_objects_are_told_of_our_own_are_nobodys_events(events: Ministack, tmp_path: Path) -> None:
    name = f"test-{uuid.uuid4().hex[:12]}"
    queue = events.queue(name)
    place = Place(events, events.bucket(name, tells=queue), queue)
    place.upload("a.jpg", PHOTOS[0])
    watcher = place.watch_once(tmp_path)
    assert watcher.counts.unrouted > 5
    assert watcher.counts.jobs == 1
    assert place.server.messages(place.queue) == 0
    assert place.dataset.numbers() == [1]


def test_a_redelivered_message_commits_nothing(place: Place, tmp_path: Path) -> None:
    place.upload("a.jpg", PHOTOS[0])
    etag = hashlib.md5(PHOTOS[0], usedforsecurity=False).hexdigest()
    place.watch_once(tmp_path)
    for _ in range(3):
        place.send(s3_message("cats/drop/a.jpg", bucket=place.bucket, etag=etag))
    place.watch_once(tmp_path)
    assert place.dataset.numbers() == [1]
    assert place.server.messages(place.queue) == 0


def test_an_overwritten_key_ends_with_the_last_content(place: Place, tmp_path: Path) -> None:
    """Equal bytes have equal ETags here, so the first content comes back under a (key, ETag) that was taken in."""
    for data in (PHOTOS[0], PHOTOS[1], PHOTOS[0]):
        place.upload("a.jpg", data)
        place.watch_once(tmp_path)
    newest = place.dataset.newest()
    assert newest is not None
    keys = [sample.key for sample in place.dataset.read(newest, "unsplit")]
    assert keys == [hashlib.sha256(PHOTOS[0]).hexdigest()]
    assert newest.counts["rejected-superseded"] == 1


def test_held_messages_stay_hidden_while_the_window_is_open(place: Place, tmp_path: Path) -> None:
    place.upload("a.jpg", PHOTOS[0])
    watcher = place.watcher(tmp_path, rule=Rule(3600, 100), hide=4)
    other = SqsQueue.open(place.queue)
    until(lambda: place.server.messages(place.queue) == 2)
    end = time.monotonic() + 9
    watcher.turn()
    while time.monotonic() < end:
        watcher.turn()
        assert other.receive(wait=0, hide=0, most=1) == []
    watcher.end()
    assert len(other.receive(wait=5, hide=30, most=1)) == 1  # given back


def test_a_message_that_is_none_goes_to_the_dead_letter_queue_with_its_reason(place: Place, tmp_path: Path) -> None:
    place.send("hello")
    place.upload("a.jpg", PHOTOS[0])
    watcher = place.watcher(tmp_path, dead_letters=True, once=True)
    watcher.run()
    assert watcher.counts.buried == 1
    assert place.server.messages(place.queue) == 0
    sqs = place.server.client("sqs")
    said = sqs.receive_message(QueueUrl=place.dead, MessageAttributeNames=["All"], WaitTimeSeconds=5)["Messages"]
    assert [message["Body"] for message in said] == ["hello"]
    assert said[0]["MessageAttributes"]["reason"]["StringValue"] == "not JSON"
    assert len(place.dataset.numbers()) == 1


def test_without_a_dead_letter_queue_of_ours_the_redrive_policy_moves_it(place: Place, tmp_path: Path) -> None:
    place.send("hello")
    watcher = place.watcher(tmp_path, rule=Rule(1, 10), hide=1)
    until_dead = time.monotonic() + 120
    while not place.server.messages(place.dead):
        watcher.turn()
        assert time.monotonic() < until_dead
    watcher.end()
    assert watcher.counts.malformed == 3
    assert watcher.counts.buried == 0


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "not the URL of a queue"),
        ("https://user:secret@sqs.eu-west-1.amazonaws.com/1/q", "has credentials in it"),
        ("file:///etc/passwd", "not the URL of a queue"),
        ("http://127.0.0.1:1/000000000000/missing", "there is no such queue"),
    ],
)
def test_a_queue_that_is_none_is_said_to_be_none(events: Ministack, url: str, said: str) -> None:
    with pytest.raises(QueueError, match=said) as raised:
        SqsQueue.open(url)
    assert "secret" not in str(raised.value)


# --- the process ---


@contextmanager
def imageyard_watch(place: Place, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`imageyard watch` of the dataset, killed when the block is left."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(json.dumps({"dataset": place.dataset.url, "steps": ["ingest"]}))
    command = [sys.executable, "-m", "imageyard.service.cli", "watch", str(recipe), "--queue", place.queue, "--json"]
    with open(folder / "errors", "ab") as errors:
        process = subprocess.Popen(
            [*command, "--actors", "1", "--window", "1", *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


@pytest.mark.cluster
def test_killed_between_commit_and_delete_it_commits_nothing_twice(place: Place, tmp_path: Path) -> None:
    place.upload("a.jpg", PHOTOS[0])
    place.upload("empty.jpg", b"")
    until(lambda: place.server.messages(place.queue) == 3)
    with imageyard_watch(place, tmp_path, "--hide", "5") as process:
        next(lines(process))
        until(lambda: place.dataset.numbers() == [1], 120)
        process.kill()
    assert place.server.messages(place.queue) >= 2  # the two events have not been deleted
    with imageyard_watch(place, tmp_path, "--hide", "5") as process:
        until(lambda: place.server.messages(place.queue) == 0, 120)
        process.send_signal(signal.SIGTERM)
        last = list(lines(process))[-1]
        assert process.wait(60) == 0
    assert last["kind"] == "ended"
    assert last["images"] == 0
    assert place.dataset.numbers() == [1]
    assert store_keys(place.dataset.store, "drop") == []
    assert roles(place.dataset, place.dataset.newest()) == {"a.jpg": "unsplit", "empty.jpg": "rejected"}


@pytest.mark.cluster
def test_once_drains_the_queue_and_says_what_it_did(place: Place, tmp_path: Path) -> None:
    place.upload("a.jpg", PHOTOS[0])
    place.send("hello")
    with imageyard_watch(place, tmp_path, "--once", "--dead-letters", place.dead) as process:
        said = list(lines(process))
        assert process.wait(60) == 0
    kinds = [line["kind"] for line in said]
    assert kinds[0] == "watching"
    assert kinds[-1] == "ended"
    committed = next(line for line in said if line["kind"] == "committed")
    assert committed["version"] == 1
    assert committed["counts"]["found"] == 1
    assert next(line for line in said if line["kind"] == "malformed")["reason"] == "not JSON"


def test_a_recipe_that_takes_nothing_in_is_refused(place: Place, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({"dataset": place.dataset.url, "steps": [{"split": {"test": 0.5}}]}))
    command = [sys.executable, "-m", "imageyard.service.cli", "watch", str(recipe)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "has no `ingest` step" in done.stderr
