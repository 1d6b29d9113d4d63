"""Every operation of the document, whoever wrote it: closed to strangers and other tenants, unmoved by bad texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from imageyard.manifests.dataset import Dataset
from imageyard.service.api import create_app
from jobs import drop, go, recipe
from pictures import photo
from served import ADMIN, OTHER, READ, bearer, deployment
from test_api_security import NASTY

OUTSIDE = "/v1/datasets"
VALUES = {"dataset": "cats", "number": "1", "other": "1", "role": "unsplit"}


class Operation(NamedTuple):
    """One of the document: its path is a template."""

    name: str
    method: str
    path: str
    parameters: list[dict[str, Any]]

    def filled(self, **values: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: (VALUES | values).get(match[1], "0" * 20), self.path)

    @property
    def queries(self) -> list[str]:
        return [one["name"] for one in self.parameters if one["in"] == "query"]

    @property
    def streams(self) -> bool:
        return self.path.endswith("/events")


def operations() -> list[Operation]:
    document = create_app(deployment("memory://nothing")).openapi()
    return [
        Operation(said["operationId"], method.upper(), path, said.get("parameters", []))
        for path, methods in document["paths"].items()
        for method, said in methods.items()
        if path.startswith("/v1/")
    ]


OPERATIONS = operations()
BELOW = [one for one in OPERATIONS if one.path != OUTSIDE]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service of acme's dataset `cats` with a version, and of nothing of the tenant bees."""
    prefix = f"file://{tmp_path_factory.mktemp('yard')}"
    dataset = Dataset.open(f"{prefix}/acme/cats")
    drop(dataset, {f"{seed}.jpg": photo(seed, (64, 64)) for seed in range(3)})
    go(dataset, recipe(dataset, "ingest"), Path("/nonexistent"))
    limits = {"requests_per_second": 10_000, "burst": 100_000, "failures_per_minute": 10_000}
    with TestClient(create_app(deployment(prefix, limits=limits))) as client:
        client.post(OUTSIDE, json={"name": "cats"}, headers=bearer(ADMIN)).raise_for_status()
        yield client


def ids(operation: Operation) -> str:
    return operation.name


@pytest.mark.parametrize("operation", OPERATIONS, ids=ids)
def test_every_operation_is_closed_without_a_key(client: TestClient, operation: Operation) -> None:
    for headers in ({}, bearer("iy_guessed")):
        answer = client.request(operation.method, operation.filled(), headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


@pytest.mark.parametrize("operation", BELOW, ids=ids)
def test_what_is_anothers_looks_as_if_it_were_not(client: TestClient, operation: Operation) -> None:
    body = {} if operation.method in ("POST", "PATCH") else None
    answers = [
        client.request(operation.method, operation.filled(dataset=name), json=body, headers=bearer(OTHER))
        for name in ("cats", "dogs")
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    theirs, nobodys = ({**answer.json(), "request_id": ""} for answer in answers)
    assert theirs == nobodys


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.method != "GET"], ids=ids)
def test_a_key_that_may_only_read_changes_nothing(client: TestClient, operation: Operation) -> None:
    answer = client.request(operation.method, operation.filled(), json={}, headers=bearer(READ))
    assert answer.status_code == 403


@pytest.mark.parametrize("operation", OPERATIONS, ids=ids)
def test_no_text_in_a_path_or_query_leads_anywhere(client: TestClient, operation: Operation) -> None:
    headers = bearer(ADMIN if operation.method == "GET" else OTHER)
    names = re.findall(r"\{(\w+)\}", operation.path)
    for nasty in NASTY:
        for name in names:
            path = operation.filled(**{name: quote(nasty, safe="").replace(".", "%2E")})
            answer = client.request(operation.method, path, json=None, headers=headers)
            assert answer.status_code in (404, 405, 414, 422), (path[:200], answer.text)
            assert len(answer.content) < 4000
        if operation.method != "GET" or operation.streams:
            continue
        for name in operation.queries:
            answer = client.get(operation.filled(), params={name: nasty}, headers=headers)
            assert answer.status_code in (200, 404, 409, 414, 422, 501), (name, nasty[:50], answer.text)
            if answer.status_code != 200:
                assert len(answer.content) < 4000
                assert "Traceback" not in answer.text
