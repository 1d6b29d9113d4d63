"""The service as a process: its configuration, keys, health, numbers, logs, background loops and end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from starlette.testclient import TestClient
from typer.testing import CliRunner

from imageyard.manifests.store import Store
from imageyard.ray_jobs import job
from imageyard.service.api import create_app
from imageyard.service.api.loops import Loop, running
from imageyard.service.api.metrics import Metrics
from imageyard.service.api.problems import ProblemError
from imageyard.service.api.rates import Rates
from imageyard.service.api.reconciling import datasets_of
from imageyard.service.api.streams import Streams
from imageyard.service.api.yard import Yard
from imageyard.service.catalog import Catalog
from imageyard.service.cli import app as command_line
from imageyard.service.deployment import DeploymentError, digest_of, load_deployment, parse_deployment
from imageyard.service.stores import Stores
from pictures import flat
from ray_api import TOKEN, ray_api
from served import ADMIN, OTHER, READ, SCRAPER, Served, bearer, configuration, deployment, serving

GOOD: dict[str, Any] = {
    "tenants": [
        {
            "name": "acme",
            "prefix": "s3://bucket/acme",
            "keys": [{"name": "ci", "sha256": "0" * 64, "scopes": ["read", "submit"]}],
        }
    ],
    "ray": {"address": "http://ray-head:8265"},
    "queue": {"url": "https://sqs.eu-central-1.amazonaws.com/123456789012/drops"},
    "limits": {"body_bytes": 2048},
}


def changed(**more: Any) -> dict[str, Any]:
    return {**GOOD, **more}


def tenant(**more: Any) -> dict[str, Any]:
    return changed(tenants=[{**GOOD["tenants"][0], **more}])


def key(**more: Any) -> dict[str, Any]:
    return tenant(keys=[{**GOOD["tenants"][0]["keys"][0], **more}])


def test_a_good_configuration_is_read(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(yaml.safe_dump(GOOD))
    read = load_deployment(tmp_path / "f.yaml")
    assert read.tenants[0].keys[0].scopes == ("read", "submit")
    assert (read.limits.body_bytes, read.dev) == (2048, False)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "has `tenants:`"),
        ([], "has `tenants:`"),
        ({}, "`tenants` is missing"),
        (changed(tenants=[]), "`tenants`"),
        (changed(strange=1), "no setting `strange`"),
        (changed(dev=True), "start with --dev"),
        (tenant(name="Acme"), "`tenants.0.name`"),
        (tenant(name="../x"), "`tenants.0.name`"),
        (tenant(prefix="s3://bucket"), "a whole bucket"),
        (tenant(prefix="s3://bucket/a/../b"), "'..' segment"),
        (tenant(prefix="s3://bucket//b"), "empty"),
        (tenant(prefix="file:///srv/data"), "must begin with s3://"),
        (tenant(prefix="http://bucket/x"), "must begin with s3://"),
        (tenant(prefix="s3://bucket/a?x=1"), "not a plain address"),
        (tenant(also=["s3://bucket"]), "a whole bucket"),
        (key(sha256="abc"), "`tenants.0.keys.0.sha256`"),
        (key(sha256="A" * 64), "`tenants.0.keys.0.sha256`"),
        (key(key="iy_secret"), "no setting `tenants.0.keys.0.key`"),
        (key(sha256=digest_of("")), "the digest of nothing"),
        (key(sha256=digest_of("\n")), "the digest of nothing"),
        (changed(metrics={"sha256": digest_of("")}), "the digest of nothing"),
        (key(sha265="x"), "no setting `tenants.0.keys.0.sha265`"),
        (key(scopes=[]), "`tenants.0.keys.0.scopes`"),
        (key(scopes=["root"]), "`tenants.0.keys.0.scopes.0`"),
        (changed(ray={"address": "ray://head:10001"}), "`ray.address`"),
        (changed(ray={"address": "http://head:8265/$(id)"}), "`ray.address`"),
        (changed(ray={"address": "http://head:8265", "token": "x"}), "no setting `ray.token`"),
        (changed(limits={"body_bytes": -1}), "`limits.body_bytes`"),
        (changed(models={"folders": ["../x"]}), "`models.folders.0`"),
        (changed(metrics={"sha256": "x"}), "`metrics.sha256`"),
        (changed(tenants=GOOD["tenants"] * 2), "tenant acme stands twice"),
        (
            changed(tenants=[GOOD["tenants"][0], {"name": "bees", "prefix": "s3://bucket/acme/bees"}]),
            "inside each other",
        ),
        (
            changed(tenants=[GOOD["tenants"][0], {**GOOD["tenants"][0], "name": "bees", "prefix": "s3://bucket/bees"}]),
            "key digest",
        ),
    ],
)
def test_a_fault_of_the_configuration_is_named(data: Any, said: str) -> None:
    with pytest.raises(DeploymentError) as caught:
        parse_deployment(data, where="f.yaml")
    assert said in str(caught.value)
    assert "iy_secret" not in str(caught.value)


def test_a_fault_in_a_list_is_told_once() -> None:
    with pytest.raises(DeploymentError) as caught:
        parse_deployment(key(sha265="x"), where="f.yaml")
    assert str(caught.value) == "f.yaml: there is no setting `tenants.0.keys.0.sha265`"


def test_every_fault_has_its_line() -> None:
    with pytest.raises(DeploymentError) as caught:
        parse_deployment(changed(strange=1, limits={"burst": 0}), where="f.yaml")
    assert len(str(caught.value).splitlines()) == 2


def test_without_a_key_it_starts_on_loopback_with_dev_alone() -> None:
    open_to_all = tenant(keys=[])
    for dev, host, starts in ((True, "127.0.0.1", True), (True, "0.0.0.0", False), (False, "127.0.0.1", False)):  # noqa: S104
        said = parse_deployment(open_to_all, where="f.yaml", dev=dev)
        if starts:
            said.check_guarded(host)
        else:
            with pytest.raises(DeploymentError, match="no key"):
                said.check_guarded(host)


def test_the_command_refuses_in_one_line_what_would_let_anybody_in(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(yaml.safe_dump(tenant(keys=[])))
    result = CliRunner().invoke(command_line, ["serve", "--config", str(tmp_path / "f.yaml")])
    assert isinstance(result.exception, DeploymentError)


def test_where_it_cannot_listen_it_says_so_in_one_line_and_begins_nothing(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(
        yaml.safe_dump({"tenants": [{"name": "acme", "prefix": f"file://{tmp_path}/data"}]})
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "imageyard.service.cli", "serve", "--config", str(tmp_path / "f.yaml")]
        done = subprocess.run(
            [*command, "--dev", "--port", port], capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot listen at 127.0.0.1, port {port} (")
    assert len(done.stderr.splitlines()) == 1
    assert "Application" not in done.stdout


def test_a_new_key_is_shown_once_with_the_entry_that_lets_it_in(tmp_path: Path) -> None:
    result = CliRunner().invoke(command_line, ["key", "--name", "ci", "--scope", "submit"])
    made = result.stdout.strip()
    assert re.fullmatch(r"iy_[A-Za-z0-9_-]{43}", made)
    entry = yaml.safe_load(result.stderr.splitlines()[-1])[0]
    assert entry == {"name": "ci", "sha256": digest_of(made), "scopes": ["submit"]}
    said = configuration(f"file://{tmp_path}")
    said["tenants"][0]["keys"] = [entry]
    with TestClient(create_app(parse_deployment(said, where="x", dev=True))) as client:
        assert client.get("/v1/datasets", headers=bearer(made)).status_code == 200
        assert client.get("/v1/datasets", headers=bearer(entry["sha256"])).status_code == 401
    assert CliRunner().invoke(command_line, ["key", "--scope", "root"]).exit_code != 0
    assert CliRunner().invoke(command_line, ["key", "--name", "a; b"]).exit_code != 0


def test_a_service_is_ready_while_it_can_work_for_anybody(tmp_path: Path) -> None:
    """One tenant's bucket that was taken away is no reason to turn the others away."""
    with TestClient(create_app(deployment(f"file://{tmp_path}/good"))) as client:
        assert client.get("/readyz").json() == {"status": "ready", "stores": 2, "failing": 0, "ray": "none"}
    said = configuration(f"file://{tmp_path}/good")
    (tmp_path / "file").write_bytes(b"")
    said["tenants"][1]["prefix"] = f"file://{tmp_path}/file/below"
    with TestClient(create_app(parse_deployment(said, where="x", dev=True))) as client:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["stores"], answer.json()["failing"]) == (200, 1, 1)
        assert "bees" not in answer.text
        assert client.get("/v1/datasets", headers=bearer(READ)).status_code == 200
        assert client.get("/v1/datasets", headers=bearer(OTHER)).status_code == 503
    said["tenants"][0]["prefix"] = f"file://{tmp_path}/file/beside"
    with TestClient(create_app(parse_deployment(said, where="x", dev=True))) as client:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["detail"][:9]) == (503, "none of 2")
        assert client.get("/healthz").json() == {"status": "alive"}


