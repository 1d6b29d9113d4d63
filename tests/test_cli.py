"""The command line: what it prints, and one clear line with exit code 2 for everything that can be foreseen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pictures
from command_line import invoke
from imageyard.manifests import Dataset
from imageyard.service.local_s3 import LocalS3
from jobs import drop, go, recipe, store_keys


@pytest.fixture(scope="module")
def dataset(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two versions: six photos with one copy, one truncated; then another threshold."""
    dataset = Dataset.open(f"file://{tmp_path_factory.mktemp('cats')}")
    files = {f"p{seed}.jpg": pictures.photo(seed, (160, 120)) for seed in range(6)}
    files |= {"red.png": pictures.flat("red", (80, 80)), "half.jpg": pictures.truncated()}
    files["again.jpg"] = pictures.recompressed(files["p1.jpg"], quality=50)
    drop(dataset, files)
    for threshold in (0.35, 0.999999):
        tag = {"tag": {"model": str(models / "sentinel"), "threshold": threshold}}
        go(dataset, recipe(dataset, "ingest", "dedup", tag, {"split": {"test": 0.2}}), models)
    return dataset


def test_log_lists_versions_newest_first(dataset: Dataset) -> None:
    said = invoke("log", dataset.url, "--json")
    assert [version["number"] for version in said] == [2, 1]
    assert said[0]["roles"]["rejected"] == 2
    assert "ingest-dedup-tag-split" in invoke("log", dataset.url)


def test_show_describes_a_version_and_lists_samples(dataset: Dataset) -> None:
    assert invoke("show", dataset.url, "--version", "1", "--json")["number"] == 1
    assert "manifests/" in invoke("show", dataset.url)
    rejected = invoke("show", dataset.url, "--role", "rejected", "--json")
    assert {sample["rejection"]["check"] for sample in rejected} == {"truncated", "duplicate"}
    assert "half.jpg" in invoke("show", dataset.url, "--role", "rejected")


def test_explain_says_why_an_image_was_rejected(dataset: Dataset) -> None:
    said = invoke("explain", dataset.url, "again.jpg", "--json")
    assert said["role"] == "rejected"
    assert said["sample"]["rejection"]["check"] == "duplicate"
    assert said["facts"]["probe"]["width"] == 160
    assert len(said["facts"]["hashes"]["pdq"]) == 64
    text = invoke("explain", dataset.url, "again.jpg")
    assert "why it was rejected" in text
    assert "p1.jpg" in text


def test_explain_finds_an_image_by_its_sha256_and_its_url(dataset: Dataset) -> None:
    said = invoke("explain", dataset.url, "red.png", "--json")["sample"]
    for name in (said["content-sha256"][:10], said["source-ref"]):
        assert invoke("explain", dataset.url, name, "--json")["image"] == "red.png"


def test_diff_names_the_tags_that_went(dataset: Dataset) -> None:
    said = invoke("diff", dataset.url, "1", "2", "--json")
    red = next(change for change in said["changes"] if change["image"] == "red.png")
    assert "red" in red["members"]["tags"]["before"]
    assert "red" not in red["members"]["tags"]["after"]
    assert "red.png" in invoke("diff", dataset.url, "1", "2")


@pytest.fixture
def captioned(tmp_path: Path, models: Path) -> Dataset:
    """One version of two pictures with captions of people."""
    dataset = Dataset.open(f"file://{tmp_path}/captioned")
    files = {"a.jpg": pictures.photo(1, (80, 80)), "a.txt": b"1girl, long hair, [bold]red[/bold]"}
    drop(dataset, files | {"b.jpg": pictures.photo(2, (80, 80)), "b.txt": b"solo"})
    go(dataset, recipe(dataset, "ingest"), models)
    return dataset


def test_a_dry_run_prints_every_caption_before_and_after(captioned: Dataset, tmp_path: Path) -> None:
    path = written(tmp_path, f"dataset: {captioned.url}\nsteps: [trigger: sks, {{remove: {{tags: [long_hair]}}}}]")
    text = invoke("run", path, "--dry-run")
    for words in ("1girl, long hair, [bold]red[/bold]", "sks, 1girl, [bold]red[/bold]", "sks, solo", "caption of 2"):
        assert words in text
    said = invoke("run", path, "--dry-run", "--json")
    assert [change["members"]["caption"]["after"] for change in said["changes"]].count("sks, solo") == 1
    assert captioned.numbers() == [1]


