"""What the API refuses: strangers, other tenants, foreign addresses, texts that a shell would run, and too much."""

from __future__ import annotations

import io
import json
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from imageyard.manifests.store import Store
from imageyard.service.api import create_app
from imageyard.service.deployment import new_key, parse_deployment
from imageyard.service.logs import GONE, JsonLines
from jobs import store_keys
from served import ADMIN, OTHER, READ, SCRAPER, SUBMIT, UNKNOWN, Served, bearer, configuration, deployment, serving

NASTY = (
    "../bees/cats",
    "..",
    "a/../../b",
    "%2e%2e",
    "http://169.254.169.254/latest/meta-data/iam",
    "http://[fd00:ec2::254]/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://2852039166/",
    "gopher://localhost:6379/_x",
    "file:///etc/passwd",
    "s3://another/bucket",
    "$(touch /tmp/owned)",
    "; touch /tmp/owned",
    "`touch /tmp/owned`",
    "a\nb",
    "a\r\nX-Injected: yes",
    "a\0b",
    "\u202etxt.exe",
    "x" * 5000,
    "{{7*7}}",
    "${filename}",
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return f"file://{tmp_path}/data"


@pytest.fixture
def client(prefix: str) -> Iterator[TestClient]:
    with TestClient(create_app(deployment(prefix))) as client:
        client.post("/v1/datasets", json={"name": "cats"}, headers=bearer(ADMIN)).raise_for_status()
        yield client


def logged() -> tuple[logging.Handler, io.StringIO]:
    """A handler that writes JSON lines as the service does, and what it wrote."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    return handler, stream


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {UNKNOWN}"},
        {"Authorization": f"Bearer {READ[:-1]}"},
        {"Authorization": f"Bearer {READ}x"},
        {"Authorization": f"Bearer {READ.swapcase()}"},
        {"Authorization": f"Bearer {SCRAPER}"},
        {"Authorization": f"Basic {READ}"},
        {"Authorization": READ},
        {"Authorization": f"Bearer {READ}, Bearer {READ}"},
        {"Authorization": "Bearer " + "x" * 5000},
        {"Authorization": "Bearer \xff\xfe"},
        {"X-Api-Key": READ},
        {"Cookie": f"key={READ}"},
    ],
    ids=repr,
)
def test_without_a_known_bearer_key_nothing_is_answered(client: TestClient, sent: dict[str, str]) -> None:
    raw = {name: value.encode("latin-1") for name, value in sent.items()}
    for method, path in (
        ("GET", "/v1/datasets"),
        ("POST", "/v1/datasets"),
        ("GET", "/v1/datasets/cats"),
        ("GET", "/v1/nowhere"),
        ("GET", "/nowhere"),
        ("PUT", "/v1/datasets/cats"),
    ):
        answer = client.request(method, path, headers=raw, content=b"{" if method == "POST" else None)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["type"].endswith("unauthenticated")


def test_two_authorization_headers_are_none(client: TestClient) -> None:
    sent = [("authorization", f"Bearer {READ}"), ("authorization", f"Bearer {ADMIN}")]
    assert client.get("/v1/datasets", headers=sent).status_code == 401


def test_a_key_in_the_query_is_no_key(client: TestClient) -> None:
    for name in ("key", "token", "access_token", "api_key"):
        assert client.get("/v1/datasets", params={name: READ}).status_code == 401


@pytest.mark.parametrize(("key", "status"), [(READ, 403), (SUBMIT, 403), (ADMIN, 201)])
def test_scopes_rise(client: TestClient, key: str, status: int) -> None:
    assert client.post("/v1/datasets", json={"name": "dogs"}, headers=bearer(key)).status_code == status
    assert client.get("/v1/datasets/cats", headers=bearer(key)).status_code == 200


def test_what_is_anothers_and_what_is_not_answer_the_same(client: TestClient) -> None:
    def shown(path: str, key: str) -> tuple[int, Any]:
        answer = client.get(path, headers=bearer(key))
        return answer.status_code, answer.json() | {"request_id": ""}

    assert shown("/v1/datasets/cats", OTHER) == shown("/v1/datasets/dogs", OTHER) == shown("/v1/what", OTHER)
    assert shown("/v1/datasets/cats", OTHER)[0] == 404


@pytest.mark.parametrize("nasty", NASTY, ids=lambda text: repr(text)[:40])
def test_no_field_takes_a_foreign_address_or_a_text_that_something_would_act_on(
    client: TestClient, prefix: str, nasty: str
) -> None:
    owned = Path("/tmp/owned")  # noqa: S108  # it is not to be there
    before = store_keys(Store.open(prefix))
    key = bearer(ADMIN)
    for body in (
        {"name": nasty},
        {"name": "dogs", "profile": nasty},
        {"name": "dogs", "recipe": nasty},
        {"name": "dogs", "watch": nasty},
        {"name": "dogs", nasty: 1},
        {"name": "dogs", "recipe": {"steps": [nasty]}},
        {"name": "dogs", "recipe": {"steps": [{nasty: {}}]}},
        {"name": "dogs", "recipe": {"steps": ["ingest"], "name": nasty}},
        {"name": "dogs", "recipe": {"steps": ["ingest"], nasty: 1}},
        {"name": "dogs", "recipe": {"steps": [{"tag": {"model": nasty}}]}},
        {"name": "dogs", "recipe": {"steps": [{"ingest": {"labels": nasty}}]}},
    ):
        answer = client.post("/v1/datasets", json=body, headers=key)
        assert answer.status_code == 422, (body, answer.text)
        assert len(answer.content) < 4000
        assert answer.headers["content-type"] == "application/problem+json"
        assert "x-injected" not in answer.headers
    for file in ({"name": nasty + ".jpg"}, {"name": "a.jpg", "content_type": nasty}, {"name": "a.jpg", nasty: 1}):
        body = {"files": [{"bytes": 1, **file}]}
        answer = client.post("/v1/datasets/cats/uploads", json=body, headers=key)
        assert answer.status_code == 422, (body, answer.text)
    assert client.get("/v1/datasets", params={"cursor": nasty}, headers=key).status_code in (414, 422)
    assert store_keys(Store.open(prefix)) == before
    assert not owned.exists()


def test_a_recipe_is_for_the_dataset_of_its_path_whatever_it_says(client: TestClient, prefix: str) -> None:
    theirs = f"{prefix}/bees/cats"
    body = {"name": "dogs", "recipe": {"dataset": theirs, "steps": ["ingest"]}}
    answer = client.post("/v1/datasets", json=body, headers=bearer(ADMIN))
    assert (answer.status_code, "dataset" in answer.json()["recipe"]) == (201, False)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/datasets/../../etc/passwd",
        "/v1/datasets/%2e%2e/bees",
        "/v1/datasets/..%2f..%2fbees",
        "/v1/datasets/cats%00",
        "/v1/datasets/cats%0a",
        "/v1/datasets/cats%0d%0aX-Injected:%20yes",
        "/v1/datasets/CATS",
        "/v1/datasets/cats/",
        "/v1//datasets",
        "//v1/datasets",
        "/v1/datasets/$(id)",
        "/v1/datasets/cats;id",
        "/v1/datasets/%ff%fe",
    ],
)
def test_no_path_leads_elsewhere(client: TestClient, path: str) -> None:
    answer = client.get(path, headers=bearer(READ))
    assert answer.status_code in (404, 422)
    assert "x-injected" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("PUT", "/v1/datasets/cats", {}, 405),
        ("TRACE", "/v1/datasets", {}, 405),
        ("OPTIONS", "/v1/datasets", {}, 405),
        ("POST", "/v1/datasets", {"content": b"{"}, 422),
        ("POST", "/v1/datasets", {"content": b"[" * 100_000}, 400),
        ("POST", "/v1/datasets", {"content": b'{"name": ' + b"1" * 5000 + b"}"}, 400),
        ("POST", "/v1/datasets", {"content": b"\xff\xfe{}"}, 422),
        ("POST", "/v1/datasets", {"content": b"null"}, 422),
        ("POST", "/v1/datasets", {}, 422),
        ("POST", "/v1/datasets", {"content": b"<x/>", "headers": {"content-type": "application/xml"}}, 415),
        ("POST", "/v1/datasets", {"content": b"name=a", "headers": {"content-type": "text/plain"}}, 415),
        ("POST", "/v1/datasets", {"content": b"x", "headers": {"content-encoding": "gzip"}}, 415),
        ("POST", "/v1/datasets", {"content": b" " * (1024 * 1024 + 1)}, 413),
        ("GET", "/v1/datasets?cursor=" + "a" * 5000, {}, 414),
        ("GET", "/v1/datasets", {"headers": {"x-much": "a" * 20_000}}, 431),
        ("GET", "/v1/datasets?limit=100000", {}, 422),
        ("GET", "/v1/datasets?limit=" + "9" * 3000, {}, 422),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_every_refusal_is_a_problem_with_all_headers(
    client: TestClient, method: str, path: str, more: dict[str, Any], status: int
) -> None:
    sent = {"headers": {"content-type": "application/json", **bearer(ADMIN)}} | more
    sent["headers"] = {"content-type": "application/json", **bearer(ADMIN), **sent["headers"]}
    answer = client.request(method, path, **sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.json()["status"] == status
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert len(answer.content) < 2000
    if status == 405:
        assert "GET" in answer.headers["allow"]


def test_nothing_says_that_another_origin_may_read(client: TestClient) -> None:
    answer = client.get("/v1/datasets", headers={**bearer(READ), "Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert client.get("/docs", headers=bearer(READ)).status_code == 404


def test_what_nobody_foresaw_shows_no_internals(prefix: str) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    app = create_app(deployment(prefix), labels=failing)  # type: ignore[arg-type]  # it is to fail
    handler, stream = logged()
    logging.getLogger("imageyard").addHandler(handler)
    try:
        with TestClient(app, headers=bearer(ADMIN)) as client:
            client.post("/v1/datasets", json={"name": "cats"})
            from imageyard.manifests.dataset import Dataset
            from jobs import drop, go, recipe
            from pictures import flat

            dataset = Dataset.open(f"{prefix}/acme/cats")
            drop(dataset, {"a.png": flat()})
            go(dataset, recipe(dataset, "ingest"), Path("/nonexistent"))
            answer = client.get("/v1/datasets/cats")
    finally:
        logging.getLogger("imageyard").removeHandler(handler)
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.json()["request_id"] in stream.getvalue()
    assert "RuntimeError" in stream.getvalue()


def test_a_key_that_asks_too_often_is_told_when_to_come_back(prefix: str) -> None:
    app = create_app(deployment(prefix, limits={"requests_per_second": 0.1, "burst": 3}))
    with TestClient(app) as client:
        statuses = [client.get("/v1/datasets", headers=bearer(READ)).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        answer = client.get("/v1/datasets", headers=bearer(READ))
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        assert client.get("/v1/datasets", headers=bearer(ADMIN)).status_code == 200
        assert client.get("/healthz").status_code == 200


def test_a_peer_that_guesses_keys_is_slowed_but_its_neighbours_with_a_key_are_not(prefix: str) -> None:
    app = create_app(deployment(prefix, limits={"failures_per_minute": 3}))
    with TestClient(app) as client:
        statuses = [client.get("/v1/datasets", headers=bearer(new_key())).status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        assert client.get("/v1/datasets", headers=bearer(READ)).status_code == 200


def test_only_named_hosts_are_answered_where_names_are_given(prefix: str) -> None:
    with TestClient(create_app(deployment(prefix, allowed_hosts=["yard.example"]))) as client:
        assert client.get("/openapi.json").status_code == 421
        assert client.get("/v1/datasets", headers=bearer(READ)).status_code == 421
        assert client.get("/openapi.json", headers={"Host": "Yard.Example"}).status_code == 200
        for path, sent in (("/healthz", {}), ("/readyz", {}), ("/metrics", bearer(SCRAPER))):
            # As Kubernetes and Prometheus ask: by the pod's address.
            assert client.get(path, headers={"Host": "10.0.0.7:8080", **sent}).status_code == 200


def test_without_keys_no_web_page_is_answered(prefix: str) -> None:
    said = configuration(prefix)
    said["tenants"] = [{"name": "acme", "prefix": f"{prefix}/acme"}]
    with TestClient(create_app(parse_deployment(said, where="test", dev=True)), base_url="http://localhost") as client:
        assert client.get("/v1/datasets").status_code == 200
        assert client.get("/v1/datasets", headers={"Host": "evil.example"}).status_code == 421
        assert client.get("/v1/datasets", headers={"Origin": "http://evil.example"}).status_code == 421


def test_https_is_said_to_stay(prefix: str) -> None:
    with TestClient(create_app(deployment(prefix, https=True))) as client:
        assert "max-age" in client.get("/healthz").headers["strict-transport-security"]
    with TestClient(create_app(deployment(prefix))) as client:
        assert "strict-transport-security" not in client.get("/healthz").headers


SECRETS = {
    "key": f"asked with {ADMIN}",
    "header": f"Authorization: Bearer {'a1b2' * 8}",
    "signed": "GET https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIAABCDEFGHIJKLMNOP%2F2026&X-Amz-Signature=deadbeef01",
    "token": "https://b/k?X-Amz-Security-Token=IQoJb3JpZ2luX2VjE&x=1",
    "google": "https://storage.googleapis.com/b/k?X-Goog-Signature=0123abcd",
    "azure": "https://a.blob.core.windows.net/b/k?sv=2024&sig=Zm9vYmFy%3D",
    "old": "https://b/k?AWSAccessKeyId=AKIAABCDEFGHIJKLMNOP&Signature=abcdef0123",
    "login": "http://user:pa55word@proxy:3128/",
    "told": "the cluster's token is ray-token-0123456789",
}
GUARDED = (
    ADMIN, "a1b2" * 8, "AKIAABCDEFGHIJKLMNOP", "deadbeef01", "IQoJb3JpZ2luX2VjE", "0123abcd", "Zm9vYmFy", "abcdef0123",
    "pa55word", "ray-token-0123456789",
)  # fmt: skip


@pytest.mark.parametrize("kind", SECRETS)
def test_no_log_line_shows_a_secret(kind: str) -> None:
    try:
        raise ValueError(SECRETS[kind])
    except ValueError as error:
        caught = (type(error), error, error.__traceback__)
    formatter = JsonLines(["ray-token-0123456789"])
    for record in (
        logging.LogRecord("x", logging.INFO, "", 0, SECRETS[kind], (), None),
        logging.LogRecord("x", logging.INFO, "", 0, "%s", (SECRETS[kind],), None),
        logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), caught),
        logging.makeLogRecord({"name": "x", "msg": "", "path": SECRETS[kind], "more": {"a": [SECRETS[kind]]}}),
    ):
        line = formatter.format(record)
        assert GONE in line
        assert json.loads(line)
        assert "\n" not in line
        assert [secret for secret in GUARDED if secret in line] == []


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    limits = {"body_seconds": 1, "head_seconds": 1, "failures_per_minute": 10_000}
    with serving(folder, configuration(f"file://{folder}/data", limits=limits)) as served:
        yield served


def spoken(served: Served, *parts: bytes, pause: float = 0) -> bytes:
    """What the server answers to raw bytes."""
    with closing(socket.create_connection(("127.0.0.1", served.port), timeout=20)) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        except OSError:
            pass  # it has hung up already, and said why
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except OSError:
            pass
        return answer


def head(*lines: str) -> bytes:
    return "\r\n".join(
        ["POST /v1/datasets HTTP/1.1", "Host: x", f"Authorization: Bearer {ADMIN}", "Content-Type: application/json",
         "Connection: close", *lines, "", ""]
    ).encode()  # fmt: skip


def test_a_body_in_chunks_without_a_length_is_bounded_too(served: Served) -> None:
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    answer = spoken(served, head("Transfer-Encoding: chunked"), *[chunk] * 40, b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(("key", "status"), [(ADMIN, b"413"), ("iy_nobodys", b"401")], ids=["too large", "nobody's"])
def test_who_sends_a_whole_body_before_listening_hears_why_it_was_refused(
    served: Served, key: str, status: bytes
) -> None:
    size = 8 * 1024 * 1024
    lines = ("POST /v1/datasets HTTP/1.1", "Host: x", f"Authorization: Bearer {key}", f"Content-Length: {size}")
    with closing(socket.create_connection(("127.0.0.1", served.port), timeout=60)) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode() + b" " * size)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == int(status)


def test_who_asks_before_sending_a_body_is_told_not_to(served: Served) -> None:
    answer = spoken(served, head("Content-Length: 9999999", "Expect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_that_trickles_is_cut_off(served: Served) -> None:
    answer = spoken(served, head("Transfer-Encoding: chunked"), *[b"1\r\n \r\n"] * 15, pause=0.2)
    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", *[b"X-A: b\r\n"] * 20),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"G"),
    ],
    ids=["silent", "trickling", "after another"],
)
def test_a_connection_whose_request_does_not_come_is_closed(served: Served, parts: tuple[bytes, ...]) -> None:
    answer = spoken(served, *parts, pause=0.2)
    assert (b"200 OK" in answer) == (len(parts) == 2)


def test_what_is_no_http_gets_a_problem_too(served: Served) -> None:
    answer = spoken(served, b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in answer
    assert b"nosniff" in answer


REFUSED = tuple(f"HTTP/1.1 {status}".encode() for status in (400, 408, 413, 422, 431, 501))


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -1",),
        ("Content-Length: 99999999999999999999999",),
        ("Content-Length: 1e3",),
        ("X-Injected: a\0b",),
        ("X-Folded: a", " b"),
        ("Transfer-Encoding: gzip, chunked",),
        ("X-Much: " + "a" * 100_000,),
    ],
    ids=lambda lines: repr(lines)[:50],
)
def test_requests_that_two_servers_could_read_in_two_ways_are_refused(served: Served, lines: tuple[str, ...]) -> None:
    answer = spoken(served, head(*lines), b'{"name": "smuggled"}')
    assert answer[:12] in REFUSED, answer
    assert b"smuggled" not in answer


def test_the_server_does_not_say_what_it_is_and_believes_no_proxy(served: Served) -> None:
    answer = spoken(
        served, f"GET /v1/datasets HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
        f"Authorization: Bearer {READ}\r\nConnection: close\r\n\r\n".encode(),
    )  # fmt: skip
    said = answer.partition(b"\r\n\r\n")[0].lower()
    assert said.startswith(b"http/1.1 200")
    assert b"server:" not in said
    assert b"strict-transport" not in said
    assert served.lines()[-1]["peer"] == "127.0.0.1"


def test_no_log_of_a_running_service_shows_a_key(served: Served) -> None:
    spoken(served, f"GET /v1/datasets?key={ADMIN}&X-Amz-Signature=cafe01 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
           f"Authorization: Bearer {ADMIN}\r\n\r\n".encode())  # fmt: skip
    spoken(served, f"GET /v1/{ADMIN} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
           f"Authorization: Bearer {OTHER}x\r\n\r\n".encode())  # fmt: skip
    text = served.log.read_text()
    assert served.lines()
    assert [key for key in (ADMIN, OTHER, READ, "cafe01") if key in text] == []
