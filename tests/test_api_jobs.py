"""Jobs over HTTP: submitted once, listed, cancelled, followed to their end, and what came of them."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

import pictures
from imageyard.manifests import Dataset
from imageyard.ray_jobs import job
from imageyard.service.api import create_app
from imageyard.service.api.reconciling import reconciling
from imageyard.service.deployment import parse_deployment
from jobs import drop, go, recipe, store_keys
from ray_api import TOKEN, ray_api
from served import ADMIN, OTHER, READ, SCRAPER, SUBMIT, bearer, configuration, deployment, serving
from silent import silent_s3
from test_jobs import asked_of, attempt

STEPS = {"steps": ["ingest", {"validate": {"min_side": 64}}]}
JOBS = "/v1/datasets/cats/jobs"


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return f"file://{tmp_path}"


@pytest.fixture
def client(prefix: str) -> Iterator[TestClient]:
    with TestClient(create_app(deployment(prefix)), headers=bearer(ADMIN)) as client:
        client.post("/v1/datasets", json={"name": "cats", "recipe": STEPS})
        yield client


@pytest.fixture
def dataset(prefix: str) -> Dataset:
    return Dataset.open(f"{prefix}/acme/cats")


def submit(client: TestClient, body: Any = None, **headers: str) -> Any:
    return client.post(JOBS, json={} if body is None else body, headers={**bearer(SUBMIT), **headers})


def run_it(dataset: Dataset, name: str, models: Path) -> None:
    attempt(dataset, job.submission(dataset.store, name), models)


def said_in(text: str) -> list[dict[str, Any]]:
    """The events of a stream: id, event and data."""
    blocks = (dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n") if block)
    return [{**block, "data": json.loads(block["data"])} for block in blocks if "data" in block]


def test_a_submitted_job_is_kept_before_it_is_accepted(client: TestClient, dataset: Dataset) -> None:
    answer = submit(client, {"recipe": {"steps": ["ingest"]}, "name": "first look", "options": {"cpus": 2}})
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    assert answer.headers["location"] == f"{JOBS}/{accepted['id']}"
    stored = job.submission(dataset.store, accepted["id"])
    assert (stored.recipe, stored.by, stored.options.cpus) == ({"steps": ["ingest"]}, "acme/submit", 2)
    assert store_keys(dataset.store, "open") == [f"open/{accepted['id']}"]
    found = client.get(answer.headers["location"]).json()
    assert (found["state"], found["name"], found["by"]) == ("submitted", "first look", "acme/submit")


def test_the_same_key_and_body_are_the_same_job_and_the_same_answer(client: TestClient, dataset: Dataset) -> None:
    first = submit(client, {"name": "x"}, **{"Idempotency-Key": "of-mine"})
    client.patch("/v1/datasets/cats", json={"recipe": {"steps": ["ingest"]}})  # what it was worked out from has changed
    second = submit(client, {"drop": True, "name": "x"}, **{"Idempotency-Key": "of-mine"})
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert first.headers["location"] == second.headers["location"]
    assert len(job.ids(dataset.store)) == 1
    other = submit(client, {"name": "y"}, **{"Idempotency-Key": "of-mine"})
    assert (other.status_code, other.headers["content-type"]) == (422, "application/problem+json")
    assert submit(client, {"name": "y"}, **{"Idempotency-Key": "another"}).status_code == 202
    assert len(job.ids(dataset.store)) == 2


def test_a_key_of_one_tenant_or_dataset_means_nothing_in_another(client: TestClient) -> None:
    client.post("/v1/datasets", json={"name": "cats"}, headers=bearer(OTHER))
    client.post("/v1/datasets", json={"name": "dogs"})
    ids = {
        client.post(f"/v1/datasets/{name}/jobs", json={}, headers={**bearer(key), "Idempotency-Key": "k"}).json()["id"]
        for name, key in (("cats", ADMIN), ("dogs", ADMIN), ("cats", OTHER))
    }
    assert len(ids) == 3


@pytest.mark.parametrize(
    "body",
    [
        {"recipe": {"steps": ["no-such-step"]}},
        {"recipe": {"steps": []}},
        {"recipe": {"steps": [{"ingest": {"labels": "$(id)"}}]}},
        {"recipe": {"steps": ["ingest", {"tag": {"model": "s3://others/model"}}]}},
        {"recipe": {"steps": ["ingest", {"tag": {"model": "/etc/passwd"}}]}},
        {"recipe": {"steps": ["ingest", {"tag": {"model": "http://169.254.169.254/latest"}}]}},
        {"recipe": "ingest"},
        {"options": {"actors": 0}},
        {"options": {"gpus": False}},
        {"drop": "yes"},
        {"options": {"entrypoint": "; echo"}},
        {"entrypoint": "; echo"},
        {"name": "x" * 201},
        {"name": "\x1b]0;owned\x07"},
        {"name": "two\nlines"},
        {"recipe": {"steps": ["ingest", {"affix": {"before": "a\0b"}}]}},
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_kept(client: TestClient, dataset: Dataset, body: Any) -> None:
    answer = submit(client, body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert store_keys(dataset.store, "jobs") == store_keys(dataset.store, "open") == []


def test_reading_does_not_submit_and_others_see_nothing(client: TestClient, dataset: Dataset) -> None:
    name = submit(client).json()["id"]
    assert client.post(JOBS, json={}, headers=bearer(READ)).status_code == 403
    assert client.post(f"{JOBS}/{name}:cancel", headers=bearer(READ)).status_code == 403
    for path in ("", f"/{name}", f"/{name}/events", f"/{name}/rejected", f"/{name}/report"):
        assert client.get(JOBS + path, headers=bearer(OTHER)).status_code == 404
    assert client.post(f"{JOBS}/{name}:cancel", headers=bearer(OTHER)).status_code == 404
    assert job.describe(dataset.store, name).state == "submitted"


@pytest.mark.parametrize("name", ["nobody", "..%2f..", "%2e%2e%2fversions", "A", "a" * 64, "a;b", "$(id)", "é", "a%00"])
def test_an_id_that_is_none_is_not_found_or_invalid(client: TestClient, name: str) -> None:
    for path in ("", "/events", "/rejected", "/report"):
        answer = client.get(f"{JOBS}/{name}{path}")
        assert answer.status_code in (404, 405, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_jobs_are_listed_newest_first_in_pages_and_by_state(client: TestClient, dataset: Dataset, models: Path) -> None:
    names = [submit(client, **({"Idempotency-Key": f"k{n}"} if n % 2 else {})).json()["id"] for n in range(7)]
    go(dataset, recipe(dataset, "ingest"), models)  # nothing to do, and so no job
    client.post(f"{JOBS}/{names[2]}:cancel")
    client.post(f"{JOBS}/{names[5]}:cancel")
    found, cursor = [], None
    while True:
        page = client.get(JOBS, params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        assert len(page["jobs"]) <= 3
        found += [one["id"] for one in page["jobs"]]
        if (cursor := page["next"]) is None:
            break
    assert found == names[::-1]
    cancelled = client.get(JOBS, params={"state": "cancelled"}).json()["jobs"]
    assert [one["id"] for one in cancelled] == [names[5], names[2]]
    assert client.get(JOBS, params={"state": "dancing"}).status_code == 422
    for forged in ("x", "Li4vLi4", "MjAyNi0wMS0wMVQwMDowMDowMC4wMDAwMDAgLi4v"):
        assert client.get(JOBS, params={"cursor": forged}).status_code == 422


def test_a_job_is_cancelled_once_and_for_all(client: TestClient, dataset: Dataset, models: Path) -> None:
    name = submit(client).json()["id"]
    for _ in range(2):
        answer = client.post(f"{JOBS}/{name}:cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    drop(dataset, {"a.jpg": pictures.photo(1, (96, 96))})
    done = go(dataset, recipe(dataset, "ingest"), models)
    answer = client.post(f"{JOBS}/{done.job}:cancel")
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert client.post(f"{JOBS}/nobody:cancel").status_code == 404


def test_an_address_knows_its_own_methods(client: TestClient) -> None:
    for path, methods in (("", "GET, POST"), ("/x", "GET"), ("/x:cancel", "POST"), ("/x/events", "GET")):
        assert client.request("PUT", JOBS + path).headers["allow"] == methods
    paths = client.get("/openapi.json").json()["paths"]
    assert "/v1/datasets/{dataset}/jobs/{job}:cancel" in paths


def test_the_events_of_a_job_come_in_order_and_end_with_it(client: TestClient, dataset: Dataset, models: Path) -> None:
    drop(dataset, {"a.jpg": pictures.photo(1, (96, 96))})
    name = submit(client).json()["id"]
    run_it(dataset, name, models)
    answer = client.get(f"{JOBS}/{name}/events", headers=bearer(READ))
    assert answer.headers["content-type"].startswith("text/event-stream")
    said = said_in(answer.text)
    assert [one["event"] for one in said] == [job.kind_of(one) for one in job.event_ids(dataset.store, name)]
    assert said[-1]["event"] == "committed"
    assert said[-1]["data"]["version"] == 1
    again = client.get(f"{JOBS}/{name}/events", headers={**bearer(READ), "Last-Event-ID": said[0]["id"]})
    assert said_in(again.text) == said[1:]
    last = client.get(f"{JOBS}/{name}/events", headers={**bearer(READ), "Last-Event-ID": said[-1]["id"]})
    assert said_in(last.text) == []


@pytest.mark.parametrize(
    "forged", ["x", "../../versions/1", "1" * 3000, "20260101T000000000000-aaaaaaaa-000001-x", "é"]
)
def test_a_forged_event_id_is_a_problem_before_any_event(client: TestClient, forged: str) -> None:
    name = submit(client).json()["id"]
    answer = client.get(f"{JOBS}/{name}/events", headers={"Last-Event-ID": forged.encode("latin-1")})  # type: ignore[dict-item]
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert forged not in answer.text


def test_a_job_that_ended_without_saying_so_ends_its_stream(client: TestClient, dataset: Dataset) -> None:
    name = submit(client).json()["id"]
    how = job.Ended(state="failed", error="the disk was full", ended="2026-01-15T09:30:00.000000")
    dataset.store.create(job.ended_key(name), how.model_dump_json().encode())
    said = said_in(client.get(f"{JOBS}/{name}/events").text)
    assert (said[-1]["event"], said[-1]["data"]["error"]) == ("failed", "the disk was full")


def test_rejected_samples_and_the_report_of_a_job(client: TestClient, dataset: Dataset, models: Path) -> None:
    small = {f"s{seed}.jpg": pictures.photo(seed, (40, 40)) for seed in range(3)}
    drop(dataset, {**small, "a.jpg": pictures.photo(9, (96, 96))})
    name = submit(client).json()["id"]
    early = client.get(f"{JOBS}/{name}/rejected")
    assert (early.status_code, client.get(f"{JOBS}/{name}/report").status_code) == (409, 409)
    run_it(dataset, name, models)
    found, cursor = [], None
    while True:
        page = client.get(
            f"{JOBS}/{name}/rejected", params={"limit": 2, **({"cursor": cursor} if cursor else {})}
        ).json()
        found += page["samples"]
        if (cursor := page["next"]) is None:
            break
    assert len(found) == 3
    assert {one["role"] for one in found} == {"rejected"}
    assert all("64" in one["sample"]["rejection"]["reason"] for one in found)
    report = client.get(f"{JOBS}/{name}/report", headers=bearer(READ))
    assert report.headers["content-type"] == "text/html; charset=utf-8"
    policy = report.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'; sandbox allow-scripts" in policy
    assert "connect-src" not in policy
    assert report.content == dataset.store.get(f"jobs/{name}/report.html")


def test_so_many_jobs_of_a_dataset_are_open_at_once(prefix: str) -> None:
    with TestClient(create_app(deployment(prefix, limits={"open_jobs": 2})), headers=bearer(ADMIN)) as client:
        client.post("/v1/datasets", json={"name": "cats"})
        first, key = submit(client), {"Idempotency-Key": "mine"}
        second = client.post(JOBS, json={}, headers=key)
        assert (first.status_code, second.status_code) == (202, 202)
        refused = submit(client)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        assert client.post(JOBS, json={}, headers=key).json() == second.json()
        client.post(f"{JOBS}/{first.json()['id']}:cancel").raise_for_status()
        assert submit(client).status_code == 202


def test_a_long_report_comes_whole(client: TestClient, dataset: Dataset) -> None:
    name = submit(client).json()["id"]
    page = bytes(range(256)) * 10_000
    dataset.store.create(f"jobs/{name}/report.html", page)
    answer = client.get(f"{JOBS}/{name}/report")
    assert (answer.headers["content-length"], answer.content) == (str(len(page)), page)


def test_a_stream_follows_a_job_while_it_goes_on(prefix: str, tmp_path: Path, dataset: Dataset) -> None:
    with serving(tmp_path, configuration(prefix)) as served, httpx.Client(base_url=served.url) as http:
        http.post("/v1/datasets", json={"name": "cats"}, headers=bearer(ADMIN))
        name = http.post(JOBS, json={}, headers=bearer(SUBMIT)).json()["id"]
        with http.stream("GET", f"{JOBS}/{name}/events", headers=bearer(READ), timeout=30) as stream:
            kinds = []
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    kinds.append(line.removeprefix("event: "))
                    if kinds == ["submitted"]:
                        job.cancel(dataset.store, name, by="somebody else")
        assert kinds == ["submitted", "cancelling", "cancelled"]


def test_the_end_is_told_though_a_clock_that_was_ahead_said_something_later(
    client: TestClient, dataset: Dataset
) -> None:
    name = submit(client).json()["id"]
    ahead = datetime.now(UTC) + timedelta(minutes=5)
    job.Log(dataset.store, name, lambda: ahead).say("lost", number=1)
    seen = job.event_ids(dataset.store, name)[-1]
    job.cancel(dataset.store, name, by="somebody")
    with client.stream("GET", f"{JOBS}/{name}/events", headers={"Last-Event-ID": seen}) as answer:
        assert "event: cancelled" in answer.read().decode()


def test_a_tenant_whose_place_is_away_holds_up_no_other_tenants_jobs(tmp_path: Path, prefix: str) -> None:
    (tmp_path / "acme").write_text("not a folder")
    theirs = Dataset.open(f"{prefix}/bees/hive")
    job.submit(theirs.store, asked_of(theirs))
    with ray_api() as api:
        said = deployment(prefix, ray={"address": api.address})
        app = create_app(said, loops=lambda yard: reconciling(yard, SecretStr(TOKEN)))
        with TestClient(app):
            end = time.monotonic() + 120
            while "a-job-a1" not in api.jobs:
                assert time.monotonic() < end
                time.sleep(0.1)


def test_a_tenant_whose_store_does_not_answer_holds_up_no_other_tenants_jobs(
    prefix: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = Dataset.open(f"{prefix}/bees/hive")
    with ray_api() as api, silent_s3(monkeypatch) as silent:
        said = configuration(prefix, ray={"address": api.address})
        said["tenants"][0]["prefix"] = "s3://bucket/acme"
        made = parse_deployment(said, where="test", dev=True)
        with TestClient(create_app(made, loops=lambda yard: reconciling(yard, SecretStr(TOKEN)))):
            assert silent.asked.wait(120)
            job.submit(theirs.store, asked_of(theirs))
            end = time.monotonic() + 55
            while "a-job-a1" not in api.jobs:
                assert time.monotonic() < end
                time.sleep(0.1)
            assert "looked after later" not in caplog.text  # the other was still waited for
            silent.answers.set()


def test_the_service_hands_jobs_to_its_cluster_and_counts_what_they_say(
    prefix: str, dataset: Dataset, models: Path
) -> None:
    with ray_api() as api:
        said = deployment(prefix, ray={"address": api.address})
        app = create_app(said, loops=lambda yard: reconciling(yard, SecretStr(TOKEN)))
        with TestClient(app, headers=bearer(ADMIN)) as client:
            client.post("/v1/datasets", json={"name": "cats", "recipe": STEPS})
            name = submit(client).json()["id"]
            end = time.monotonic() + 120
            while client.get(f"{JOBS}/{name}").json()["state"] != "pending":
                assert time.monotonic() < end
                time.sleep(0.1)
            assert list(api.jobs) == [f"{name}-a1"]
            drop(dataset, {"a.jpg": pictures.photo(1, (96, 96))})
            run_it(dataset, name, models)
            while (
                'imageyard_jobs_ended_total{state="committed"} 1.0'
                not in client.get("/metrics", headers=bearer(SCRAPER)).text
            ):
                assert time.monotonic() < end
                time.sleep(0.2)
