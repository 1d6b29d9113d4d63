"""Models that lie in an object store: copied whole, once for each content, and nowhere but into the models folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imageyard.manifests.errors import ModelError
from imageyard.manifests.store import Entry, Store
from imageyard.ray_jobs.models.bucket import MOST_BYTES, MOST_FILES, PART, RECORD, mirrored, to_copy

FILES = {"model.onnx": b"graph", "selected_tags.csv": b"name,category\n", "onnx/model.onnx": b"another"}

MIRROR = (
    "import sys; from pathlib import Path; from imageyard.ray_jobs.models.bucket import mirrored\n"
    "print(mirrored(sys.argv[1], Path(sys.argv[2])))"
)


@pytest.fixture
def lying(tmp_path: Path) -> Path:
    """A folder with a model, beside the folder `models`."""
    return laid(tmp_path / "store" / "my tagger")


def laid(folder: Path) -> Path:
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != RECORD
    }


def test_a_model_in_a_folder_of_a_store_is_copied_with_its_subfolders(tmp_path: Path, lying: Path) -> None:
    place = mirrored(lying.as_uri(), tmp_path / "models")
    assert contents(place) == FILES
    assert place.parent == tmp_path / "models"
    assert place.name.startswith("my tagger-")
    assert json.loads((place / RECORD).read_text())["url"] == lying.as_uri()


@pytest.mark.server
def test_a_model_in_a_bucket_is_copied_in_parts(tmp_path: Path, bucket: str) -> None:
    store = Store.open(f"s3://{bucket}/models/big")
    large = os.urandom(2 * PART + 5)
    for name, data in {"model.onnx": large, "exactly.bin": large[:PART], "empty.txt": b"", "a/b.txt": b"b"}.items():
        store.create(name, data)
    store.create("too/deep/model.onnx", b"not needed")
    place = mirrored(f"s3://{bucket}/models/big/", tmp_path)
    assert contents(place) == {"model.onnx": large, "exactly.bin": large[:PART], "empty.txt": b"", "a/b.txt": b"b"}
    assert mirrored(f"s3://{bucket}/models/big", tmp_path) == place


def test_what_is_copied_is_not_copied_again(tmp_path: Path, lying: Path) -> None:
    first = mirrored(lying.as_uri(), tmp_path / "models")
    before = {path: path.stat().st_ino for path in first.rglob("*")}
    assert mirrored(lying.as_uri() + "/", tmp_path / "models") == first
    assert {path: path.stat().st_ino for path in first.rglob("*")} == before


def test_a_changed_object_makes_another_copy_and_leaves_the_first(tmp_path: Path, lying: Path) -> None:
    first = mirrored(lying.as_uri(), tmp_path / "models")
    (lying / "model.onnx").write_bytes(b"other")  # as long as before
    second = mirrored(lying.as_uri(), tmp_path / "models")
    assert contents(first) == FILES
    assert contents(second) == FILES | {"model.onnx": b"other"}


def test_models_of_one_name_in_two_places_are_two(tmp_path: Path, lying: Path) -> None:
    other = laid(tmp_path / "elsewhere" / lying.name)
    (other / "model.onnx").write_bytes(b"other")
    places = [mirrored(one.as_uri(), tmp_path / "models") for one in (lying, other)]
    assert [contents(place)["model.onnx"] for place in places] == [b"graph", b"other"]


def test_only_what_is_wanted_is_copied_and_hidden_files_never(tmp_path: Path, lying: Path) -> None:
    (lying / ".gitattributes").write_bytes(b"*")
    (lying / ".cache").mkdir()
    (lying / ".cache" / "model.onnx").write_bytes(b"hidden")
    some = mirrored(lying.as_uri(), tmp_path / "models", wanted=("*.csv", "config.json"))
    assert contents(some) == {"selected_tags.csv": FILES["selected_tags.csv"]}
    assert contents(mirrored(lying.as_uri(), tmp_path / "models")) == FILES


def test_a_copy_that_was_interrupted_shows_nowhere_and_is_done_anew(tmp_path: Path, lying: Path) -> None:
    lying.joinpath("weights.bin").write_bytes(b"")
    os.truncate(lying / "weights.bin", 4 * 2**30)  # enough to be at work when it is killed; a hole on the disk
    folder = tmp_path / "models"
    with subprocess.Popen([sys.executable, "-c", MIRROR, lying.as_uri(), str(folder)]) as process:
        while not list(folder.glob(".*/*/weights.bin")):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert not [path for path in folder.iterdir() if not path.name.startswith(".")]
    (left,) = folder.iterdir()
    os.truncate(lying / "weights.bin", 3)
    assert mirrored(lying.as_uri(), folder).joinpath("weights.bin").read_bytes() == bytes(3)
    assert left.exists()
    shutil.rmtree(left)


def test_an_object_that_changes_while_it_is_copied_makes_no_copy(tmp_path: Path, lying: Path) -> None:
    weights, folder = lying / "weights.bin", tmp_path / "models"
    weights.touch()
    os.truncate(weights, 256 * 2**20)
    with ThreadPoolExecutor(1) as pool:
        copying = pool.submit(mirrored, lying.as_uri(), folder)
        while not list(folder.glob(".*/*/weights.bin")):
            assert not copying.done()
            time.sleep(0.001)
        os.utime(weights, (0, 0))
        with pytest.raises(ModelError, match=r"weights\.bin: changed while it was copied"):
            copying.result()
    assert list(folder.iterdir()) == []


def test_what_interrupted_copies_left_is_taken_away_after_a_day_and_nothing_else(tmp_path: Path, lying: Path) -> None:
    folder = tmp_path / "models"
    digest = "0123456789abcdef"
    old = [laid(folder / f".my tagger-{digest}.{suffix}") for suffix in ("abc_0123", "zzzzzzzz")]
    kept = [
        laid(folder / name)
        for name in (f".my tagger-v2-{digest}.abc_0123", ".my tagger-mine.backup00", f"my tagger-{digest}")
    ]
    for path in folder.rglob("*"):
        os.utime(path, (0, 0))
    kept.append(laid(folder / f".my tagger-{digest}.stillwrk"))
    place = mirrored(lying.as_uri(), folder)
    assert sorted(folder.iterdir()) == sorted([*kept, place])
    assert not any(path.exists() for path in old)


def test_processes_and_threads_that_copy_at_once_get_one_folder(tmp_path: Path, lying: Path) -> None:
    folder = tmp_path / "models"
    command = [sys.executable, "-c", MIRROR, lying.as_uri(), str(folder)]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    with ThreadPoolExecutor(8) as pool:
        places = {str(place) for place in pool.map(lambda _: mirrored(lying.as_uri(), folder), range(8))}
    for other in others:
        with other:
            places.add(other.communicate()[0].strip())
            assert other.returncode == 0
    assert [str(path) for path in folder.iterdir()] == [*places]
    assert contents(Path(places.pop())) == FILES


@pytest.mark.parametrize("key", ["..\\evil.onnx", "c:evil.onnx", "a/..\\..\\evil.onnx"])
def test_a_key_that_would_be_no_file_in_the_folder_is_refused(tmp_path: Path, key: str) -> None:
    url = f"memory://{uuid.uuid4().hex}/odd"
    store = Store.open(url)
    store.create("model.onnx", b"graph")
    store.create(key, b"evil")
    with pytest.raises(ModelError, match="cannot be a file's name"):
        mirrored(url, tmp_path / "models")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("key", ["../model.onnx", "./model.onnx", "/model.onnx", "a\nb.onnx", "..", "a/.."])
def test_a_key_that_only_s3_can_have_is_refused_too(key: str) -> None:
    entry = Entry(key, 1, "etag", datetime.now(UTC))
    with pytest.raises(ModelError, match="cannot be a file's name"):
        to_copy("s3://bucket/models/odd", [entry], ["*"])


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file://{store}/none", "no such folder"),
        ("file://{store}/empty", "there is no file in it"),
        ("memory://nothing/here", "there is no file in it"),
        ("s3://", "names no folder"),
        ("s3://bucket", "names no folder"),
        ("s3://bucket/models/..", "names no folder"),
        ("https://example.com/model", "not a URL of a store"),
        ("s3://b/models/x", "not the name of a bucket"),
    ],
)
def test_an_address_without_a_model_is_refused(tmp_path: Path, url: str, said: str) -> None:
    (tmp_path / "store" / "empty").mkdir(parents=True)
    url = url.format(store=tmp_path / "store")
    with pytest.raises(ModelError, match=said) as caught:
        mirrored(url, tmp_path / "models")
    assert str(caught.value).startswith(url)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "store"]


@pytest.mark.server
def test_a_bucket_that_is_not_there_is_said_to_be_missing(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(ModelError, match="no such bucket"):
        mirrored(f"s3://{bucket}-not/models/my-tagger", tmp_path)


def test_a_folder_of_too_many_files_or_bytes_is_refused_before_anything_is_copied(tmp_path: Path, lying: Path) -> None:
    (lying / "weights.bin").touch()
    os.truncate(lying / "weights.bin", MOST_BYTES)
    with pytest.raises(ModelError, match=r"more than the 128 GiB"):
        mirrored(lying.as_uri(), tmp_path / "models")
    for number in range(MOST_FILES):
        (lying / f"{number}.txt").touch()
    with pytest.raises(ModelError, match="more than 1000 objects"):
        mirrored(lying.as_uri(), tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_models_folder_that_cannot_be_written_is_said_to_be(tmp_path: Path, lying: Path) -> None:
    (tmp_path / "models").write_bytes(b"a file")
    with pytest.raises(ModelError, match="cannot be written to"):
        mirrored(lying.as_uri(), tmp_path / "models")
