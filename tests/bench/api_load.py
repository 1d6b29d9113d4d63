"""The service under load: 50 clients at once over a dataset of a million samples; latencies, errors, memory.

python tests/bench/api_load.py [--samples 1000000] [--clients 50] [--seconds 60] [--pause 0] [--folder DIR] [--s3]

`--folder` keeps the dataset for the next time; `--pause` is how long a client waits between two requests, in seconds.
With `--s3` the dataset lies in an embedded SeaweedFS, else in a folder.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent.parent))

from imageyard.manifests import Dataset, Sample, Version
from imageyard.manifests.chunks import Chunks
from imageyard.manifests.version import Role
from imageyard.ray_jobs.actions import Actions
from imageyard.ray_jobs.verdicts import Acting, act
from imageyard.service.local_s3 import serve as serve_s3
from served import ADMIN, Served, bearer, configuration, serving

VERSIONS = 5
NAME = "million"
WORDS = ("cat", "dog", "sofa", "window", "garden", "street", "portrait", "night", "snow", "red", "blue", "standing")
CONDITIONS = (
    'class == anomaly and tag "tag 3"',
    "tags > 10 and not caption snow",
    'tag "tag 150"',
    "caption garden",
    "role == test",
    "class == normal and caption sofa",
)
BUCKET = "load"


def key_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def line(key: str, drawn: random.Random, store: Dataset) -> tuple[Role, Sample]:
    """A line as the main job writes it: names, a class, tags, a caption, a split; some 1.1 kB."""
    role: Role = drawn.choices(("train", "validation", "test", "rejected"), (85, 5, 6, 4))[0]
    by = {"human-annotated": "no", "creation-date": "2026-01-15T09:30:00.000000"}
    tags = sorted({int(drawn.paretovariate(0.7)) % 5000 for _ in range(5)})
    words = " ".join(drawn.choices(WORDS, k=9))
    anomaly = drawn.random() < 0.1
    members: dict[str, Any] = {
        "content-sha256": key,
        "origin": [{"name": f"batch-{key[:2]}/{key[:12]}.jpg", "etag": f'"{key[:32]}"'}],
        "origin-metadata": {"type": "groundtruth/custom", "step": "ingest", **by},
        "anomaly-label": int(anomaly),
        "anomaly-label-metadata": {
            "type": "groundtruth/image-classification",
            "class-name": "anomaly" if anomaly else "normal",
            "confidence": 1,
            **by,
            "human-annotated": "yes",
        },
        "tags": tags,
        "tags-metadata": {
            "type": "groundtruth/image-classification-multilabel",
            "class-map": {str(tag): f"tag {tag}" for tag in tags},
            "confidence-map": {str(tag): round(drawn.random(), 3) for tag in tags},
            "model": "wd-vit-tagger-v3",
            **by,
        },
        "caption": words,
        "caption-metadata": {"type": "groundtruth/custom", "step": "caption", **by},
    }
    if role == "rejected":
        members |= {
            "rejection": {"step": "validate", "check": drawn.choice(["min_side", "min_sharpness"]), "reason": "small"},
            "rejection-metadata": {"type": "groundtruth/custom", "step": "validate", **by},
        }
    else:
        members |= {"split": role, "split-metadata": {"type": "groundtruth/custom", "step": "split", **by}}
    return role, Sample.of(store.store.address(f"images/{key[:2]}/{key}.jpg"), **members)


def build(url: str, samples: int) -> Dataset:
    """The dataset, made if it is not there: a version of all samples, and people's actions after it."""
    dataset = Dataset.open(url)
    drawn = random.Random(7)
    if not dataset.numbers():
        keys = sorted(key_of(number) for number in range(samples))
        started = time.perf_counter()
        draft = dataset.draft(line(key, drawn, dataset) for key in keys)
        first = Version(
            number=1,
            transaction=draft.transaction,
            parent=None,
            parent_sha256=None,
            created="2026-01-15T09:30:00.000000",
            job="load",
            fingerprint="load",
            recipe={"name": "load", "steps": [{"ingest": {}}, {"split": {"test": 0.06, "validation": 0.05}}]},
            extractors={},
            counts={role: entry.lines for role, entry in draft.manifests.items()},
            manifests=dict(draft.manifests),
            consumed=None,
        )
        dataset.commit(lambda parent: first)
        size = sum(entry.bytes for entry in draft.manifests.values())
        print(f"{samples:,} samples written in {time.perf_counter() - started:.1f} s, {size / samples:.0f} bytes each")
    keys = [key_of(number) for number in range(samples)]
    acting = Acting("load/bench", lambda: datetime.now(UTC), Chunks())
    seconds = []
    while len(dataset.numbers()) < VERSIONS:
        chosen = drawn.sample(keys, 30)
        actions = [
            {"action": "reject", "samples": chosen[:10], "reason": "blurred"},
            {"action": "split", "samples": chosen[10:20], "to": "test"},
            {"action": "caption", "samples": chosen[20:], "text": "a cat on a sofa"},
        ]
        started = time.perf_counter()
        act(dataset, Actions.model_validate({"actions": actions}), acting)
        seconds.append(time.perf_counter() - started)
    if seconds:
        print(f"a commit of 30 people's verdicts took {statistics.median(seconds):.2f} s (median of {len(seconds)})")
    return dataset


