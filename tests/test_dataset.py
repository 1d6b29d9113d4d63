"""Stores and commits: create, never overwrite; one winner a number; nothing lost in a race or a lost reply."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from imageyard.manifests import Dataset, Sample, Store, Version
from imageyard.manifests.diff import diff
from imageyard.manifests.errors import (
    ChangedError,
    CommitError,
    ExistsError,
    NotFoundError,
    StoreError,
    VersionError,
)
from imageyard.manifests.store import Entry
from imageyard.manifests.version import version_key


@pytest.fixture(params=["memory", "file", pytest.param("s3", marks=pytest.mark.server)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """One behaviour on every kind of store."""
    if request.param == "memory":
        return Store.open(f"memory://{tmp_path.name}")
    if request.param == "file":
        return Store.open(f"file://{tmp_path}/a dataset")
    return Store.open(f"s3://{request.getfixturevalue('bucket')}/datasets/cats")


def build(dataset: Dataset, name: str, *, role: str = "train") -> Callable[[Version | None], Version]:
    """Adds one sample called `name` to whatever the parent holds."""

    def make(parent: Version | None) -> Version:
        old = list(dataset.read(parent, role)) if parent else []  # type: ignore[arg-type]
        new = Sample.of(f"s3://b/{name}.jpg", **{"content-sha256": name})
        draft = dataset.draft((role, sample) for sample in sorted([*old, new], key=lambda sample: sample.key))  # type: ignore[misc]
        return record(parent, draft.transaction, draft.manifests)

    return make


def record(parent: Version | None, transaction: str, manifests: object) -> Version:
    return Version.model_validate(
        {
            "number": parent.number + 1 if parent else 1,
            "transaction": transaction,
            "parent": parent.number if parent else None,
            "parent_sha256": parent.sha256 if parent else None,
            "created": "2026-01-15T09:30:00.000000",
            "job": "a-job",
            "fingerprint": "f",
            "recipe": {},
            "extractors": {},
            "counts": {},
            "manifests": manifests,
            "consumed": None,
        }
    )


@pytest.mark.parametrize("there", [0, 1, 1000, 1001, 1500, 2047, 2048])
def test_the_newest_of_many_versions_is_found_by_a_few_looks(tmp_path: Path, there: int) -> None:
    """A dataset that is dropped into all day has ten thousand versions in a week."""
    looks = Looks(Store.open(f"memory://{tmp_path.name}")._backend, "memory://the-dataset")
    first = record(None, "t", {})
    for number in range(1, there + 1):
        data = first.model_copy(update={"number": number}).encoded() if number == there else b"not read"
        looks.create(version_key(number), data)
    newest = Dataset(looks).newest()
    assert (newest.number if newest else 0) == there
    assert looks.listed <= 1001
    assert looks.heads <= 30


class Looks(Store):
    """A real store that counts what it is asked."""

    listed = 0
    heads = 0

    def list(self, prefix: str = "") -> Iterator[Entry]:
        for entry in super().list(prefix):
            self.listed += 1
            yield entry

    def head(self, key: str) -> Entry:
        self.heads += 1
        return super().head(key)


def test_an_object_is_created_once(store: Store) -> None:
    store.create("a/b.txt", b"first")
    with pytest.raises(ExistsError, match=r"a/b\.txt: already there"):
        store.create("a/b.txt", b"second")
    assert store.get("a/b.txt") == b"first"
    assert store.ensure("a/b.txt", b"third") is False
    assert store.get_range("a/b.txt", 1, 3) == b"irs"
    assert [entry.key for entry in store.list("a")] == ["a/b.txt"]


def test_reading_what_is_not_there_names_it(store: Store) -> None:
    with pytest.raises(NotFoundError, match="nowhere: there is no such object"):
        store.get("nowhere")
    with pytest.raises(NotFoundError, match="nowhere"):
        store.head("nowhere")


def test_an_object_that_changed_since_it_was_listed_is_neither_read_nor_removed(store: Store) -> None:
    store.create("drop/x", b"old")
    (entry,) = store.list("drop")
    assert store.remove(entry)
    store.create("drop/x", b"newer")
    with pytest.raises(ChangedError):
        store.get("drop/x", etag=entry.etag)
    assert store.remove(entry) is False
    assert store.get("drop/x") == b"newer"


def test_the_probe_accepts_a_store_that_creates_only_once(store: Store) -> None:
    assert store.refuse_unless_create_only("probe", b"1") is True
    assert store.refuse_unless_create_only("probe", b"1") is False


def test_a_store_that_overwrites_is_refused(tmp_path: Path) -> None:
    class Overwriting(Store):
        def create(self, key: str, data: bytes) -> None:
            with self.writer(key) as writer:
                writer.write(data)

    honest = Store.open(f"file://{tmp_path}")
    with pytest.raises(StoreError, match="ignores If-None-Match"):
        Overwriting(honest._backend, honest.url).refuse_unless_create_only("probe", b"1")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("cats", "must begin with one of s3://"),
        ("http://host/cats", "must begin with one of s3://"),
        ("s3:///cats", "no bucket"),
        ("file://host/cats", "three slashes"),
        ("s3://bucket/a/../b", "'..' segment"),
    ],
)
def test_a_url_that_is_no_store_is_one_clear_error(url: str, words: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store.open(url)
    assert words in str(caught.value)


def test_versions_are_numbered_and_name_their_parents(store: Store) -> None:
    dataset = Dataset(store)
    assert dataset.newest() is None
    first = dataset.commit(build(dataset, "a"))
    second = dataset.commit(build(dataset, "b"))
    assert first is not None
    assert second is not None
    assert dataset.numbers() == [1, 2]
    assert (second.parent, second.parent_sha256) == (1, first.sha256)
    assert [sample.key for sample in dataset.read(second, "train")] == ["a", "b"]
    assert dataset.version(2) == second
    with pytest.raises(VersionError, match="no version 9; it has 1 to 2"):
        dataset.version(9)


def test_the_second_commit_of_a_number_loses_and_is_rebased(store: Store) -> None:
    dataset = Dataset(store)
    parents = []

    def slow(parent: Version | None) -> Version:
        parents.append(parent.number if parent else None)
        made = build(dataset, "slow")(parent)
        if len(parents) == 1:
            dataset.commit(build(dataset, "quick"))
        return made

    version = dataset.commit(slow, pause=lambda seconds: None)
    assert version is not None
    assert parents == [None, 1]
    assert version.number == 2
    assert [sample.key for sample in dataset.read(version, "train")] == ["quick", "slow"]


def test_of_many_writers_at_once_every_one_commits_and_nothing_is_lost(store: Store) -> None:
    dataset = Dataset(store)
    names = [f"w{number}" for number in range(8)]
    threads = [threading.Thread(target=dataset.commit, args=(build(dataset, name),)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest = dataset.newest()
    assert newest is not None
    assert newest.number == 8
    assert [sample.key for sample in dataset.read(newest, "train")] == names


class LossyStore(Store):
    """A real store whose replies to creating a version get lost."""

    losses = 1

    def create(self, key: str, data: bytes) -> None:
        super().create(key, data)
        if key.startswith("versions/") and self.losses:
            self.losses -= 1
            raise StoreError("the connection was reset")


def test_a_commit_whose_reply_was_lost_is_recognised_as_ours(tmp_path: Path) -> None:
    honest = Store.open(f"file://{tmp_path}")
    dataset = Dataset(LossyStore(honest._backend, honest.url))
    version = dataset.commit(build(dataset, "a"), pause=lambda seconds: None)
    assert version is not None
    assert dataset.numbers() == [1]
    assert dataset.version(1).transaction == version.transaction


def test_a_commit_that_never_gets_through_says_so(tmp_path: Path) -> None:
    class Broken(Store):
        def create(self, key: str, data: bytes) -> None:
            raise StoreError("503")

    honest = Store.open(f"file://{tmp_path}")
    dataset = Dataset(Broken(honest._backend, honest.url))
    with pytest.raises(CommitError, match="version 1 could not be created"):
        dataset.commit(build(dataset, "a"), pause=lambda seconds: None)


def test_manifests_show_only_when_they_are_whole(tmp_path: Path) -> None:
    dataset = Dataset.open(f"file://{tmp_path}")

    def samples() -> Iterator[tuple[str, Sample]]:
        yield "train", Sample.of("s3://b/1")
        raise RuntimeError("the power is out")

    with pytest.raises(RuntimeError):
        dataset.draft(samples())  # type: ignore[arg-type]
    assert [entry for entry in dataset.store.list() if entry.size] == []


def test_ranges_are_whole_lines_and_cover_the_manifest(tmp_path: Path) -> None:
    dataset = Dataset.open(f"file://{tmp_path}")
    lines = [Sample.of(f"s3://b/{number}", x="y" * 4000) for number in range(3000)]
    draft = dataset.draft(("train", line) for line in lines)
    entry = draft.manifests["train"]
    assert len(entry.ranges) > 1
    assert [s for at in range(len(entry.ranges)) for s in dataset.read_range(entry, at)] == lines
    assert sum(part.length for part in entry.ranges) == entry.bytes
    version = record(None, draft.transaction, dict(draft.manifests))
    assert list(dataset.read(version, "train", threads=3)) == lines


def test_a_record_of_a_newer_format_is_refused_by_name(tmp_path: Path) -> None:
    dataset = Dataset.open(f"file://{tmp_path}")
    version = dataset.commit(build(dataset, "a"))
    assert version is not None
    data = json.loads(version.encoded()) | {"number": 2, "invented": 1}
    dataset.store.create(version_key(2), json.dumps(data).encode())
    with pytest.raises(VersionError, match=r"versions/0+2\.json: not a version record this release can read"):
        dataset.newest()


def test_a_diff_names_what_came_went_moved_and_changed(tmp_path: Path) -> None:
    dataset = Dataset.open(f"file://{tmp_path}")

    def write(placed: dict[str, tuple[str, str]]) -> Version:
        def make(parent: Version | None) -> Version:
            samples = (
                (role, Sample.of(f"s3://b/{key}", **{"content-sha256": key, "caption": said}))
                for key, (role, said) in sorted(placed.items())
            )
            draft = dataset.draft(samples)  # type: ignore[arg-type]
            return record(parent, draft.transaction, dict(draft.manifests))

        version = dataset.commit(make)
        assert version is not None
        return version

    older = write({"a": ("train", "x"), "b": ("train", "x"), "c": ("train", "x"), "e": ("test", "x")})
    newer = write({"a": ("train", "x"), "b": ("test", "x"), "c": ("train", "y"), "d": ("train", "x")})
    changes = {change.key: (change.kind, change.members) for change in diff(dataset, older, newer)}
    assert changes == {
        "b": ("moved", {}),
        "c": ("changed", {"caption": ("x", "y")}),
        "d": ("added", {}),
        "e": ("removed", {}),
    }
    assert list(diff(dataset, newer, newer)) == []


@pytest.mark.server
def test_a_bucket_that_does_not_exist_is_named(bucket: str) -> None:
    with pytest.raises(StoreError, match="there is no such bucket"):
        Store.open(f"s3://{bucket}-not/there").create("x", b"")


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("eu-central-1", "https://yard-of-cats.s3.eu-central-1.amazonaws.com/"),
        ("cn-north-1", "https://yard-of-cats.s3.cn-north-1.amazonaws.com.cn/"),
        ("us-east-1", "https://yard-of-cats.s3.amazonaws.com/"),
    ],
)
def test_what_is_signed_for_amazon_names_the_region_and_no_address_that_sends_elsewhere(
    monkeypatch: pytest.MonkeyPatch, region: str, expected: str
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    said = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": region}
    for name, value in {**said, "AWS_REGION": region, "AWS_CONFIG_FILE": "/nonexistent"}.items():
        monkeypatch.setenv(name, value)
    store, minute = Store.open("s3://yard-of-cats/teams/cats"), timedelta(minutes=1)
    form = store.form("drop/a.jpg", size=1, content_type="image/jpeg", expires=minute)
    assert form is not None
    assert form.url == expected
    signed = store.sign("manifests/a", expires=minute, filename="a.manifest")
    assert signed.startswith(f"{expected}teams/cats/manifests/a?")
    assert "X-Amz-Signature=" in signed
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    assert store.sign("a", expires=minute).startswith(f"https://s3.{region}.{domain}/yard-of-cats/teams/cats/a?")


@pytest.mark.server
def test_objects_of_other_clients_are_listed_and_signed(bucket: str) -> None:
    import boto3

    boto3.client("s3").put_object(Bucket=bucket, Key="d/drop/plain.txt", Body=b"1")
    store = Store.open(f"s3://{bucket}/d")
    assert {entry.key for entry in store.list("drop")} == {"drop/plain.txt"}
    assert store.sign("drop/plain.txt", expires=timedelta(minutes=1)).startswith("http")


def test_missing_credentials_are_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    code = "from imageyard.manifests import Store; Store.open('s3://bucket/cats')"
    environment = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert "no AWS credentials found; set AWS_PROFILE" in done.stderr.splitlines()[-1]
