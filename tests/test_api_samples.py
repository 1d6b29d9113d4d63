"""Versions, samples, statistics and people's actions over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.diff import diff
from imageyard.manifests.sample import Sample
from imageyard.manifests.version import ROLES
from imageyard.ray_jobs.statistics import statistics
from imageyard.service.api import create_app
from jobs import by_name, drop, go, recipe
from pictures import corrupt, photo
from served import ADMIN, OTHER, READ, SUBMIT, bearer, deployment
from versions import committed

ROOT = "/v1/datasets/cats"
PICTURES = {f"{('normal', 'anomaly')[n % 2]}/{n}.jpg": photo(n, (60 + 12 * n, 90)) for n in range(8)}


def made(url: str, models: Path) -> Dataset:
    dataset = Dataset.open(url)
    drop(dataset, {**PICTURES, "broken.jpg": corrupt(), "normal/4.txt": b"a cat on a sofa"})
    steps: list[dict[str, Any] | str] = [{"ingest": {}}, {"validate": {"min_side": 70}}]
    steps += [{"tag": {"model": str(models / "sentinel")}}]
    go(dataset, recipe(dataset, *steps), models)
    go(dataset, recipe(dataset, *steps, {"split": {"test": 0.4}}), models)
    return dataset


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, models: Path) -> tuple[str, Dataset]:
    """A dataset that nothing changes."""
    prefix = f"file://{tmp_path_factory.mktemp('kept')}"
    return prefix, made(f"{prefix}/acme/cats", models)


@pytest.fixture(scope="module")
def reader(kept: tuple[str, Dataset]) -> Iterator[TestClient]:
    with TestClient(create_app(deployment(kept[0])), headers=bearer(READ)) as client:
        client.post("/v1/datasets", json={"name": "cats"}, headers=bearer(ADMIN))
        yield client


@pytest.fixture
def dataset(tmp_path: Path, models: Path) -> Dataset:
    return made(f"file://{tmp_path}/acme/cats", models)


@pytest.fixture
def client(tmp_path: Path, dataset: Dataset) -> Iterator[TestClient]:
    with TestClient(create_app(deployment(f"file://{tmp_path}")), headers=bearer(SUBMIT)) as client:
        client.post("/v1/datasets", json={"name": "cats"}, headers=bearer(ADMIN))
        yield client


def good(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def walked(client: TestClient, path: str, member: str, **query: Any) -> list[Any]:
    """All pages of a list."""
    found: list[Any] = []
    cursor: str | None = None
    for _ in range(200):
        page = good(client.get(path, params={**query, **({"cursor": cursor} if cursor else {})}))
        found += page[member]
        cursor = page["next"]
        if cursor is None:
            return found
    raise AssertionError("the list does not end")


def key(dataset: Dataset, name: str) -> str:
    version = dataset.newest()
    return by_name(dataset, version)[name][1].key


def test_versions_are_listed_newest_first_and_described(reader: TestClient, kept: tuple[str, Dataset]) -> None:
    _, dataset = kept
    for limit in (1, 2, 20):
        listed = walked(reader, f"{ROOT}/versions", "versions", limit=limit)
        assert [one["number"] for one in listed] == [2, 1]
    told = good(reader.get(f"{ROOT}/versions/2"))
    version = dataset.version(2)
    assert {**told, "manifests": None} == {
        **listed[0],
        "sha256": version.sha256,
        "parent_sha256": dataset.version(1).sha256,
        "fingerprint": version.fingerprint,
        "steps": version.recipe,
        "extractors": version.extractors,
        "models": json.loads(json.dumps(version.models)),
        "certificates": json.loads(json.dumps(version.certificates)),
        "manifests": None,
    }
    assert told["models"]["tags"]["parameters"]["model"] == "sentinel"
    assert {role: one["sha256"] for role, one in told["manifests"].items()} == {
        role: entry.sha256 for role, entry in version.manifests.items()
    }


@pytest.mark.parametrize("role", [None, *ROLES])
@pytest.mark.parametrize("where", [None, "class == anomaly", "has caption", 'tag "no such tag"'])
def test_pages_of_samples_joined_are_the_samples(
    reader: TestClient, kept: tuple[str, Dataset], role: str | None, where: str | None
) -> None:
    _, dataset = kept
    asked = {**({"role": role} if role else {}), **({"where": where} if where else {})}
    wholes = walked(reader, f"{ROOT}/versions/2/samples", "samples", limit=500, **asked)
    for limit in (1, 3):
        assert walked(reader, f"{ROOT}/versions/2/samples", "samples", limit=limit, **asked) == wholes
    version = dataset.version(2)
    roles = [role] if role else [one for one in ROLES if one != "rejected"]
    expected = [(one, dict(s.data)) for one in roles for s in dataset.read(version, one)]  # type: ignore[arg-type]
    found = [(one["role"], one["sample"]) for one in wholes]
    if where is None:
        assert found == expected
    else:
        assert all(one in expected for one in found)
        assert len(found) == {"class == anomaly": 4, "has caption": 1}.get(where, 0) or role is not None


def test_a_sample_is_found_by_its_key(reader: TestClient, kept: tuple[str, Dataset]) -> None:
    _, dataset = kept
    for role in ROLES:
        for sample in dataset.read(dataset.version(2), role):
            told = good(reader.get(f"{ROOT}/versions/2/samples/{sample.key}"))
            assert told == {"key": sample.key, "role": role, "image": None, "sample": dict(sample.data)}
    assert reader.get(f"{ROOT}/versions/2/samples/{'0' * 64}").status_code == 404


FORGED = [
    "!",
    "x",
    base64.urlsafe_b64encode(b"0.0." + b"0" * 32).decode().rstrip("="),
    base64.urlsafe_b64encode(b"../../etc/passwd").decode().rstrip("="),
    base64.urlsafe_b64encode(b"9" * 40).decode().rstrip("="),
    base64.urlsafe_b64encode(b"0").decode().rstrip("="),
    base64.urlsafe_b64encode("٣".encode()).decode().rstrip("="),
    base64.urlsafe_b64encode(b"\xff\xfe").decode().rstrip("="),
    "A" * 501,
]


@pytest.mark.parametrize("cursor", FORGED)
@pytest.mark.parametrize("path", ["/versions", "/versions/2/samples", "/versions/1/diff/2"])
def test_a_forged_cursor_is_a_problem(reader: TestClient, path: str, cursor: str) -> None:
    answer = reader.get(ROOT + path, params={"cursor": cursor})
    if path.endswith("diff/2") and cursor in (FORGED[4], FORGED[5]):
        assert answer.status_code == 200  # a place in the order of keys, as good as any
        return
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/versions/9", 404),
        ("/versions/0", 422),
        ("/versions/-1", 422),
        ("/versions/x", 422),
        ("/versions/1e3", 422),
        (f"/versions/{10**30}", 422),
        ("/versions/9/samples", 404),
        ("/versions/2/samples?role=../train", 422),
        ("/versions/2/samples?limit=0", 422),
        ("/versions/2/samples?limit=501", 422),
        ("/versions/2/samples?where=frob%20==%201", 422),
        ("/versions/2/samples?where=" + "(" * 60, 422),
        ("/versions/2/samples?where=" + "x" * 2001, 422),
        ("/versions/2/samples/" + "G" * 64, 422),
        ("/versions/2/samples/" + "0" * 63, 422),
        ("/versions/2/samples/..%2f..%2fsettings", 404),
        ("/versions/2/diff/9", 404),
        ("/versions/2/manifests/rejecte", 422),
        ("/versions/2/manifests/validation", 404),
        ("/versions/9/statistics", 404),
        ("/versions/2/tags?where=frob", 422),
        ("/versions/2/tags?top=501", 422),
        ("/versions/2/tags?source=other", 422),
    ],
)
def test_what_is_not_there_or_makes_no_sense_is_a_problem(reader: TestClient, path: str, status: int) -> None:
    answer = reader.get(ROOT + path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text


@pytest.mark.parametrize("path", ["/versions", "/versions/2", "/versions/2/samples", "/versions/2/statistics"])
def test_another_tenant_sees_nothing(reader: TestClient, path: str) -> None:
    theirs = reader.get(ROOT + path, headers=bearer(OTHER))
    nothing = reader.get("/v1/datasets/dogs" + path, headers=bearer(OTHER))
    assert theirs.status_code == nothing.status_code == 404
    assert theirs.json() | {"request_id": ""} == nothing.json() | {"request_id": ""}


def test_a_difference_is_that_of_the_command_line(reader: TestClient, kept: tuple[str, Dataset]) -> None:
    _, dataset = kept
    for one, other in ((1, 2), (2, 1), (2, 2)):
        expected = [
            {
                "key": change.key,
                "kind": change.kind,
                "before": change.before,
                "after": change.after,
                "members": {name: list(both) for name, both in change.members.items()},
            }
            for change in diff(dataset, dataset.version(one), dataset.version(other))
        ]
        for limit in (1, 100):
            assert walked(reader, f"{ROOT}/versions/{one}/diff/{other}", "differences", limit=limit) == expected
        assert bool(expected) == (one != other)


def test_statistics_and_tags_are_told(reader: TestClient, kept: tuple[str, Dataset]) -> None:
    _, dataset = kept
    told = good(reader.get(f"{ROOT}/versions/2/statistics"))
    assert told == json.loads(statistics(dataset, dataset.version(2)).model_dump_json())
    tags = good(reader.get(f"{ROOT}/versions/2/tags", params={"trigger": ["sks", "ohwx"], "top": 1}))
    assert (tags["of"], tags["partly"], tags["images"], len(tags["tags"])) == (7, False, 7, 1)
    assert [said for said, _ in tags["complete"]["without_trigger"]] == ["sks", "ohwx"]
    some = good(reader.get(f"{ROOT}/versions/2/tags", params={"where": "class == anomaly"}))
    assert some["images"] == 4


def test_a_folder_has_no_urls_and_says_so(reader: TestClient) -> None:
    assert reader.get(f"{ROOT}/versions/2/manifests/train").status_code == 501
    page = good(reader.get(f"{ROOT}/versions/2/samples", params={"images": True, "limit": 1}))
    assert page["samples"][0]["image"] is None


def test_a_large_version_is_counted_beside(tmp_path: Path) -> None:
    dataset = Dataset.open(f"file://{tmp_path}/acme/cats")
    samples: dict[str, Any] = {}
    for number in range(20_001):
        digest = f"{number * 2**200:064x}"
        samples[digest] = ("train", Sample.of(f"s3://b/{number}.jpg", **{"content-sha256": digest, "caption": "a, b"}))
    version = committed(dataset, samples)
    with TestClient(create_app(deployment(f"file://{tmp_path}")), headers=bearer(ADMIN)) as client:
        client.post("/v1/datasets", json={"name": "cats"})
        for path in ("statistics", "tags"):
            first = client.get(f"{ROOT}/versions/1/{path}")
            assert (first.status_code, first.headers["retry-after"]) == (202, "2")
            assert first.json() == {"counting": True, "version": 1}
        app: Any = client.app
        reading = app.state.yard.reading
        while client.get(f"{ROOT}/versions/1/tags").status_code == 202:
            pass
        told = good(client.get(f"{ROOT}/versions/1/tags"))
        assert (told["of"], told["partly"], told["images"]) == (20_001, True, 5_000)
        while reading.statistics(dataset, version) is None:
            pass
        assert good(client.get(f"{ROOT}/versions/1/statistics"))["captions"]["images"] == 20_001


def act(client: TestClient, *actions: dict[str, Any], headers: dict[str, str] | None = None, **more: Any) -> Any:
    return client.post(f"{ROOT}/samples:act", json={"actions": list(actions), **more}, headers=headers or {})


def test_what_a_person_says_becomes_a_version(client: TestClient, dataset: Dataset) -> None:
    one, other = key(dataset, "normal/6.jpg"), key(dataset, "anomaly/1.jpg")
    answer = act(
        client,
        {"action": "reject", "samples": [one], "reason": "a finger before the lens"},
        {"action": "split", "samples": [other], "to": "validation"},
        comment="by eye",
    )
    assert good(answer) | {"job": ""} == {"version": 3, "changed": sorted([one, other]), "job": ""}
    assert answer.headers["etag"] == '"3"'
    told = good(client.get(f"{ROOT}/versions/3/samples/{one}"))
    assert told["role"] == "rejected"
    said = told["sample"]["verdict-metadata"]
    assert (said["by"], said["comment"], said["human-annotated"]) == ("acme/submit", "by eye", "yes")
    moved = walked(client, f"{ROOT}/versions/2/diff/3", "differences")
    assert {change["key"]: change["after"] for change in moved} == {one: "rejected", other: "validation"}
    assert good(client.get(f"{ROOT}/versions", params={"limit": 1}))["versions"][0]["number"] == 3
    again = act(client, {"action": "reject", "samples": [one], "reason": "a finger before the lens"})
    assert good(again)["version"] == 3
    assert good(again)["changed"] == []


def test_if_match_says_what_was_seen(client: TestClient, dataset: Dataset) -> None:
    action = {"action": "restore", "samples": [key(dataset, "normal/6.jpg")]}
    for stale in ('"1"', '"3"', "2", 'W/"2"', '""', '"2", "3"'):
        answer = act(client, action, headers={"If-Match": stale})
        assert (answer.status_code, answer.json()["type"]) == (412, "urn:imageyard:problem:precondition-failed")
    assert good(act(client, action, headers={"If-Match": '"2"'}))["version"] == 3
    assert act(client, action, headers={"If-Match": '"2"'}).status_code == 412
    assert good(act(client, action, headers={"If-Match": "*"}))["version"] == 3


def test_reading_is_not_acting(client: TestClient, dataset: Dataset) -> None:
    action = {"action": "restore", "samples": [key(dataset, "normal/6.jpg")]}
    assert act(client, action, headers=bearer(READ)).status_code == 403
    assert act(client, action, headers=bearer(OTHER)).status_code == 404
    assert dataset.numbers() == [1, 2]


@pytest.mark.parametrize(
    ("action", "why"),
    [
        ({"action": "restore", "samples": ["0" * 64]}, f"has no sample {'0' * 64}"),
        ({"action": "restore", "samples": []}, "at least 1 item"),
        ({"action": "restore", "samples": ["../" + "0" * 61]}, "pattern"),
        ({"action": "restore", "samples": ["0" * 64], "at": "2026"}, "not permitted"),
        ({"action": "erase", "samples": ["0" * 64]}, "'restore', 'reject', 'label', 'caption', 'split'"),
        ({"action": "reject", "samples": ["0" * 64], "reason": "\u0007"}, "U+0007"),
        ({"action": "caption", "samples": ["0" * 64], "text": "x" * 10_001}, "at most 10000"),
        ({"action": "label", "samples": ["0" * 64], "attribute": "$(id)", "class": "x"}, "pattern"),
    ],
)
def test_what_makes_no_sense_is_named_and_commits_nothing(
    client: TestClient, dataset: Dataset, action: dict[str, Any], why: str
) -> None:
    answer = act(client, action)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert why in answer.text
    assert dataset.numbers() == [1, 2]


def test_a_class_that_the_dataset_does_not_have_is_refused_unless_it_is_new(
    client: TestClient, dataset: Dataset
) -> None:
    label = {"action": "label", "samples": [key(dataset, "normal/6.jpg")], "attribute": "quality", "class": "good"}
    assert "say that it is new" in act(client, label).json()["detail"]
    assert good(act(client, {**label, "new": True}))["version"] == 3


@pytest.mark.server
def test_manifests_and_images_by_urls_that_need_no_key(bucket: str, models: Path) -> None:
    dataset = made(f"s3://{bucket}/acme/cats", models)
    now = datetime(2026, 2, 1, tzinfo=UTC)
    with TestClient(create_app(deployment(f"s3://{bucket}"), clock=lambda: now), headers=bearer(ADMIN)) as client:
        client.post("/v1/datasets", json={"name": "cats"})
        link = good(client.get(f"{ROOT}/versions/2/manifests/train"))
        entry = dataset.version(2).manifests["train"]
        answer = httpx.get(link["url"])
        assert answer.content == dataset.store.get(entry.key)
        assert answer.headers["content-disposition"] == 'attachment; filename="cats-2-train.manifest"'
        assert (link["sha256"], link["expires"]) == (entry.sha256, "2026-02-01T00:15:00.000000")
        page = good(client.get(f"{ROOT}/versions/2/samples", params={"images": True, "limit": 2, "role": "train"}))
        for one in page["samples"]:
            assert httpx.get(one["image"]).content in PICTURES.values()
        assert httpx.get(page["samples"][0]["image"].split("?")[0]).status_code in (401, 403)


def test_a_dataset_is_described_with_its_classes(reader: TestClient, kept: tuple[str, Dataset]) -> None:
    told = good(reader.get(ROOT))
    assert told["version"]["number"] == 2
    assert {one["name"]: one["images"] for one in told["labels"]["anomaly-label"]["classes"]} == {
        "normal": 4,
        "anomaly": 4,
    }