class Client:
    """One client: a connection of its own, and what it measured."""

    def __init__(self, served: Served, seed: int, samples: int) -> None:
        self._port = served.port
        self._connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
        self._drawn = random.Random(seed)
        self._samples = samples
        self._root = f"/v1/datasets/{NAME}"
        self._cursors: dict[str, str] = {}
        self._submitted = 0
        self.took: dict[str, list[float]] = defaultdict(list)
        self.errors: dict[str, list[str]] = defaultdict(list)
        self.seed = seed

    def run(self, operations: dict[str, int], until: float, pause: float) -> None:
        names, weights = list(operations), list(operations.values())
        while time.perf_counter() < until:
            name = self._drawn.choices(names, weights)[0]
            getattr(self, name)()
            if pause:
                time.sleep(self._drawn.uniform(0, 2 * pause))

    def ask(self, name: str, path: str, *, body: Any = None, good: tuple[int, ...] = (200,), **headers: str) -> bytes:
        data = json.dumps(body).encode() if body is not None else None
        kind = {"Content-Type": "application/json"} if data is not None else {}
        started = time.perf_counter()
        try:
            self._connection.request(
                "POST" if data is not None else "GET", path, data, {**bearer(ADMIN), **kind, **headers}
            )
            answer = self._connection.getresponse()
            text = answer.read()
            self.took[name].append(time.perf_counter() - started)
            if answer.status not in good:
                self.errors[name].append(f"{answer.status} {text[:300].decode()}")
                return b""
            return text
        except (OSError, http.client.HTTPException) as error:
            self.errors[name].append(repr(error))
            self._connection.close()
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            return b""

    def _number(self) -> int:
        return self._drawn.randint(1, VERSIONS)

    def list_datasets(self) -> None:
        self.ask("list_datasets", "/v1/datasets")

    def describe_dataset(self) -> None:
        self.ask("describe_dataset", self._root)

    def list_versions(self) -> None:
        self.ask("list_versions", f"{self._root}/versions?limit=5")

    def describe_version(self) -> None:
        self.ask("describe_version", f"{self._root}/versions/{self._number()}")

    def samples(self) -> None:
        self._page("samples", f"{self._root}/versions/{self._number()}/samples?limit=100")

    def samples_where(self) -> None:
        where = quote(self._drawn.choice(CONDITIONS))
        self._page("samples_where", f"{self._root}/versions/{self._number()}/samples?limit=50&where={where}")

    def _page(self, name: str, path: str) -> None:
        """Some pages of one list, each by the cursor of the one before."""
        cursor = ""
        for _ in range(self._drawn.randint(1, 4)):
            text = self.ask(name, path + (f"&cursor={cursor}" if cursor else ""))
            found = re.search(rb'"next":"([^"]+)"\}$', text[-400:])
            if found is None:
                return
            cursor = found[1].decode()

    def sample(self) -> None:
        key = key_of(self._drawn.randrange(self._samples))
        self.ask("sample", f"{self._root}/versions/{self._number()}/samples/{key}")

    def diff(self) -> None:
        one, other = self._number(), self._number()
        self.ask("diff", f"{self._root}/versions/{one}/diff/{other}?limit=50")

    def statistics(self) -> None:
        self.ask("statistics", f"{self._root}/versions/{self._number()}/statistics", good=(200, 202))

    def tags(self) -> None:
        self.ask("tags", f"{self._root}/versions/{self._number()}/tags?top=20", good=(200, 202))

    def submit(self) -> None:
        self._submitted += 1
        body = {"recipe": {"steps": [{"split": {"test": 0.1}}]}}
        name = f"load-{os.getpid()}-{self.seed}-{self._submitted}"
        self.ask("submit", f"{self._root}/jobs", body=body, good=(202,), **{"Idempotency-Key": name})