def test_the_datasets_of_a_tenant_come_first_in_turn_and_stay_known_while_its_store_fails(tmp_path: Path) -> None:
    said = configuration(f"file://{tmp_path}")
    (tmp_path / "file").write_bytes(b"")
    said["tenants"][0]["prefix"] = f"file://{tmp_path}/file/below"
    yard = Yard.of(parse_deployment(said, where="x", dev=True))
    for name in ("ants", "cats", "dogs"):
        Store.open(f"file://{tmp_path}/bees/{name}").create("open/job", b"")
    acme, bees = yard.deployment.tenants
    turns = count()
    found = [[url.rsplit("/", 1)[-1] for url in datasets_of(yard, bees, [], turns)] for _ in range(3)]
    assert found == [["ants", "cats", "dogs"], ["cats", "dogs", "ants"], ["dogs", "ants", "cats"]]
    assert datasets_of(yard, acme, [], turns) == []
    assert datasets_of(yard, acme, ["dogs"], turns) == [f"file://{tmp_path}/file/below/dogs"]


def test_who_asks_whether_it_is_ready_waits_for_nobody_elses_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may ask: with a store that does not answer, some tens of questions would take all threads."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{silent.getsockname()[1]}")
        said = {"tenants": [{**GOOD["tenants"][0], "prefix": "s3://bucket/acme"}]}
        found: list[int] = []
        with TestClient(create_app(parse_deployment(said, where="x"))) as client:
            first = threading.Thread(target=lambda: found.append(client.get("/readyz").status_code))
            first.start()
            connection, _ = silent.accept()
            with connection:
                for _ in range(50):
                    answer = client.get("/readyz")
                    assert (answer.status_code, "not answered yet" in answer.text) == (503, True)
                silent.close()
            first.join()
    assert found == [503]


