"""What Terraform makes, made on a server that speaks AWS: events that arrive, and what each role may do."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from imageyard.manifests import Dataset
from imageyard.ray_jobs.engine import LocalEngine
from imageyard.service.catalog import Catalog
from imageyard.service.deployment import digest_of, new_key
from imageyard.service.local_s3 import LocalS3
from imageyard.service.stores import Stores
from imageyard.service.watch.lying import Watched
from imageyard.service.watch.runners import LocalRunner
from imageyard.service.watch.sqs import SqsQueue
from imageyard.service.watch.watcher import Pace, Watcher
from imageyard.service.watch.windows import Rule
from jobs import DATE, drop, go, recipe, roles, store_keys
from manifests_of_kubernetes import of_kind
from overheard import overhearing
from pictures import photo
from policies import Asked, allowed, listed
from ray_api import TOKEN as RAY_TOKEN
from ray_api import ray_api
from served import bearer, serving
from terraforming import VARIABLES, Applied, applied, initialised
from test_infra_configuration import on_kubernetes

BUCKET = str(VARIABLES["bucket"])
ARN = f"arn:aws:s3:::{BUCKET}"
ROLE = "arn:aws:iam::123456789012:role/imageyard-{}"
CATS = f"{ARN}/teams/cats/set"
ADMIN = "arn:aws:iam::123456789012:role/administrator"
ANYTHING = {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
VERSION = f"{CATS}/versions/{7:020d}.json"
MANIFEST = f"{CATS}/manifests/{'0a' * 16}/train.manifest"
FACTS = f"{CATS}/facts/probe-0123456789abcdef/{'0a' * 16}.parquet"
IMAGE = f"{CATS}/images/ab/{'ab' * 32}.jpg"
CREATE = {"s3:ObjectCreationOperation": "true", "s3:if-none-match": "*"}
WRITE = {"s3:ObjectCreationOperation": "true"}
PART = {"s3:ObjectCreationOperation": "false"}

May = Callable[[str, Asked], bool]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    with applied(initialised(tmp_path_factory.mktemp("applied"))) as made:
        yield made


@pytest.fixture(scope="module")
def may(yard: Applied) -> May:
    """Whether a role may do what is asked: service, worker, trainer-cats … or admin, who may anything elsewhere."""
    bucket = yard.bucket_policy
    names = ("service", "worker", "trainer-cats", "trainer-dogs")
    documents = {name: yard.role_policies(f"imageyard-{name}") for name in names} | {"admin": [ANYTHING]}
    documents |= dict.fromkeys(("ray-nodes", "strange-nodes"), documents["worker"])

    def judge(role: str, asked: Asked) -> bool:
        principal = ADMIN if role == "admin" else ROLE.format(role)
        asked = Asked(asked.action, asked.resource, principal, asked.context)
        return allowed(asked, identity=documents[role], resource=bucket)

    return judge


def messages(yard: Applied, *, wait: float) -> list[dict[str, Any]]:
    """What is in the queue after at most so many seconds, taken out of it."""
    sqs, url = yard.client("sqs"), yard.outputs["queue_url"]
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + wait
    while not found and time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", ()):
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def test_what_is_put_into_a_drop_folder_arrives_as_a_message(yard: Applied) -> None:
    yard.client("s3").put_object(Bucket=BUCKET, Key="teams/cats/set/drop/a cat+1.jpg", Body=b"picture")
    (event,) = messages(yard, wait=20)
    assert (event["source"], event["detail-type"]) == ("aws.s3", "Object Created")
    assert event["detail"]["bucket"]["name"] == BUCKET
    assert event["detail"]["object"]["key"] == "teams/cats/set/drop/a cat+1.jpg"


@pytest.mark.parametrize(
    "key",
    [
        f"teams/cats/set/versions/{1:020d}.json",
        f"teams/cats/set/images/ab/{'ab' * 32}.jpg",
        "teams/cats/set/jobs/1/events/e.json",
        "teams/birds/set/drop/of-no-tenant.jpg",
        "teams/cats/dropped/a.jpg",
        "models/drop/model.onnx",
    ],
)
def test_what_is_put_elsewhere_sends_no_message(yard: Applied, key: str) -> None:
    yard.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x")
    assert messages(yard, wait=2) == []


def test_the_bucket_stands_as_it_was_described(yard: Applied) -> None:
    s3 = yard.client("s3")
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert set(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values()) == {True}
    owners = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"]
    assert [rule["ObjectOwnership"] for rule in owners] == ["BucketOwnerEnforced"]
    rules = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert all(not {"Days", "Date"} & set(rule.get("Expiration", {})) for rule in rules)
    assert {"NoncurrentDays": 30} in [rule.get("NoncurrentVersionExpiration") for rule in rules]
    assert {"DaysAfterInitiation": 2} in [rule.get("AbortIncompleteMultipartUpload") for rule in rules]


def test_a_message_that_never_succeeds_goes_to_the_dead_letter_queue(yard: Applied) -> None:
    sqs = yard.client("sqs")
    said = sqs.get_queue_attributes(QueueUrl=yard.outputs["queue_url"], AttributeNames=["RedrivePolicy"])
    redrive = json.loads(said["Attributes"]["RedrivePolicy"])
    dead = sqs.get_queue_attributes(QueueUrl=yard.outputs["dead_letter_queue_url"], AttributeNames=["QueueArn"])
    assert redrive["deadLetterTargetArn"] == dead["Attributes"]["QueueArn"]
    assert int(redrive["maxReceiveCount"]) == 20


@pytest.mark.parametrize("queue", ["queue_url", "dead_letter_queue_url"])
def test_only_rules_of_this_account_send_to_the_queues(yard: Applied, queue: str) -> None:
    said = yard.client("sqs").get_queue_attributes(QueueUrl=yard.outputs[queue], AttributeNames=["Policy"])
    allows = [one for one in json.loads(said["Attributes"]["Policy"])["Statement"] if one["Effect"] == "Allow"]
    (only,) = allows
    assert (only["Principal"], only["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
    assert only["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    rules = yard.client("events").list_rules()["Rules"]
    assert sorted(only["Condition"]["ArnEquals"]["aws:SourceArn"]) == sorted(rule["Arn"] for rule in rules)


def test_the_examples_of_kubernetes_name_what_terraform_makes(yard: Applied) -> None:
    config = on_kubernetes()
    named = {"url": "queue_url", "dead_letters": "dead_letter_queue_url"}
    for setting, output in named.items():
        path = urlsplit(config["queue"][setting]).path
        assert path == f"/123456789012/{str(yard.outputs[output]).rpartition('/')[2]}"
    (tenant,) = config["tenants"]
    assert tenant["prefix"] == yard.outputs["tenant_urls"][tenant["name"]]
    assert tenant["also"] == [yard.outputs["models_url"]]
    roles_named = {
        one["metadata"]["name"]: one["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].rpartition("/")[2]
        for one in of_kind("ServiceAccount")
    }
    service, worker = (str(yard.outputs[f"{role}_role_arn"]).rpartition("/")[2] for role in ("service", "worker"))
    assert roles_named == {
        "imageyard-service": service,
        "imageyard-ray-head": worker,
        "imageyard-ray-worker": worker,
    }


def test_no_role_is_given_a_bare_wildcard(yard: Applied) -> None:
    for role in ("service", "worker", "trainer-cats", "trainer-dogs"):
        for document in yard.role_policies(f"imageyard-{role}"):
            for statement in document["Statement"]:
                assert statement["Effect"] == "Allow"
                assert not [action for action in listed(statement["Action"]) if "*" in action]
                for resource in listed(statement["Resource"]):
                    assert resource.startswith(("arn:aws:s3:::yard-of-cats", "arn:aws:sqs:eu-central-1:123456789012:"))


def test_each_role_is_taken_by_its_service_account_alone(yard: Applied) -> None:
    issuer = "oidc.eks.eu-central-1.amazonaws.com/id/ABCDEF"
    accounts = {
        "service": ["imageyard:imageyard-service"],
        "worker": ["imageyard:imageyard-ray-head", "imageyard:imageyard-ray-worker"],
        "trainer-cats": ["training:cats"],
    }
    for role, subjects in accounts.items():
        found = yard.client("iam").get_role(RoleName=f"imageyard-{role}")["Role"]["AssumeRolePolicyDocument"]
        (statement,) = found["Statement"]
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert statement["Principal"] == {"Federated": VARIABLES["oidc_provider_arn"]}
        said = statement["Condition"]["StringEquals"]
        assert said[f"{issuer}:aud"] == "sts.amazonaws.com"
        assert listed(said[f"{issuer}:sub"]) == [f"system:serviceaccount:{subject}" for subject in subjects]


@pytest.mark.parametrize("role", ["service", "worker", "trainer-cats", "admin"])
@pytest.mark.parametrize("resource", [VERSION, MANIFEST, FACTS, IMAGE])
def test_nobody_deletes_what_is_committed(may: May, role: str, resource: str) -> None:
    assert not may(role, Asked("s3:DeleteObject", resource))
    assert not may(role, Asked("s3:DeleteObjectVersion", resource))


@pytest.mark.parametrize("role", ["service", "worker", "admin"])
@pytest.mark.parametrize("resource", [VERSION, FACTS, IMAGE])
def test_nobody_writes_over_what_is_created_once(may: May, role: str, resource: str) -> None:
    assert not may(role, Asked("s3:PutObject", resource, context=WRITE))


def test_workers_create_versions_and_stream_manifests(may: May) -> None:
    assert may("worker", Asked("s3:PutObject", VERSION, context=CREATE))
    assert may("worker", Asked("s3:PutObject", MANIFEST, context=WRITE))
    assert may("worker", Asked("s3:PutObject", MANIFEST, context=PART))
    assert may("service", Asked("s3:PutObject", VERSION, context=CREATE))


def test_nobody_else_writes_versions_and_manifests(may: May) -> None:
    assert not may("admin", Asked("s3:PutObject", VERSION, context=CREATE))
    assert not may("admin", Asked("s3:PutObject", MANIFEST, context=WRITE))
    assert may("admin", Asked("s3:PutObject", f"{CATS}/drop/a.jpg", context=WRITE))


def test_nodes_outside_kubernetes_commit_if_their_role_is_a_writer(may: May) -> None:
    for resource, context in ((VERSION, CREATE), (MANIFEST, WRITE)):
        assert may("ray-nodes", Asked("s3:PutObject", resource, context=context))
        assert not may("strange-nodes", Asked("s3:PutObject", resource, context=context))


@pytest.mark.parametrize(
    "name", ["images/ab/a.jpg", "versions/7.json", "facts/a.parquet", "manifests/x/train.manifest"]
)
def test_folders_of_any_name_can_be_dropped_and_taken_in(may: May, name: str) -> None:
    assert may("admin", Asked("s3:PutObject", f"{CATS}/drop/{name}", context=WRITE))
    assert may("worker", Asked("s3:DeleteObject", f"{CATS}/drop/{name}"))


def test_workers_remove_nothing_but_drops_and_markers(may: May) -> None:
    assert may("worker", Asked("s3:DeleteObject", f"{CATS}/open/job"))
    assert may("service", Asked("s3:DeleteObject", f"{CATS}/open/job"))
    assert not may("service", Asked("s3:DeleteObject", f"{CATS}/drop/a.jpg"))
    assert not may("worker", Asked("s3:DeleteObject", f"{CATS}/jobs/1/job.json"))
    assert not may("worker", Asked("s3:DeleteObject", f"{ARN}/models/tagger/model.onnx"))


def test_a_trainer_reads_its_own_datasets_and_no_more(may: May) -> None:
    for resource in (VERSION, MANIFEST, IMAGE):
        assert may("trainer-cats", Asked("s3:GetObject", resource))
        assert not may("trainer-dogs", Asked("s3:GetObject", resource))
        assert not may("trainer-cats", Asked("s3:PutObject", resource, context=CREATE))
    assert not may("trainer-cats", Asked("s3:GetObject", f"{CATS}/jobs/1/job.json"))
    assert may("trainer-cats", Asked("s3:ListBucket", ARN, context={"s3:prefix": "teams/cats/set/versions/"}))
    assert not may("trainer-cats", Asked("s3:ListBucket", ARN, context={"s3:prefix": "teams/dogs/"}))
    assert not may("trainer-cats", Asked("s3:ListBucket", ARN))


def test_no_role_reads_outside_its_tenants(may: May) -> None:
    for role in ("service", "worker"):
        assert may(role, Asked("s3:GetObject", VERSION))
        assert not may(role, Asked("s3:GetObject", f"{ARN}/teams/birds/set/versions/{7:020d}.json"))


def test_nothing_goes_without_encryption_on_the_way(may: May) -> None:
    asked = Asked("s3:GetObject", VERSION, context={"aws:SecureTransport": "false"})
    assert not may("worker", asked)
    assert not may("admin", asked)


@pytest.fixture
def overheard(s3: LocalS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Asked]]:
    """The requests to a bucket of the same name on an S3 server, to which the environment leads."""
    environment = s3.environment()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    s3.create_bucket(BUCKET)
    with overhearing(environment["AWS_ENDPOINT_URL_S3"]) as (url, heard):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        yield heard


@pytest.mark.server
def test_a_worker_may_do_all_that_a_real_run_does(overheard: list[Asked], may: May, models: Path) -> None:
    dataset = Dataset.open(f"s3://{BUCKET}/teams/cats/run")
    drop(dataset, {f"{seed}.jpg": photo(seed) for seed in range(3)} | {"broken.jpg": b"no picture"})
    del overheard[:]
    outcome = go(dataset, recipe(dataset, "ingest", "validate", "dedup"), models)
    assert len(roles(dataset, outcome.version)) == 4
    assert {asked.action for asked in overheard} >= {"s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject"}
    assert [asked for asked in overheard if not may("worker", asked)] == []
    assert [asked for asked in overheard if not may("trainer-cats", asked)]


@pytest.mark.server
def test_a_trainer_may_do_all_that_reading_a_version_needs(overheard: list[Asked], may: May, models: Path) -> None:
    from imageyard.manifests.loader import VersionStream

    dataset = Dataset.open(f"s3://{BUCKET}/teams/cats/trained")
    drop(dataset, {f"{seed}.jpg": photo(seed) for seed in range(2)})
    go(dataset, recipe(dataset, "ingest"), models)
    del overheard[:]
    stream = VersionStream(dataset.url, 1, "unsplit", global_batch=2)
    assert sum(len(batch["image"]) for batch in stream.batches()) == 2
    assert {asked.action for asked in overheard} >= {"s3:GetObject"}
    assert [asked for asked in overheard if not may("trainer-cats", asked)] == []
    assert [asked for asked in overheard if may("trainer-dogs", asked)] == []


@pytest.mark.server
def test_the_service_may_do_all_that_its_requests_need(
    overheard: list[Asked], may: May, models: Path, tmp_path: Path
) -> None:
    dataset = Dataset.open(f"s3://{BUCKET}/teams/cats/served")
    drop(dataset, {f"{seed}.jpg": photo(seed) for seed in range(2)})
    go(dataset, recipe(dataset, "ingest"), models)
    del overheard[:]
    key = new_key()
    keys = [{"name": "all", "sha256": digest_of(key), "scopes": ["admin"]}]
    config = {"tenants": [{"name": "cats", "prefix": f"s3://{BUCKET}/teams/cats", "keys": keys}]}
    with (
        serving(tmp_path, config) as served,
        httpx.Client(base_url=served.url, headers=bearer(key), timeout=60) as client,
    ):
        assert client.get("/readyz").status_code == 200
        assert client.post("/v1/datasets", json={"name": "served", "profile": "plain"}).status_code == 201
        below = "/v1/datasets/served"
        files = [{"name": "3.jpg", "bytes": 1000}]
        assert client.post(f"{below}/uploads", json={"files": files}).status_code == 200
        for path in ("/v1/datasets", below, f"{below}/versions", f"{below}/versions/1", f"{below}/versions/9"):
            assert client.get(path).status_code == (404 if path.endswith("9") else 200), path
        for path in ("versions/1/statistics", "versions/1/tags", "versions/1/manifests/unsplit", "jobs"):
            assert client.get(f"{below}/{path}").status_code == 200, path
        submitted = client.post(f"{below}/jobs", json={}).json()["id"]
        assert client.post(f"{below}/jobs/{submitted}:cancel").json()["state"] == "cancelled"
        assert client.get(f"{below}/jobs/{submitted}/events").status_code == 200
        (sample, _) = client.get(f"{below}/versions/1/samples").json()["samples"]
        act = {"actions": [{"action": "reject", "samples": [sample["key"]], "reason": "blurred"}]}
        answer = client.post(f"{below}/samples:act", json=act)
        assert answer.status_code == 200, answer.text
    assert {asked.action for asked in overheard} >= {"s3:PutObject", "s3:GetObject", "s3:ListBucket"}
    assert [asked for asked in overheard if not may("service", asked)] == []


@pytest.mark.server
def test_the_service_may_do_all_that_watching_and_looking_after_jobs_need(
    overheard: list[Asked], may: May, tmp_path: Path
) -> None:
    dataset, key = Dataset.open(f"s3://{BUCKET}/teams/cats/watched"), new_key()
    drop(dataset, {"1.jpg": photo(1), "1.txt": b"a caption"})
    catalog = Catalog(f"s3://{BUCKET}/teams/cats", Stores(), lambda: datetime.now(UTC))
    catalog.create("watched", profile="plain", recipe=None, watch=True, by="cats/all")
    del overheard[:]
    keys = [{"name": "all", "sha256": digest_of(key), "scopes": ["admin"]}]
    config = {
        "tenants": [{"name": "cats", "prefix": f"s3://{BUCKET}/teams/cats", "keys": keys}],
        "watch": {"window": 0.1, "every": 1},
    }
    with (
        ray_api() as ray,
        serving(
            tmp_path, config | {"ray": {"address": ray.address}}, environment={"RAY_AUTH_TOKEN": RAY_TOKEN}
        ) as served,
        httpx.Client(base_url=served.url, headers=bearer(key), timeout=60) as client,
    ):
        deadline = time.monotonic() + 120
        while not ray.jobs:  # the watcher has submitted, and the reconcile loop has handed over
            assert time.monotonic() < deadline, served.log.read_text()
            time.sleep(0.1)
        (handed,) = ray.jobs
        name = handed.rpartition("-a")[0]
        assert name.startswith("drop-")
        client.post(f"/v1/datasets/watched/jobs/{name}:cancel").raise_for_status()
        while store_keys(dataset.store, "open"):
            assert time.monotonic() < deadline, served.log.read_text()
            time.sleep(0.1)
    assert {asked.action for asked in overheard} >= {"s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject"}
    assert [asked for asked in overheard if not may("service", asked)] == []


def test_the_judge_of_policies_refuses_what_it_does_not_understand() -> None:
    strange = {"Statement": [{"Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "*"}]}
    with pytest.raises(ValueError, match="NotAction"):
        allowed(Asked("s3:GetObject", VERSION), identity=[strange], resource={"Statement": []})


@pytest.mark.server
def test_what_is_put_into_a_drop_folder_becomes_a_committed_sample(
    yard: Applied, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in yard.environment().items():
        monkeypatch.setenv(name, value)
    dataset = Dataset.open(f"s3://{BUCKET}/teams/dogs/set")
    yard.client("s3").put_object(Bucket=BUCKET, Key="teams/dogs/set/drop/a dog+1.jpg", Body=photo(1))
    queue = SqsQueue.open(yard.outputs["queue_url"], dead_letters=yard.outputs["dead_letter_queue_url"])
    watched = [Watched(recipe(dataset, "ingest"))]
    # No listing: the message alone must do it.
    pace = Pace(Rule(0.1, 100), every=3600.0)
    watcher = Watcher(lambda: watched, LocalRunner(LocalEngine, tmp_path, date=DATE), queue=queue, pace=pace)
    deadline = time.monotonic() + 60
    while not watcher.counts.deleted and time.monotonic() < deadline:
        watcher.turn()
    watcher.end()
    assert roles(dataset, dataset.newest()) == {"a dog+1.jpg": "unsplit"}
    assert store_keys(dataset.store, "drop") == []
    assert (watcher.counts.deleted, watcher.counts.malformed) == (1, 0)
    assert messages(yard, wait=2) == []