OPERATIONS = {
    "list_datasets": 5,
    "describe_dataset": 10,
    "list_versions": 10,
    "describe_version": 10,
    "samples": 15,
    "samples_where": 8,
    "sample": 15,
    "diff": 5,
    "statistics": 10,
    "tags": 2,
    "submit": 10,
}


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    said = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", said)
    return int(found[1]) * 1024 if found else 0


def processor(pid: int) -> float:
    """Seconds of CPU that a process has taken."""
    said = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(said[11]) + int(said[12])) / os.sysconf("SC_CLK_TCK")


def told(name: str, took: list[float], errors: list[str], seconds: float) -> str:
    ordered = sorted(took) or [0.0]
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.5, 0.99, 1)]
    return (
        f"{name:18s} {len(took):7,d} {len(took) / seconds:8.1f} {len(errors):6d} {at[0]:9.1f} {at[1]:9.1f} {at[2]:9.1f}"
    )


def load(served: Served, asked: argparse.Namespace) -> bool:
    first = Client(served, 0, asked.samples)
    document = json.loads(first.ask("openapi", "/openapi.json"))
    operations = dict(OPERATIONS)
    if "post" not in document["paths"].get("/v1/datasets/{dataset}/jobs", {}):
        print("no jobs can be submitted to this service: left out")
        del operations["submit"]
    first.ask("create", "/v1/datasets", body={"name": NAME}, good=(201, 409))
    clients = [Client(served, seed, asked.samples) for seed in range(1, asked.clients + 1)]
    grown: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            with contextlib.suppress(OSError):
                grown.append(memory(served.process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    before, taken = os.times(), processor(served.process.pid)
    started = time.perf_counter()
    threads = [
        threading.Thread(target=client.run, args=(operations, started + asked.seconds, asked.pause))
        for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    over.set()
    watcher.join()
    after = os.times()
    print(
        f"\n{'operation':18s} {'count':>7s} {'a second':>8s} {'errors':>6s} "
        f"{'p50 ms':>9s} {'p99 ms':>9s} {'most ms':>9s}"
    )
    whole: list[float] = []
    wrong: list[str] = []
    for name in operations:
        took = [one for client in clients for one in client.took[name]]
        errors = [one for client in clients for one in client.errors[name]]
        whole += took
        wrong += [f"{name}: {one}" for one in errors]
        print(told(name, took, errors, seconds))
    print(told("all", whole, wrong, seconds))
    quarters = [
        max(grown[at : at + max(1, len(grown) // 6)]) / 2**20 for at in range(0, len(grown), max(1, len(grown) // 6))
    ]
    print(f"memory of the service, most in each sixth of the time: {', '.join(f'{one:.0f}' for one in quarters)} MiB")
    spent = processor(served.process.pid) - taken
    print(f"the service took {spent:.1f} s of CPU, {spent / max(1, len(whole)) * 1000:.1f} ms a request")
    print(f"the clients took {after.user + after.system - before.user - before.system:.1f} s of CPU")
    for one in wrong[:10]:
        print(one)
    return not wrong


@contextlib.contextmanager
def placed(asked: argparse.Namespace, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The prefix of the tenants, and what the service's environment needs."""
    if not asked.s3:
        yield f"file://{folder}/store", {}
        return
    with serve_s3(folder / "s3") as server:
        os.environ.update(server.environment())
        with contextlib.suppress(Exception):
            server.create_bucket(BUCKET)
        yield f"s3://{BUCKET}", dict(server.environment())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pause", type=float, default=0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--s3", action="store_true")
    parser.add_argument("--build-only", action="store_true")
    asked = parser.parse_args()
    limits = {"requests_per_second": 100_000, "burst": 1_000_000, "open_jobs": 100_000}
    with contextlib.ExitStack() as stack:
        folder = asked.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        prefix, environment = stack.enter_context(placed(asked, folder.resolve()))
        build(f"{prefix}/acme/{NAME}", asked.samples)
        if asked.build_only:
            return
        said = configuration(prefix, limits=limits)
        served = stack.enter_context(serving(folder, said, environment=environment))
        good = load(served, asked)
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