def test_while_the_requests_of_one_key_hang_those_of_others_are_answered(tmp_path: Path) -> None:
    said = configuration(f"file://{tmp_path}", limits={"threads": 3, "threads_of_a_key": 2})
    with TestClient(create_app(parse_deployment(said, where="x", dev=True))) as client:
        client.post("/v1/datasets", json={"name": "cats"}, headers=bearer(ADMIN)).raise_for_status()
        client.post("/v1/datasets", json={"name": "dogs"}, headers=bearer(OTHER)).raise_for_status()
        endless = tmp_path / "acme" / "cats" / "settings" / f"{2:020}.json"
        os.mkfifo(endless)  # who reads it waits for somebody to write
        with ThreadPoolExecutor(6) as pool:
            hanging = [pool.submit(client.get, "/v1/datasets/cats", headers=bearer(ADMIN)) for _ in range(6)]
            for _ in range(10):
                assert client.get("/v1/datasets/dogs", headers=bearer(OTHER)).status_code == 200
                assert client.get("/readyz").status_code == 200
            assert not any(one.done() for one in hanging)
            writer = os.open(endless, os.O_WRONLY)
            endless.unlink()
            os.close(writer)
            assert {one.result().status_code for one in hanging} <= {200, 500}
        assert client.get("/v1/datasets/cats", headers=bearer(ADMIN)).status_code == 200


def test_that_ray_is_away_is_said_but_stops_nothing(tmp_path: Path) -> None:
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with TestClient(create_app(deployment(f"file://{tmp_path}", ray={"address": address}))) as client:
            answer = client.get("/readyz")
            assert (answer.status_code, answer.json()["ray"]) == (200, "unreachable")
        listening.listen()
        with TestClient(create_app(deployment(f"file://{tmp_path}", ray={"address": address}))) as client:
            assert client.get("/readyz").json()["ray"] == "reachable"


def samples(text: str) -> dict[str, float]:
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    }


def test_numbers_are_for_the_scraper_and_name_no_tenant_key_or_dataset(tmp_path: Path) -> None:
    with TestClient(create_app(deployment(f"file://{tmp_path}"))) as client:
        client.post("/v1/datasets", json={"name": "secretcats"}, headers=bearer(ADMIN))
        client.get("/v1/datasets/secretcats", headers=bearer(READ))
        client.get("/v1/datasets/secretdogs", headers=bearer(READ))
        client.get("/v1/strange/secretpath", headers=bearer(READ))
        for sent in ({}, bearer(ADMIN), bearer(OTHER)):
            assert client.get("/metrics", headers=sent).status_code == 401
        answer = client.get("/metrics", headers=bearer(SCRAPER))
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)
    route = 'imageyard_http_requests_total{method="GET",route="/v1/datasets/{dataset}",status='
    assert (found[route + '"200"}'], found[route + '"404"}']) == (1, 1)
    assert found['imageyard_http_requests_total{method="GET",route="none",status="404"}'] == 1
    assert [word for word in ("secret", "acme", "bees", "admin") if word in answer.text] == []


