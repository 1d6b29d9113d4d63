"""Upload forms against a real S3 server: what they let through, and what they do not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from imageyard.manifests.dataset import Dataset
from imageyard.manifests.store import Store
from imageyard.service.api import create_app
from imageyard.service.local_s3 import LocalS3
from imageyard.service.uploads import fault_of_name
from jobs import go, recipe, roles, store_keys
from pictures import photo
from served import ADMIN, OTHER, READ, SUBMIT, bearer, configuration, deployment, serving

PICTURE = photo(1, (64, 64))


@pytest.fixture
def client(bucket: str) -> Iterator[TestClient]:
    with TestClient(create_app(deployment(f"s3://{bucket}/yard")), headers=bearer(SUBMIT)) as client:
        client.post("/v1/datasets", json={"name": "cats"}, headers=bearer(ADMIN)).raise_for_status()
        yield client


def forms(client: TestClient, *files: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post("/v1/datasets/cats/uploads", json={"files": files})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["forms"]
    return found


def send(form: dict[str, Any], data: bytes, **changed: str) -> int:
    fields = {name: (None, value) for name, value in (form["fields"] | changed).items()}
    return httpx.post(form["url"], files=[*fields.items(), ("file", ("f", io.BytesIO(data)))]).status_code


@pytest.mark.server
def test_what_is_sent_by_a_form_is_taken_in_by_the_next_job(client: TestClient, bucket: str) -> None:
    caption = "a cat, Katze, 猫".encode()
    image, text = forms(
        client,
        {"name": "Tiere/größe 1.jpg", "bytes": len(PICTURE), "content_type": "image/jpeg"},
        {"name": "Tiere/größe 1.txt", "bytes": len(caption)},
    )
    assert send(image, PICTURE) in (200, 204)
    assert send(text, caption) in (200, 204)
    dataset = Dataset.open(f"s3://{bucket}/yard/acme/cats")
    assert store_keys(dataset.store, "drop") == ["drop/Tiere/größe 1.jpg", "drop/Tiere/größe 1.txt"]
    done = go(dataset, recipe(dataset, "ingest"), Path("/nonexistent"))
    assert done.version is not None
    assert roles(dataset, dataset.newest()) == {"Tiere/größe 1.jpg": "unsplit"}


@pytest.mark.server
@pytest.mark.parametrize("size", [len(PICTURE) + 1, len(PICTURE) - 1, 10 * len(PICTURE), 0])
def test_the_bucket_takes_no_other_size(client: TestClient, bucket: str, size: int) -> None:
    (form,) = forms(client, {"name": "a.jpg", "bytes": len(PICTURE)})
    assert send(form, (PICTURE * 10)[:size]) in (400, 403)
    assert store_keys(Dataset.open(f"s3://{bucket}/yard/acme/cats").store, "drop") == []


@pytest.mark.server
def test_a_form_is_good_for_its_key_and_kind_of_file_alone(client: TestClient, bucket: str, s3: LocalS3) -> None:
    (form,) = forms(client, {"name": "a.jpg", "bytes": len(PICTURE)})
    own = form["fields"]["key"]
    for key in (own.replace("acme", "bees"), own.replace("drop/", "versions/"), own + ".exe", "${filename}"):
        assert send(form, PICTURE, key=key) in (400, 403)
    assert send(form, PICTURE, **{"Content-Type": "text/html"}) in (400, 403)
    s3.create_bucket(f"{bucket}-too")
    assert send(form | {"url": form["url"] + "-too"}, PICTURE) in (400, 403)
    assert send(form, PICTURE, **{"x-amz-meta-more": "1"}) in (400, 403)
    policy = form["fields"]["policy"]
    assert send(form, PICTURE, policy=policy[:-4] + "AAAA") in (400, 403)
    assert store_keys(Dataset.open(f"s3://{bucket}/yard").store, "bees") == []
    assert store_keys(Dataset.open(f"s3://{bucket}/yard/acme/cats").store, "drop") == []
    assert send(form, PICTURE, **{"Content-Type": "image/webp"}) in (200, 204)


def test_a_store_without_forms_says_so(tmp_path: Path) -> None:
    with TestClient(create_app(deployment(f"file://{tmp_path}")), headers=bearer(ADMIN)) as client:
        client.post("/v1/datasets", json={"name": "cats"})
        answer = client.post("/v1/datasets/cats/uploads", json={"files": [{"name": "a.jpg", "bytes": 1}]})
        assert answer.status_code == 409
        assert "no upload forms" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "files"),
        ([{"name": "a.jpg", "bytes": 0}], "bytes"),
        ([{"name": "a.jpg", "bytes": 1001}], "may have 1000"),
        ([{"name": "a.jpg", "bytes": 10**30}], "may have 1000"),
        ([{"name": "a.jpg", "bytes": 1}] * 2, "twice"),
        ([{"name": f"{number}.jpg", "bytes": 1} for number in range(4)], "may name 3"),
        ([{"name": "a.jpg", "bytes": 1, "content_type": "text/html"}], "must be image/jpeg"),
        ([{"name": "a.exe", "bytes": 1}], "must end with"),
        ([{"name": "a.jpg", "bytes": 1, "acl": "public-read"}], "acl"),
    ],
)
def test_what_cannot_be_uploaded_is_said_before_anything_is_signed(
    tmp_path: Path, files: list[dict[str, Any]], said: str
) -> None:
    limits = {"upload_files": 3, "upload_bytes": 1000}
    with TestClient(create_app(deployment(f"file://{tmp_path}", limits=limits)), headers=bearer(ADMIN)) as client:
        client.post("/v1/datasets", json={"name": "cats"})
        answer = client.post("/v1/datasets/cats/uploads", json={"files": files})
        assert answer.status_code == 422
        assert said in answer.json()["detail"]
        answer = client.post(
            "/v1/datasets/cats/uploads", json={"files": [{"name": "a.jpg", "bytes": 1}]}, headers=bearer(READ)
        )
        assert answer.status_code == 403


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "a b.JPG", "normal/a.png", "größe.jpeg", "猫/猫.webp", "100%.jpg", "a'b,(c)!.txt", "^_^.caption"],
)
def test_names_that_people_give_are_taken(name: str) -> None:
    assert fault_of_name(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "", ".jpg", "a", "a.jpg/", "/a.jpg", "a//b.jpg", "./a.jpg", "../a.jpg", "a/../b.jpg", "a/..", "a\\b.jpg",
        ".a.jpg", "a/.b/c.jpg", " a.jpg", "a.jpg ", "a /b.jpg", "a\0.jpg", "a\n.jpg", "a\x7f.jpg", "a\u0085.jpg",
        "a\u202egpj.jpg",        "a\u200b.jpg", "a\u2028.jpg", "\ud800.jpg", "gro\u0308ße.jpg",
        "$(id).jpg", "`id`.jpg", "a;id.jpg", "${filename}.jpg",
        "%2e%2e/a.jpg", "a|b.jpg", "a<b>.jpg", "a*.jpg", "c:a.jpg", "a.svg", "a.html", "a.jpg.exe", "a.tar.gz",
        "x" * 509 + ".jpg", "/".join("abcdefghi") + ".jpg", "猫" * 170 + ".jpg",
    ],
    ids=lambda name: repr(name)[:40],
)  # fmt: skip
def test_names_that_could_lead_elsewhere_or_hide_what_they_are_are_not(name: str) -> None:
    assert fault_of_name(name) is not None


@pytest.mark.server
def test_a_store_opened_below_another_is_the_one_of_its_url(bucket: str) -> None:
    parent, direct = Store.open(f"s3://{bucket}/yard"), Store.open(f"s3://{bucket}/yard/acme/cats")
    below = parent.below("acme/cats")
    below.create("versions/1.json", b"one")
    assert (below.url, direct.get("versions/1.json")) == (direct.url, b"one")
    assert parent.get("acme/cats/versions/1.json") == b"one"
    assert below.remove(below.head("versions/1.json"))
    assert store_keys(direct) == []


@pytest.mark.server
def test_a_store_that_fails_is_said_to_and_its_place_and_secrets_are_not(
    tmp_path: Path, bucket: str, s3: LocalS3
) -> None:
    said = configuration(f"s3://{bucket}/yard")
    said["tenants"][1]["prefix"] = f"s3://{bucket}-missing/bees"
    with serving(tmp_path, said) as served, httpx.Client(base_url=served.url) as client:
        made = client.post("/v1/datasets", json={"name": "cats"}, headers=bearer(ADMIN))
        assert made.status_code == 201
        files = {"files": [{"name": "a.jpg", "bytes": len(PICTURE)}]}
        signed = client.post("/v1/datasets/cats/uploads", json=files, headers=bearer(SUBMIT)).json()["forms"][0]
        assert send(signed, PICTURE) in (200, 204)
        for method, path in (("GET", "/v1/datasets"), ("POST", "/v1/datasets"), ("GET", "/v1/datasets/cats")):
            body = {"name": "cats"} if method == "POST" else None
            answer = client.request(method, path, json=body, headers=bearer(OTHER))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert bucket not in answer.text
            assert client.get("/readyz").json()["failing"] == 1
        log = served.log.read_text()
    assert f"{bucket}-missing" in log
    secrets = [s3.secret_key, s3.access_key, ADMIN, SUBMIT, OTHER, signed["fields"]["policy"]]
    assert signed["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    secrets += [signed["fields"][name] for name in ("x-amz-signature", "x-amz-credential")]
    assert [secret for secret in secrets if secret in log] == []