def test_words_are_counted_of_the_images_that_meet_a_condition(captioned: Dataset) -> None:
    assert invoke("tags", captioned.url, "--json")["images"] == 2
    assert invoke("tags", captioned.url, "--where", "tag solo", "--json")["images"] == 1
    assert invoke("captions", captioned.url, "--where", "name == a.jpg", "--json")["images"] == 1
    refused(command("coverage", captioned.url, "--where", "(tag solo"), "a parenthesis is not closed")


def test_undo_takes_back_the_last_version_and_diff_says_what_came_back(captioned: Dataset, tmp_path: Path) -> None:
    path = written(tmp_path, f"dataset: {captioned.url}\nsteps: [{{remove: {{tags: [long_hair, solo]}}}}]")
    assert invoke("run", path, "--json")["version"] == 2
    assert "caption: -long hair" in invoke("diff", captioned.url, "1", "2")
    assert invoke("undo", captioned.url, "--json") == {"dataset": captioned.url, "version": 3, "undone_to": 1}
    assert "caption: +long hair" in invoke("diff", captioned.url, "2", "3")
    assert "say the same" in invoke("diff", captioned.url, "1", "3")
    assert "says what version 2 said" in invoke("undo", captioned.url, "--to", "2")
    refused(command("undo", captioned.url, "--to", "9"), "nothing to undo")


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-m", "imageyard.service.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**clean, "AWS_EC2_METADATA_DISABLED": "true", **environment},
    )


def refused(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert done.stdout == ""


def written(folder: Path, text: str) -> str:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return str(path)


def test_a_wrong_key_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, f"dataset: file://{tmp_path}/d\nsteps: [ingest, {{validate: {{min_sides: 4}}}}]")
    refused(command("run", path), "did you mean `min_side`?")
    assert not (tmp_path / "d").exists()


def test_an_unreachable_store_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, "dataset: s3://bucket/cats\nsteps: [ingest]")
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    refused(command("run", path, **keys), "the store cannot be reached; check the network and the endpoint URL")


def test_missing_credentials_are_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, "dataset: s3://bucket/cats\nsteps: [ingest]")
    refused(command("run", path, HOME=str(tmp_path)), "no AWS credentials found; set AWS_PROFILE")


@pytest.mark.server
def test_a_bucket_that_is_not_there_and_a_key_that_is_refused_are_one_line(
    s3: LocalS3, bucket: str, tmp_path: Path
) -> None:
    path = written(tmp_path, "dataset: s3://not-there/cats\nsteps: [ingest]")
    refused(command("run", path, **s3.environment()), "there is no such bucket")
    path = written(tmp_path, f"dataset: s3://{bucket}/cats\nsteps: [ingest]")
    wrong = {**s3.environment(), "AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    refused(command("run", path, **wrong), "check the credentials and the policy")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, "dataset: file:///proc/imageyard\nsteps: [ingest]")
    refused(command("run", path), "the folder cannot be made")


def test_a_missing_model_is_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    dataset = Dataset.open(f"file://{tmp_path}/d")
    drop(dataset, {"a.jpg": pictures.photo(1, (80, 80))})
    path = written(tmp_path, f"dataset: {dataset.url}\nsteps: [ingest, {{tag: {{model: vit-v3}}}}]")
    refused(command("run", path, IMAGEYARD_MODELS=str(tmp_path / "m"), HF_HUB_OFFLINE="1"), "model.onnx")
    assert store_keys(dataset.store) == ["drop/a.jpg"]


def test_errors_are_json_where_json_was_asked_for(tmp_path: Path) -> None:
    done = command("run", str(tmp_path / "none.yaml"), "--json")
    assert done.returncode == 2
    assert "cannot be read" in json.loads(done.stderr)["error"]


def test_a_version_that_does_not_exist_is_one_line(dataset: Dataset) -> None:
    refused(command("show", dataset.url, "--version", "9"), "no version 9; it has 1 to 2")
    refused(command("explain", dataset.url, "nobody.png"), "no image 'nobody.png'")


def test_looking_at_a_folder_that_is_not_there_does_not_make_it(tmp_path: Path) -> None:
    refused(command("log", f"file://{tmp_path}/typo"), "there is no such folder")
    assert not (tmp_path / "typo").exists()


def test_a_bucket_name_and_an_endpoint_that_make_no_sense_are_one_line(tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    refused(command("log", "s3://bad bucket/cats", **keys), "is not the name of a bucket")
    refused(command("log", "s3://bucket/cats", AWS_ENDPOINT_URL="localhost:8333", **keys), "cannot be used")
    path = written(tmp_path, f"dataset: file://{tmp_path}/d\nsteps: [ingest]")
    refused(command("run", path, SOURCE_DATE_EPOCH="99999999999999999999"), "SOURCE_DATE_EPOCH")