def work(**more: float) -> dict[str, Any]:
    return {"images": 0, "ingested": 0, "unreadable": 0, "model_seconds": 0.0, **more}


def test_events_of_jobs_become_numbers_once() -> None:
    numbers = Metrics()
    seen = numbers.observed
    said: list[tuple[str, str, dict[str, Any]]] = [
        ("j1", "01-submitted", {"kind": "submitted"}),
        ("j1", "02-running", {"kind": "running", "attempt": "a"}),
        ("j1", "03-progress", {"kind": "progress", "attempt": "a", "work": work(images=10, ingested=8)}),
        ("j1", "03-progress", {"kind": "progress", "attempt": "a", "work": work(images=10, ingested=8)}),
        ("j1", "01-submitted", {"kind": "submitted"}),
        ("j1", "04-lost", {"kind": "lost"}),
        ("j1", "05-running", {"kind": "running", "attempt": "b"}),
        ("j1", "06-progress", {"kind": "progress", "attempt": "b", "work": work(images=5)}),
        (
            "j1",
            "07-committed",
            {
                "kind": "committed",
                "attempt": "b",
                "work": work(images=25, ingested=2, unreadable=1, model_seconds=9.5, waited_for_store_seconds=2.5),
                "counts": {"found": 12, "rejected-min_side": 3, "rejected-copy": 1},
                "conflicts": 2,
            },
        ),
        ("j2", "01-running", {"kind": "running", "attempt": "a"}),
        ("j3", "01-committed", {"kind": "committed", "counts": {"rejected-min_side": 1}}),
    ]
    for one, name, event in said:
        seen.event("s3://b/cats", one, name, event)
    seen.queue(lag_seconds=12.5, messages=3)
    seen.conflict()
    found = samples(numbers.text().decode())
    assert {name: found[name] for name in found if "_created" not in name and found[name]} == {
        'imageyard_jobs{state="running"}': 1,
        'imageyard_jobs_ended_total{state="committed"}': 2,
        'imageyard_images_total{done="measured"}': 35,
        'imageyard_images_total{done="ingested"}': 10,
        'imageyard_images_total{done="unreadable"}': 1,
        "imageyard_model_seconds_total": 9.5,
        'imageyard_model_idle_seconds_total{on="store"}': 2.5,
        'imageyard_rejected_images{reason="min_side"}': 1,
        "imageyard_commit_conflicts_total": 3,
        "imageyard_queue_lag_seconds": 12.5,
        "imageyard_queue_messages": 3,
    }


def test_a_bucket_fills_again_and_memory_is_bounded() -> None:
    now = [0.0]
    rates = Rates(per_second=2, burst=3, most=10, clock=lambda: now[0])
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 1]
    now[0] = 1.0
    assert [rates.take("a") for _ in range(3)] == [0, 0, 1]
    for number in range(1000):
        rates.take(f"peer{number}")
    assert len(rates) == 10


def test_open_streams_are_counted_for_each_key_and_in_all() -> None:
    streams = Streams(most=3, most_of_a_key=2)
    with streams.place("a"), streams.place("a"):
        with pytest.raises(ProblemError, match="too many event streams"), streams.place("a"):
            pass
        with streams.place("b"), pytest.raises(ProblemError), streams.place("c"):
            pass
    assert len(streams) == 0


def test_a_loop_that_fails_goes_on_and_the_others_do_not_notice() -> None:
    failures: list[str] = []
    good, mended = threading.Event(), threading.Event()
    turns = iter([ValueError("once"), RuntimeError("twice"), None])

    def bad(_: threading.Event) -> None:
        error = next(turns, None)
        if error is not None:
            raise error
        mended.set()

    def waits(stopping: threading.Event) -> None:
        good.set()
        assert stopping.wait(30)

    loops = (Loop("bad", bad, every=0.01, first_pause=0.01), Loop("good", waits, every=0.01))
    with running(loops, stopping=threading.Event(), patience=20, failed=failures.append):
        assert mended.wait(20)
        assert good.wait(20)
    assert failures == ["bad", "bad"]
    assert [thread for thread in threading.enumerate() if thread.name.startswith("imageyard-")] == []


