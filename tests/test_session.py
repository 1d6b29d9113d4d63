"""A day at work in some minutes: a thousand images are dropped while everything that takes them in is killed."""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

import ministack
from arrivals import Upload, accounted, deliveries, message, uploads
from imageyard.manifests import Dataset
from imageyard.manifests.errors import ImageyardError
from imageyard.ray_jobs import job
from imageyard.service.deployment import digest_of, new_key
from imageyard.service.local_s3 import LocalS3
from ourselves import Client, Program
from programs import free_port
from ray_head import RayHead, running_head

pytestmark = [pytest.mark.server, pytest.mark.cluster, pytest.mark.timeout(1200)]

IMAGES = int(os.environ.get("IMAGEYARD_SESSION_IMAGES", "1000"))
PATIENCE = 420.0
"""Seconds after the last disaster in which all must be taken in: a lost job is known to be lost after two minutes."""


@dataclass
class Yard:
    """Everything of a deployment, each a process of its own."""

    dataset: Dataset
    bucket: str
    queue: ministack.Ministack
    queue_url: str
    head: RayHead
    service: Program
    watcher: Program
    client: Client

    def drop(self, some: Sequence[Upload], chance: random.Random) -> None:
        """Upload, and let the queue deliver what it will of the events."""
        bodies = []
        for upload in some:
            key = f"drop/{upload.name}"
            self.dataset.store.create(key, upload.data)
            bodies.append(message(self.dataset.store, self.bucket, key))
        sqs = self.queue.client("sqs")
        for body in deliveries(bodies, chance):
            with contextlib.suppress(BotoCoreError, ClientError):  # while the queue restarts
                sqs.send_message(QueueUrl=self.queue_url, MessageBody=body)

    def busy(self, *, seconds: float = 60) -> None:
        """Wait until a job runs, so that there is something to disturb; not for ever, as all may be done."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(ImageyardError):
                names = [entry.key.rsplit("/", 1)[-1] for entry in self.dataset.store.list("open")]
                if any(job.describe(self.dataset.store, name).state == "running" for name in names):
                    return
            time.sleep(0.1)

    def kill_workers(self) -> None:
        for pid in self.head.pids("ray::_Actor"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_driver(self) -> None:
        for pid in self.head.pids("imageyard.ray_jobs.main"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_all(self) -> None:
        self.service.kill()
        self.watcher.kill()
        self.head.kill()
        self.head.start()
        self.watcher.start()
        self.service.start()


@pytest.fixture
def yard(s3: LocalS3, bucket: str, models: Path, tmp_path: Path) -> Iterator[Yard]:
    key, port = new_key(), free_port()
    with contextlib.ExitStack() as stack:
        queue = stack.enter_context(ministack.serve(tmp_path / "queue"))
        url = queue.queue("events", visibility=60, dead_letters_after=20)
        storage = {**s3.environment(), "AWS_ENDPOINT_URL_SQS": queue.endpoint, "IMAGEYARD_MODELS": str(models)}
        head = stack.enter_context(running_head(cpus=2, environment=storage))
        ours = {**storage, "RAY_AUTH_TOKEN": head.token}
        config = tmp_path / "service.yaml"
        config.write_text(
            json.dumps(
                {
                    "tenants": [
                        {
                            "name": "team",
                            "prefix": f"s3://{bucket}/team",
                            "keys": [{"name": "curator", "sha256": digest_of(key), "scopes": ["admin"]}],
                        }
                    ],
                    "ray": {"address": head.address},
                    "queue": {"url": url},
                    "watch": {"window": 2, "every": 20},
                    "models": {"folders": ["sentinel"]},
                }
            )
        )
        recipe = {"steps": ["ingest", {"validate": {"min_side": 32}}, {"tag": {"model": "sentinel", "threshold": 0.2}}]}
        own = tmp_path / "recipe.yaml"
        own.write_text(json.dumps({"dataset": f"s3://{bucket}/team/cats", **recipe}))
        service = Program(["serve", "--config", str(config), "--port", str(port)], ours, tmp_path / "service.log")
        watch = ["watch", str(own), "--queue", url, "--ray", head.address, "--window", "2", "--every", "20", "--json"]
        watcher = Program(watch, ours, tmp_path / "watcher.log")
        stack.callback(service.end)
        stack.callback(watcher.end)
        service.start()
        watcher.start()
        client = Client(f"http://127.0.0.1:{port}", key)
        client.wait()
        asked = {"name": "cats", "profile": "plain", "recipe": recipe, "watch": True}
        status, said = client.ask("POST", "/v1/datasets", asked)
        assert status == 201, said
        dataset = Dataset.open(f"s3://{bucket}/team/cats")
        yield Yard(dataset, bucket, queue, url, head, service, watcher, client)


def test_a_thousand_images_end_in_one_sample_or_one_rejection_each_whatever_is_killed(yard: Yard) -> None:
    dropped = uploads(IMAGES)
    disasters: list[Callable[[], Any]] = [
        yard.service.restart,
        yard.kill_workers,
        yard.watcher.restart,
        yard.kill_driver,
        yard.head.restart,
        yard.kill_all,
    ]
    size = -(-IMAGES // len(disasters))
    for part, disaster in enumerate(disasters):
        some = dropped[part * size : (part + 1) * size]
        before = len(yard.dataset.numbers())
        yard.drop(some[: size // 2], random.Random(part))
        yard.busy()
        arriving = threading.Thread(target=yard.drop, args=(some[size // 2 :], random.Random(100 + part)))
        arriving.start()
        disaster()
        arriving.join()
        assert waited_for(lambda before=before: [] if len(yard.dataset.numbers()) > before else ["nothing new"]) == []
    yard.queue.restart()
    yard.service.restart(signal.SIGTERM)
    wrong = waited_for(lambda: _wrong(yard, dropped))
    assert wrong == [], f"{wrong[:10]}\n{yard.service.said()[-3000:]}\n{yard.watcher.said()[-3000:]}"
    lying = waited_for(
        lambda: [entry.key for entry in yard.dataset.store.list("drop") if not _referred(yard, entry.key)]
    )
    assert lying == []
    assert waited_for(lambda: ["open"] * len(list(yard.dataset.store.list("open")))) == []
    states = [job.describe(yard.dataset.store, name).state for name in job.ids(yard.dataset.store)]
    assert set(states) <= {"committed", "nothing"}, states
    yard.client.wait()
    status, said = yard.client.ask("GET", "/v1/datasets/cats")
    assert status == 200
    assert said["version"]["number"] == yard.dataset.numbers()[-1]


def _wrong(yard: Yard, dropped: Sequence[Upload]) -> list[str]:
    newest = yard.dataset.newest()
    return accounted(yard.dataset, newest, dropped) if newest is not None else ["there is no version"]


def _referred(yard: Yard, key: str) -> bool:
    """Whether an object stays where it is, as a rejection refers to it: it could not be read, so there is no copy."""
    newest = yard.dataset.newest()
    assert newest is not None
    names = (
        origin["name"] for sample in yard.dataset.read(newest, "rejected") for origin in sample.value("origin") or ()
    )
    return key.removeprefix("drop/") in set(names)


def waited_for(left: Callable[[], list[str]], *, seconds: float = PATIENCE) -> list[str]:
    """What is left to wait for when nothing is, or when there was time enough."""
    until = time.monotonic() + seconds
    while (found := left()) and time.monotonic() < until:
        time.sleep(2)
    return found
