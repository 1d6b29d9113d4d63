"""Datasets over HTTP: created, listed, described, changed and deleted as records in the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

import pytest
from starlette.testclient import TestClient

from imageyard.manifests.dataset import Dataset
from imageyard.ray_jobs import job
from imageyard.service.api import create_app
from imageyard.service.asked import recipe_of
from imageyard.service.catalog import Profile
from imageyard.service.profiles import RECIPES
from jobs import drop, go, recipe, store_keys
from pictures import photo
from served import ADMIN, OTHER, READ, bearer, deployment


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return f"file://{tmp_path}"


@pytest.fixture
def client(prefix: str) -> Iterator[TestClient]:
    with TestClient(create_app(deployment(prefix)), headers=bearer(ADMIN)) as client:
        yield client


def create(client: TestClient, name: str = "cats", **more: Any) -> Any:
    answer = client.post("/v1/datasets", json={"name": name, **more})
    assert answer.status_code == 201, answer.text
    return answer


def names(client: TestClient) -> list[str]:
    return [one["name"] for one in client.get("/v1/datasets").json()["datasets"]]


def settings_keys(prefix: str, name: str = "cats") -> list[str]:
    return store_keys(Dataset.open(f"{prefix}/acme/{name}").store, "settings")


def test_a_created_dataset_is_where_its_location_says(client: TestClient, prefix: str) -> None:
    made = create(client, profile="lora-style", watch=True)
    found = client.get(made.headers["location"])
    assert found.json() == made.json() | {"version": None, "labels": None}
    assert found.json() | {"at": ""} == {
        "name": "cats",
        "url": f"{prefix}/acme/cats",
        "profile": "lora-style",
        "recipe": RECIPES["lora-style"],
        "own_recipe": False,
        "watch": True,
        "settings": 1,
        "by": "acme/admin",
        "at": "",
        "version": None,
        "labels": None,
    }
    assert found.headers["etag"] == made.headers["etag"] == '"1"'


def test_a_name_can_be_taken_once(client: TestClient) -> None:
    create(client)
    again = client.post("/v1/datasets", json={"name": "cats", "profile": "anomaly"})
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")
    assert client.get("/v1/datasets/cats").json()["profile"] == "plain"


def test_jobs_of_a_deleted_dataset_are_cancelled(client: TestClient, prefix: str) -> None:
    create(client)
    made = client.post("/v1/datasets/cats/jobs", json={"recipe": {"steps": ["ingest"]}})
    assert made.status_code == 202, made.text
    store = Dataset.open(f"{prefix}/acme/cats").store
    store.create("open/a-stray-marker", b"")
    assert client.delete("/v1/datasets/cats").status_code == 204
    assert job.describe(store, made.json()["id"]).state == "cancelled"


@pytest.mark.parametrize("name", ["drop", "open", "versions", "facts"])
def test_no_dataset_has_the_name_of_a_folder_within_datasets(client: TestClient, prefix: str, name: str) -> None:
    answer = client.post("/v1/datasets", json={"name": name})
    assert answer.status_code == 422
    assert "folder within datasets" in answer.json()["detail"]
    assert names(client) == []


def test_a_deleted_dataset_is_gone_but_its_objects_are_not_and_it_can_be_made_again(
    client: TestClient, prefix: str
) -> None:
    create(client, watch=True)
    dataset = Dataset.open(f"{prefix}/acme/cats")
    drop(dataset, {"a.jpg": photo(1, (64, 64))})
    go(dataset, recipe(dataset, "ingest"), Path("/nonexistent"))
    before = store_keys(dataset.store)
    assert client.delete("/v1/datasets/cats").status_code == 204
    assert client.get("/v1/datasets/cats").status_code == 404
    assert client.delete("/v1/datasets/cats").status_code == 404
    assert names(client) == []
    assert set(store_keys(dataset.store)) - set(before) == {"settings/00000000000000000002.json"}
    assert create(client).json()["settings"] == 3
    assert client.get("/v1/datasets/cats").json()["version"]["number"] == 1


def test_versions_made_from_the_command_line_belong_to_a_dataset_created_later(client: TestClient, prefix: str) -> None:
    dataset = Dataset.open(f"{prefix}/acme/cats")
    drop(dataset, {f"{seed}.jpg": photo(seed, (64, 64)) for seed in range(3)} | {"notes.jpg": b"no picture"})
    go(dataset, recipe(dataset, "ingest"), Path("/nonexistent"))
    assert names(client) == []
    create(client)
    version = client.get("/v1/datasets/cats").json()["version"]
    assert (version["number"], version["samples"]) == (1, {"unsplit": 3, "rejected": 1})
    assert version["counts"]["found"] == 4


def test_label_statistics_come_from_whoever_is_asked_for_them(prefix: str) -> None:
    dataset = Dataset.open(f"{prefix}/acme/cats")
    drop(dataset, {"a.jpg": photo(1, (64, 64))})
    go(dataset, recipe(dataset, "ingest"), Path("/nonexistent"))
    app = create_app(deployment(prefix), labels=lambda dataset, version: {"of": version.number})
    with TestClient(app, headers=bearer(ADMIN)) as client:
        create(client)
        assert client.get("/v1/datasets/cats").json()["labels"] == {"of": 1}


def test_a_list_goes_on_where_its_page_ended_and_skips_what_is_deleted(client: TestClient) -> None:
    for number in range(7):
        create(client, f"d{number}")
    client.delete("/v1/datasets/d2")
    pages, cursor = [], None
    while True:
        answer = client.get("/v1/datasets", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        pages.append([one["name"] for one in answer["datasets"]])
        cursor = answer["next"]
        if cursor is None:
            break
    assert pages == [["d0", "d1"], ["d3", "d4"], ["d5", "d6"]]


def test_changes_follow_each_other_and_say_who(client: TestClient, prefix: str) -> None:
    create(client)
    own = {"steps": [{"ingest": {}}, {"validate": {"min_side": 99}}], "dataset": "s3://elsewhere/dogs"}
    changed = client.patch("/v1/datasets/cats", json={"recipe": own}, headers={"If-Match": '"1"'})
    assert changed.status_code == 200
    assert changed.headers["etag"] == '"2"'
    assert changed.json()["recipe"] == {"steps": own["steps"]}
    assert client.patch("/v1/datasets/cats", json={"watch": True}).json()["recipe"] == {"steps": own["steps"]}
    back = client.patch("/v1/datasets/cats", json={"recipe": None}).json()
    assert (back["recipe"], back["own_recipe"], back["watch"]) == (RECIPES["plain"], False, True)
    assert len(settings_keys(prefix)) == 4


def test_a_change_to_settings_that_were_changed_since_is_refused(client: TestClient, prefix: str) -> None:
    create(client)
    client.patch("/v1/datasets/cats", json={"watch": True})
    for answer in (
        client.patch("/v1/datasets/cats", json={"watch": False}, headers={"If-Match": '"1"'}),
        client.delete("/v1/datasets/cats", headers={"If-Match": '"1"'}),
    ):
        assert answer.status_code == 412
    assert client.get("/v1/datasets/cats").json()["watch"] is True
    assert len(settings_keys(prefix)) == 2


def test_two_services_see_each_others_changes_at_once(client: TestClient, prefix: str) -> None:
    with TestClient(create_app(deployment(prefix)), headers=bearer(ADMIN)) as other:
        create(client)
        assert other.get("/v1/datasets/cats").json()["settings"] == 1
        for number in range(2, 5):
            assert client.patch("/v1/datasets/cats", json={"watch": number % 2 == 0}).status_code == 200
            assert other.get("/v1/datasets/cats").json()["settings"] == number
        other.delete("/v1/datasets/cats")
        assert client.get("/v1/datasets/cats").status_code == 404


@pytest.mark.parametrize("profile", get_args(Profile))
def test_every_profile_has_a_recipe_that_a_tenant_may_use(profile: Profile, prefix: str) -> None:
    said = deployment(prefix)
    made = recipe_of(dict(RECIPES[profile]), dataset=f"{prefix}/acme/x", tenant=said.tenants[0], deployment=said)
    assert made.dataset == f"{prefix}/acme/x"
    assert json.loads(json.dumps(RECIPES[profile])) == RECIPES[profile]


@pytest.mark.parametrize(
    ("model", "allowed"),
    [
        ("wd-vit-tagger-v3", True),
        ("WD-ViT-Tagger-V3", True),
        ("mine", True),
        ("someone/tagger", False),
        ("{prefix}/models/ours", True),
        ("{prefix}/acme/models/ours", True),
        ("/etc/passwd", False),
        ("./mine", False),
        ("../mine", False),
        ("~/.ssh", False),
        ("other", False),
        ("{prefix}/bees/models/theirs", False),
        ("{prefix}/acme/../bees/theirs", False),
        ("{prefix}/acme%2f..%2fbees", False),
        ("{prefix}/acme-other/x", False),
        ("s3://somebody/models/x", False),
        ("http://169.254.169.254/latest/meta-data", False),
        ("http://metadata.google.internal/", False),
        ("file:///etc/passwd", False),
        ("FILE:///etc/passwd", False),
        ("$(id)", False),
        ("mine; id", False),
        ("`id`", False),
        ("mine\n", False),
        ("mine\0", False),
    ],
)
def test_recipes_name_models_that_the_deployment_allows(prefix: str, model: str, allowed: bool) -> None:
    models = {"folders": ["mine"]}
    app = create_app(deployment(prefix, models=models))
    name = model.replace("{prefix}", prefix)
    with TestClient(app, headers=bearer(ADMIN)) as client:
        for step in ({"tag": {"model": name}}, {"caption": {"model": name}}, {"dedup": {"semantic": name}}):
            answer = client.post("/v1/datasets", json={"name": "cats", "recipe": {"steps": [step]}})
            assert answer.status_code == (201 if allowed else 422), answer.text
            if allowed:
                client.delete("/v1/datasets/cats")
        step = {"tag": {"model": "wd-eva02-large-tagger-v3", "also": ["wd-swinv2-tagger-v3", name]}}
        answer = client.post("/v1/datasets", json={"name": "dogs", "recipe": {"steps": [step]}})
        assert answer.status_code == (201 if allowed else 422), answer.text


@pytest.mark.parametrize(
    "raw",
    [
        r'{"remove": {"tags": ["\ud800"]}}',
        r'{"split": {"salt": "\udfff"}}',
        r'{"affix": {"before": "\u0000"}}',
        r'{"\ud800": {}}',
        '{"validate": {"max_aspect": Infinity}}',
        '{"validate": {"max_aspect": 1e999}}',
        '{"validate": {"max_aspect": NaN}}',
        '{"validate": {"min_side": ' + "9" * 4000 + "}}",
    ],
)
def test_what_json_can_say_but_no_record_can_keep_is_refused(client: TestClient, raw: str, prefix: str) -> None:
    sent = f'{{"name": "cats", "recipe": {{"steps": [{{"ingest": {{}}}}, {raw}]}}}}'
    answer = client.post("/v1/datasets", content=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert client.get("/v1/datasets").json()["datasets"] == []


def test_a_body_that_is_no_json_is_said_to_be_none(client: TestClient) -> None:
    answer = client.post("/v1/datasets", content='{"name": cats}', headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "body: is no JSON, from character 9 on" in answer.json()["detail"]


def test_a_question_for_a_dataset_that_is_not_there_leaves_nothing(client: TestClient, tmp_path: Path) -> None:
    assert names(client) == []
    before = sorted(tmp_path.rglob("*"))
    assert client.get("/v1/datasets/made-up").status_code == 404
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("recipe_sent", "said"),
    [
        ({"steps": []}, "no `steps:`"),
        ({"steps": [{"tagg": {}}]}, "did you mean `tag`"),
        ({"steps": ["ingest"], "strangers": 1}, "`strangers` is not part"),
        ({"steps": [{"validate": {"min_side": "x" * 9000}}]}, "min_side"),
        ({"steps": [{"trigger": "x" * 70_000}]}, "may have 65536"),
        ({"steps": [[[[[[[[[[[[[["deep"]]]]]]]]]]]]]]}, "levels deep"),
    ],
)
def test_a_wrong_recipe_is_refused_in_words(client: TestClient, recipe_sent: Any, said: str) -> None:
    answer = client.post("/v1/datasets", json={"name": "cats", "recipe": recipe_sent})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert len(answer.content) < 2000


def test_a_tenant_sees_its_own_datasets_alone(client: TestClient) -> None:
    create(client)
    other = {"headers": bearer(OTHER)}
    assert client.get("/v1/datasets", **other).json()["datasets"] == []
    missing = client.get("/v1/datasets/dogs").json() | {"request_id": ""}
    for answer in (
        client.get("/v1/datasets/cats", **other),
        client.patch("/v1/datasets/cats", json={"watch": True}, **other),
        client.delete("/v1/datasets/cats", **other),
    ):
        assert (answer.status_code, answer.json() | {"request_id": ""}) == (404, missing)
    assert client.post("/v1/datasets", json={"name": "cats"}, **other).status_code == 201
    assert client.get("/v1/datasets/cats", **other).json()["url"] != client.get("/v1/datasets/cats").json()["url"]


def test_a_cursor_that_nobody_made_is_refused(client: TestClient) -> None:
    for cursor in ("_", "-_-_", "a", "!", "x" * 501):
        assert client.get("/v1/datasets", params={"cursor": cursor}).status_code == 422


def test_reading_needs_no_more_than_the_scope_read(client: TestClient) -> None:
    create(client)
    assert client.get("/v1/datasets/cats", headers=bearer(READ)).status_code == 200
    for method, path in (("POST", "/v1/datasets"), ("PATCH", "/v1/datasets/cats"), ("DELETE", "/v1/datasets/cats")):
        body = {"name": "dogs"} if method == "POST" else {"watch": True} if method == "PATCH" else None
        assert client.request(method, path, json=body, headers=bearer(READ)).status_code == 403


@pytest.mark.server
def test_of_many_who_create_or_change_at_once_one_succeeds(bucket: str) -> None:
    prefix = f"s3://{bucket}/yard"
    apps = [create_app(deployment(prefix)) for _ in range(4)]
    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        clients = [stack.enter_context(TestClient(app, headers=bearer(ADMIN))) for app in apps] * 2
        made = list(pool.map(lambda client: client.post("/v1/datasets", json={"name": "cats"}).status_code, clients))
        assert sorted(made) == [201] + [409] * 7

        def change(client: TestClient) -> int:
            return client.patch("/v1/datasets/cats", json={"watch": True}, headers={"If-Match": '"1"'}).status_code

        changed = sorted(pool.map(change, clients))
        assert changed[0] == 200
        assert set(changed[1:]) <= {409, 412}
        assert {client.get("/v1/datasets/cats").json()["settings"] for client in clients} == {2}
        assert names(clients[0]) == ["cats"]
        assert clients[0].get("/readyz").json()["stores"] == 2
        assert names(clients[0]) == ["cats"]


TAKES, TAKES_NOT = ({"steps": [step]} for step in ({"ingest": {}}, {"validate": {}}))


@pytest.mark.parametrize(
    ("made", "changed", "status"),
    [
        ({"recipe": TAKES_NOT, "watch": True}, None, 422),
        ({"recipe": TAKES_NOT}, {"watch": True}, 422),
        ({"recipe": TAKES, "watch": True}, {"recipe": TAKES_NOT}, 422),
        ({}, {"recipe": TAKES_NOT, "watch": True}, 422),
        ({"recipe": TAKES, "watch": True}, {"recipe": TAKES_NOT, "watch": False}, 200),
        ({"recipe": TAKES_NOT}, {"recipe": None, "watch": True}, 200),
        ({"recipe": TAKES_NOT}, {"recipe": TAKES, "watch": True}, 200),
    ],
)
def test_a_recipe_that_takes_nothing_in_is_not_watched_with(
    client: TestClient, made: dict[str, Any], changed: dict[str, Any] | None, status: int
) -> None:
    answer = client.post("/v1/datasets", json={"name": "cats", **made})
    if changed is not None:
        assert answer.status_code == 201
        answer = client.patch("/v1/datasets/cats", json=changed)
    assert answer.status_code == status, answer.text
    assert status == 200 or "no `ingest` step" in answer.json()["detail"]


def test_a_number_without_the_quotes_of_an_etag_is_told_of_them(client: TestClient) -> None:
    create(client)
    answer = client.patch("/v1/datasets/cats", json={"watch": True}, headers={"If-Match": "1"})
    assert (answer.status_code, '"1"' in answer.json()["detail"]) == (412, True)
    assert client.patch("/v1/datasets/cats", json={"watch": True}, headers={"If-Match": '"1"'}).status_code == 200


def test_one_fault_in_a_list_is_told_once(client: TestClient) -> None:
    create(client)
    answer = client.post("/v1/datasets/cats/uploads", json={"files": [{"name": "a.jpg", "bytes": 0}]})
    assert [fault["field"] for fault in answer.json()["faults"]] == ["body.files.0.bytes"]
    answer = client.post("/v1/datasets/cats/uploads", json={"files": []})
    assert [fault["field"] for fault in answer.json()["faults"]] == ["body.files"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("lmit=1", "did you mean limit"),
        ("limit=1&where=x", "there are cursor, limit"),
        ("curser=YQ&limit=1", "did you mean cursor"),
    ],
)
def test_a_misspelt_parameter_is_told_and_not_left_out(client: TestClient, query: str, said: str) -> None:
    answer = client.get(f"/v1/datasets?{query}")
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["detail"]
    create(client)
    assert "there is none" in client.get("/v1/datasets/cats?versoin=1").json()["detail"]