def test_loops_live_as_long_as_the_application(tmp_path: Path) -> None:
    turned = threading.Event()
    app = create_app(
        deployment(f"file://{tmp_path}"), loops=lambda yard: (Loop("turning", lambda _: turned.set(), every=0.01),)
    )
    with TestClient(app):
        assert turned.wait(20)
        assert "imageyard-turning" in [thread.name for thread in threading.enumerate()]
    assert "imageyard-turning" not in [thread.name for thread in threading.enumerate()]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, configuration(f"file://{tmp_path}/data")) as served:
        yield served


def test_jobs_of_watched_datasets_are_spread_as_the_configuration_says(tmp_path: Path) -> None:
    prefix = f"file://{tmp_path}/data"
    dataset = Store.open(f"{prefix}/acme/cats")
    dataset.create("drop/a.png", flat())
    catalog = Catalog(f"{prefix}/acme", Stores(), lambda: datetime.now(UTC))
    catalog.create("cats", profile="plain", recipe=None, watch=True, by="acme/admin")
    watch = {"window": 0.1, "every": 1, "options": {"gpus": 0.5, "cpus": 4}}
    with ray_api() as ray:
        config = configuration(prefix, watch=watch, ray={"address": ray.address})
        with serving(tmp_path, config, environment={"RAY_AUTH_TOKEN": TOKEN}) as served:
            deadline = time.monotonic() + 120
            while not ray.jobs:
                assert time.monotonic() < deadline, served.log.read_text()
                time.sleep(0.1)
    (name,) = (handed.rpartition("-a")[0] for handed in ray.jobs)
    assert job.submission(dataset, name).options == job.Options(gpus=0.5, cpus=4)


def test_a_running_service_audits_every_change_and_logs_every_request_as_json(served: Served) -> None:
    with httpx.Client(base_url=served.url, headers=bearer(ADMIN)) as client:
        made = client.post("/v1/datasets", json={"name": "cats"})
        client.post("/v1/datasets", json={"name": "cats"})
        client.patch("/v1/datasets/cats", json={"watch": True})
        client.get("/v1/datasets/cats")
        client.delete("/v1/datasets/cats", headers=bearer(READ))
        client.delete("/v1/datasets/cats")
        client.delete("/v1/datasets/cats", headers=bearer("iy_wrong"))
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(30) == -signal.SIGTERM  # as uvicorn ends: in order, then by the signal
    text = served.log.read_text().splitlines()
    assert len(served.lines()) == len(text)
    audits = [line for line in served.lines() if line["log"] == "imageyard.audit"]
    assert [(one["who"], one["action"], one.get("dataset"), one["status"], one["result"]) for one in audits] == [
        ("acme/admin", "create_dataset", "cats", 201, "done"),
        ("acme/admin", "create_dataset", "cats", 409, "refused"),
        ("acme/admin", "change_dataset", "cats", 200, "done"),
        ("acme/read", "delete_dataset", "cats", 403, "refused"),
        ("acme/admin", "delete_dataset", "cats", 204, "done"),
    ]
    assert audits[0]["request_id"] == made.headers["x-request-id"]
    requests = [line for line in served.lines() if line["log"] == "imageyard.access"]
    assert [one["status"] for one in requests] == [201, 409, 200, 200, 403, 204, 401]
    assert requests[3]["dataset"] == "cats"


def test_a_killed_service_goes_on_where_it_was(tmp_path: Path) -> None:
    said = configuration(f"file://{tmp_path}/data")
    with serving(tmp_path, said) as served:
        httpx.post(f"{served.url}/v1/datasets", json={"name": "cats"}, headers=bearer(ADMIN)).raise_for_status()
        served.process.kill()
        served.process.wait()
    with serving(tmp_path, said) as served:
        assert httpx.get(f"{served.url}/v1/datasets/cats", headers=bearer(READ)).json()["settings"] == 1


def test_the_document_names_every_operation_its_key_and_its_problems(tmp_path: Path) -> None:
    document = create_app(deployment(f"file://{tmp_path}")).openapi()
    assert json.loads(json.dumps(document)) == document
    names = []
    for path, methods in document["paths"].items():
        for operation in methods.values():
            names.append(operation["operationId"])
            assert operation["summary"]
            if path.startswith("/v1"):
                assert operation["security"] == [{"key": []}]
                assert {"401", "403", "404", "422", "429", "500"} <= set(operation["responses"])
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"]
    assert len(names) == len(set(names)) > 6
    assert "HTTPValidationError" not in document["components"]["schemas"]
