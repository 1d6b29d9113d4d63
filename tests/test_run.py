"""The main job, in process: a drop folder becomes a committed version, and decisions are free."""

import hashlib
from pathlib import Path

import pytest
from PIL import Image

import pictures
from imageyard.manifests import Dataset
from imageyard.manifests.errors import JobError, ModelError
from imageyard.ray_jobs.engine import LocalEngine
from imageyard.ray_jobs.recipe import parse_recipe
from imageyard.ray_jobs.worker import Place
from jobs import DATE, by_name, drop, go, job_events, manifests, reason, recipe, roles, samples_of, store_keys


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(f"memory://{tmp_path.name}")


def main(dataset: Dataset, models: Path, threshold: float = 0.35, blacklist: tuple[str, ...] = ()) -> object:
    return recipe(
        dataset,
        "ingest",
        {"validate": {"min_side": 64}},
        "dedup",
        {"tag": {"model": str(models / "sentinel"), "threshold": threshold, "blacklist": list(blacklist)}},
        {"split": {"test": 0.2, "validation": 0.2}},
    )


def hash_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def photos(count: int, first: int = 0) -> dict[str, bytes]:
    return {f"p{seed:03d}.jpg": pictures.photo(seed, (160, 120)) for seed in range(first, first + count)}


def test_a_drop_folder_becomes_a_version_and_is_cleared(dataset: Dataset, models: Path) -> None:
    drop(dataset, photos(10))
    outcome = go(dataset, main(dataset, models), models)
    assert outcome.state == "committed"
    assert outcome.version is not None
    counts = outcome.version.counts
    assert (counts["train"], counts["validation"], counts["test"]) == (6, 2, 2)
    assert store_keys(dataset.store, "drop") == []
    for role, sample in by_name(dataset, outcome.version).values():
        assert sample.value("split") == role
        key = dataset.store.key_of(sample.source_ref)
        assert key == f"images/{sample.key[:2]}/{sample.key}.jpg"
        metadata = sample.metadata("tags")
        assert metadata is not None
        assert metadata["type"] == "groundtruth/image-classification-multilabel"
        assert metadata["human-annotated"] == "no"
        assert metadata["creation-date"] == "2026-01-15T09:30:00.000000"
        assert set(metadata["class-map"]) == {str(index) for index in sample.value("tags")}


def test_a_second_run_finds_nothing_to_do(dataset: Dataset, models: Path) -> None:
    drop(dataset, photos(4))
    first = go(dataset, main(dataset, models), models)
    before = store_keys(dataset.store)
    second = go(dataset, main(dataset, models), models)
    assert (second.state, second.version) == ("nothing", first.version)
    assert second.tally.read == 0
    assert store_keys(dataset.store) == before


def test_an_empty_drop_folder_writes_nothing_at_all(dataset: Dataset, models: Path) -> None:
    assert go(dataset, main(dataset, models), models).state == "nothing"
    assert store_keys(dataset.store) == []


def test_other_thresholds_and_blacklists_read_nothing_and_run_no_model(dataset: Dataset, models: Path) -> None:
    files = {"red.png": pictures.flat("red", (80, 80)), "white.png": pictures.flat("white", (80, 80))}
    drop(dataset, files)
    first = go(dataset, main(dataset, models), models)
    tags = set(tag_names(dataset, first.version, "red.png"))
    assert "red" in tags
    second = go(dataset, main(dataset, models, blacklist=("RED",)), models)
    assert second.state == "committed"
    assert set(tag_names(dataset, second.version, "red.png")) == tags - {"red"}
    go(dataset, main(dataset, models, threshold=0.99999), models)
    assert second.job is not None
    (work,) = [event["work"] for event in job_events(dataset, second.job) if event["kind"] == "committed"]
    assert (work["read"], work["decoded"], work["model_runs"]) == (0, 0, 0)


def tag_names(dataset: Dataset, version: object, name: str) -> list[str]:
    _, sample = by_name(dataset, version)[name]  # type: ignore[arg-type]
    metadata = sample.metadata("tags")
    assert metadata is not None
    return list(metadata["class-map"].values())


def test_adding_ten_images_reads_ten_images(dataset: Dataset, models: Path) -> None:
    drop(dataset, photos(30))
    first = go(dataset, main(dataset, models), models)
    drop(dataset, photos(10, first=30))
    second = go(dataset, main(dataset, models), models)
    assert (second.tally.read, second.tally.decoded, second.tally.ingested) == (10, 10, 10)
    before, after = roles(dataset, first.version), roles(dataset, second.version)
    assert {name: after[name] for name in before} == before
    assert len(after) == 40
    old = b"".join(manifests(dataset, first.version).values()).splitlines()
    new = b"".join(manifests(dataset, second.version).values()).splitlines()
    assert set(old) <= set(new)


BAD = {
    "empty.jpg": (b"", "empty"),
    "page.jpg": (pictures.text(), "not-an-image"),
    "half.jpg": (pictures.truncated(), "truncated"),
    "bomb.png": (pictures.bomb(), "too-many-pixels"),
    "moving.gif": (pictures.animated(size=(200, 200)), "animated"),
    "ink.jpg": (pictures.cmyk(size=(200, 200)), "cmyk"),
    "deep.png": (pictures.sixteen_bit(size=(200, 200)), "16-bit"),
    "small.png": (pictures.flat(size=(40, 300)), "min_side"),
}


def test_a_bad_image_is_one_rejected_sample_with_a_reason(dataset: Dataset, models: Path) -> None:
    drop(dataset, {**{name: data for name, (data, _) in BAD.items()}, **photos(3)})
    outcome = go(dataset, main(dataset, models), models)
    samples = by_name(dataset, outcome.version)
    assert {name: reason(samples[name][1]).split(":")[0] for name in BAD} == {
        name: check for name, (_, check) in BAD.items()
    }
    assert [role for name, (role, _) in samples.items() if name not in BAD].count("rejected") == 0
    for name, (data, _) in BAD.items():  # nothing is lost: the bytes lie where the sample says
        key = dataset.store.key_of(samples[name][1].source_ref)
        assert key is not None
        assert dataset.store.get(key) == data


def test_a_rejection_names_the_value_and_the_threshold(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"small.png": pictures.flat(size=(40, 300))})
    outcome = go(dataset, main(dataset, models), models)
    _, sample = by_name(dataset, outcome.version)["small.png"]
    assert sample.value("rejection")["measured"] == 40
    assert sample.value("rejection")["threshold"] == 64
    assert "the shorter side is 40 pixels; at least 64" in reason(sample)


def test_a_lower_threshold_brings_an_image_back_without_reading_it(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"small.png": pictures.flat(size=(40, 300)), **photos(2)})
    go(dataset, recipe(dataset, "ingest", {"validate": {"min_side": 64}}), models)
    again = go(dataset, recipe(dataset, "ingest", {"validate": {"min_side": 32}}), models)
    assert roles(dataset, again.version)["small.png"] == "unsplit"
    assert again.tally.read == 0


def test_a_rejection_stays_when_a_recipe_without_its_step_is_run(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"small.png": pictures.flat(size=(40, 300)), **photos(2)})
    go(dataset, recipe(dataset, "ingest", {"validate": {"min_side": 64}}), models)
    again = go(dataset, recipe(dataset, {"split": {"test": 0.5}}), models)
    assert roles(dataset, again.version)["small.png"] == "rejected"


def test_of_copies_the_best_is_kept_and_the_others_name_it(dataset: Dataset, models: Path) -> None:
    original = pictures.scene(1, (640, 480))
    files = {
        "original.png": pictures.encoded(original, "PNG"),
        "again.jpg": pictures.encoded(original, "JPEG", quality=60),
        "half.jpg": pictures.encoded(original.resize((320, 240)), "JPEG", quality=90),
        "again.webp": pictures.encoded(original, "WEBP", quality=80),
        "double.png": pictures.encoded(original.resize((1280, 960), Image.Resampling.BICUBIC), "PNG"),
        "other.jpg": pictures.photo(2, (640, 480)),
    }
    drop(dataset, files)
    outcome = go(dataset, main(dataset, models), models)
    samples = by_name(dataset, outcome.version)
    assert samples["original.png"][0] != "rejected"
    assert samples["other.jpg"][0] != "rejected"
    for name in ("again.jpg", "again.webp", "half.jpg", "double.png"):
        value = samples[name][1].value("rejection")
        assert value["check"] == "duplicate"
        assert value["kept"] == samples["original.png"][1].key
        assert value["measured"] <= 31
        assert "original.png" in value["reason"]


def test_images_that_a_person_put_into_different_classes_are_no_copies(dataset: Dataset, models: Path) -> None:
    picture = pictures.photo(1, (320, 240))
    files = {"normal/a.jpg": picture, "normal/b.jpg": pictures.recompressed(picture, 70)}
    files["anomaly/c.jpg"] = pictures.recompressed(picture, 50)
    drop(dataset, files)
    outcome = go(dataset, main(dataset, models), models)
    placed = roles(dataset, outcome.version)
    assert [name for name, role in placed.items() if role == "rejected"] == ["normal/b.jpg"]
    assert placed["normal/a.jpg"] == placed["anomaly/c.jpg"]  # one duplicate group, so one split


def test_the_same_bytes_under_two_names_are_one_sample_with_both(dataset: Dataset, models: Path) -> None:
    data = pictures.photo(1, (160, 120))
    drop(dataset, {"a.jpg": data, "folder/b.jpg": data})
    outcome = go(dataset, main(dataset, models), models)
    samples = by_name(dataset, outcome.version)
    assert samples["a.jpg"][1] == samples["folder/b.jpg"][1]
    assert outcome.version is not None
    assert outcome.version.counts["exact-copies"] == 1
    assert outcome.tally.decoded == 1


def test_objects_that_come_again_are_known_and_read_nothing(dataset: Dataset, models: Path, tmp_path: Path) -> None:
    """Somebody syncs the same folder once more; on S3 the ETag is the content's."""
    files = {**photos(3), "p000.txt": b"a photo"}
    drop(dataset, files)
    first = go(dataset, main(dataset, models), models)
    drop(dataset, photos(2, first=10))
    second = go(dataset, main(dataset, models), models)
    assert second.tally.read == 2
    samples = by_name(dataset, second.version)
    assert first.version is not None
    assert samples["p000.jpg"][1].value("caption") == "a photo"


@pytest.mark.parametrize(
    ("data", "caption"),
    [
        (b"a cat on a mat", "a cat on a mat"),
        (b"\xef\xbb\xbfa cat\r\non a mat\n", "a cat\non a mat"),
        ("ein Kätzchen".encode("utf-16"), "ein Kätzchen"),
    ],
)
def test_a_text_beside_an_image_is_a_persons_caption(dataset: Dataset, models: Path, data: bytes, caption: str) -> None:
    drop(dataset, {"p.jpg": pictures.photo(1, (160, 120)), "p.txt": data})
    outcome = go(dataset, main(dataset, models), models)
    _, sample = by_name(dataset, outcome.version)["p.jpg"]
    assert sample.value("caption") == caption
    assert sample.metadata("caption")["human-annotated"] == "yes"  # type: ignore[index]
    assert store_keys(dataset.store, "drop") == []


def test_a_caption_that_cannot_be_read_stays_and_is_told_of(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"p.jpg": pictures.photo(1, (160, 120)), "p.txt": b"\xff\x00caf\xe9 \xfe"})
    outcome = go(dataset, main(dataset, models), models)
    assert [key for key, why in outcome.waiting if "save it as UTF-8" in why] == ["drop/p.txt"]
    assert store_keys(dataset.store, "drop") == ["drop/p.txt"]
    again = go(dataset, main(dataset, models), models)
    assert (again.state, again.waiting) == ("nothing", outcome.waiting)


def test_a_caption_that_comes_late_finds_its_image(dataset: Dataset, models: Path) -> None:
    drop(dataset, photos(2))
    go(dataset, main(dataset, models), models)
    drop(dataset, {"p001.txt": b"late but true", "nobody.txt": b"?"})
    outcome = go(dataset, main(dataset, models), models)
    _, sample = by_name(dataset, outcome.version)["p001.jpg"]
    assert sample.value("caption") == "late but true"
    assert outcome.tally.read == 0
    assert outcome.waiting == (("drop/nobody.txt", "a caption, but its image has not come"),)
    assert store_keys(dataset.store, "drop") == ["drop/nobody.txt"]
    again = go(dataset, main(dataset, models), models)
    assert (again.state, again.waiting) == ("nothing", outcome.waiting)


def test_of_two_captions_for_one_picture_none_is_lost(dataset: Dataset, models: Path) -> None:
    data = pictures.photo(1, (160, 120))
    drop(dataset, {"a.jpg": data, "a.txt": b"caption A", "b.jpg": data, "b.txt": b"caption B", "a.caption": b"third"})
    outcome = go(dataset, main(dataset, models), models)
    _, sample = by_name(dataset, outcome.version)["b.jpg"]
    assert sample.value("caption") == "caption A"
    assert store_keys(dataset.store, "drop") == ["drop/a.caption", "drop/b.txt"]
    again = go(dataset, main(dataset, models), models)
    assert again.state == "nothing"
    why = "a caption, but the image has the caption of a.txt"
    assert dict(again.waiting) == {"drop/b.txt": why, "drop/a.caption": why}


def test_a_caption_that_comes_late_goes_to_the_newest_picture_of_its_name(dataset: Dataset, models: Path) -> None:
    old, new = sorted([pictures.photo(1, (160, 120)), pictures.photo(2, (160, 120))], key=hash_of, reverse=True)
    done = recipe(dataset, "ingest")
    for day, data in ((1, old), (2, new)):
        drop(dataset, {"a.jpg": data})
        go(dataset, done, models, date=DATE.replace(day=day))
    drop(dataset, {"a.txt": b"the new one", "b.txt": b""})
    outcome = go(dataset, done, models)
    captions = {s.key: s.value("caption") for s in samples_of(dataset, outcome.version)}
    assert captions == {hash_of(old): None, hash_of(new): "the new one"}


def test_an_empty_caption_erases_nothing(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"a.jpg": pictures.photo(1, (160, 120)), "a.txt": b"real words"})
    go(dataset, recipe(dataset, "ingest"), models)
    drop(dataset, {"a.txt": b""})
    outcome = go(dataset, recipe(dataset, "ingest"), models)
    assert outcome.waiting == (("drop/a.txt", "an empty caption"),)
    assert by_name(dataset, outcome.version)["a.jpg"][1].value("caption") == "real words"


def test_a_copy_comes_back_when_its_witness_goes(dataset: Dataset, models: Path) -> None:
    scene = pictures.scene(1, (640, 480))
    files = {"big.png": pictures.encoded(scene, "PNG"), "small.jpg": pictures.encoded(scene.resize((320, 240)), "JPEG")}
    drop(dataset, files)
    first = go(dataset, recipe(dataset, "ingest", "dedup"), models)
    assert roles(dataset, first.version) == {"big.png": "unsplit", "small.jpg": "rejected"}
    second = go(dataset, recipe(dataset, "ingest", {"validate": {"max_side": 500}}), models)
    assert roles(dataset, second.version) == {"big.png": "rejected", "small.jpg": "unsplit"}


def test_other_files_stay_in_the_drop_folder_and_are_told_of(dataset: Dataset, models: Path) -> None:
    drop(dataset, {**photos(1), "notes.json": b"{}", ".hidden": b"x"})
    outcome = go(dataset, main(dataset, models), models)
    assert dict(outcome.waiting) == {
        "drop/notes.json": "neither an image nor a caption",
        "drop/.hidden": "a hidden file",
    }


def test_normal_and_anomaly_folders_are_lookouts_labels(dataset: Dataset, models: Path) -> None:
    files = {f"normal/{n}.jpg": pictures.photo(n, (160, 120)) for n in range(10)}
    files |= {f"Anomaly/{n}.jpg": pictures.photo(n + 50, (160, 120)) for n in range(10)}
    drop(dataset, files)
    outcome = go(dataset, main(dataset, models), models)
    samples = by_name(dataset, outcome.version)
    for name, value, label in (("normal/1.jpg", 0, "normal"), ("Anomaly/1.jpg", 1, "anomaly")):
        assert samples[name][1].value("anomaly-label") == value
        metadata = samples[name][1].metadata("anomaly-label")
        assert metadata is not None
        assert (metadata["class-name"], metadata["human-annotated"]) == (label, "yes")
    for folder in ("normal", "Anomaly"):  # the split is stratified
        assert sum(role == "test" for name, (role, _) in samples.items() if name.startswith(folder)) == 2


def test_every_folder_is_a_class_where_the_recipe_says_so(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"zebra/1.jpg": pictures.photo(1, (160, 120)), "ant/1.jpg": pictures.photo(2, (160, 120))})
    done = recipe(dataset, {"ingest": {"labels": "folder"}})
    first = by_name(dataset, go(dataset, done, models).version)
    assert {name: sample.value("label") for name, (_, sample) in first.items()} == {"ant/1.jpg": 0, "zebra/1.jpg": 1}
    drop(dataset, {"bee/1.jpg": pictures.photo(3, (160, 120))})
    second = by_name(dataset, go(dataset, done, models).version)
    assert second["bee/1.jpg"][1].value("label") == 2
    assert second["zebra/1.jpg"][1].value("label") == 1


def test_folders_become_classes_later_if_the_recipe_says_so_later(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"ant/1.jpg": pictures.photo(1, (160, 120)), "bee/1.jpg": pictures.photo(2, (160, 120))})
    go(dataset, recipe(dataset, "ingest"), models)
    outcome = go(dataset, recipe(dataset, {"ingest": {"labels": "folder"}}), models)
    assert outcome.tally.read == 0
    found = {name: s.metadata("label") or {} for name, (_, s) in by_name(dataset, outcome.version).items()}
    assert {name: metadata.get("class-name") for name, metadata in found.items()} == {
        "ant/1.jpg": "ant",
        "bee/1.jpg": "bee",
    }


@pytest.mark.parametrize("shard", [1, 3, 8, 512])
def test_neither_shards_nor_decode_threads_change_a_byte(tmp_path: Path, models: Path, shard: int) -> None:
    made = []
    for number, size in enumerate((shard, 5)):
        dataset = Dataset.open(f"memory://{tmp_path.name}-{number}")
        drop(dataset, {**photos(11), "half.jpg": pictures.truncated(), "copy.jpg": pictures.photo(0, (160, 120))})
        outcome = go(dataset, main(dataset, models), models, engine=LocalEngine(Place(cpus=2 * number + 1)), shard=size)
        made.append(
            {
                role: data.replace(dataset.url.encode(), b"")
                for role, data in manifests(dataset, outcome.version).items()
            }
        )
    assert made[0] == made[1]


def test_a_job_fails_past_its_error_fraction_and_leaves_everything_in_place(dataset: Dataset, tmp_path: Path) -> None:
    drop(dataset, {**photos(3), "half.jpg": pictures.truncated()})
    steps = {"dataset": dataset.url, "steps": ["ingest"]}
    strict = parse_recipe({**steps, "max_error_fraction": 0.2}, where="the test")
    with pytest.raises(JobError, match=r"1 of 4 new images cannot be read, more than the 0\.2"):
        go(dataset, strict, tmp_path)
    assert dataset.numbers() == []
    assert len(store_keys(dataset.store, "drop")) == 4
    patient = go(dataset, parse_recipe({**steps, "max_error_fraction": 0.25}, where="the test"), tmp_path)
    assert patient.state == "committed"
    assert patient.tally.read == 0  # what was measured stays measured


def test_a_missing_model_fails_before_anything_is_written(dataset: Dataset, tmp_path: Path) -> None:
    drop(dataset, photos(1))
    before = store_keys(dataset.store)
    with pytest.raises(ModelError, match="none"):
        go(dataset, recipe(dataset, "ingest", {"tag": {"model": str(tmp_path / "none")}}), tmp_path)
    assert store_keys(dataset.store) == before


def test_the_report_of_a_version_lies_with_its_job(dataset: Dataset, models: Path) -> None:
    drop(dataset, {**photos(3), "half.jpg": pictures.truncated(), "<b>.jpg": pictures.photo(9, (160, 120))})
    outcome = go(dataset, main(dataset, models), models)
    page = dataset.store.get(f"jobs/{outcome.job}/report.html").decode()
    assert "half.jpg" in page
    assert "truncated" in page
    assert "&lt;b&gt;.jpg" in page
    assert "<b>.jpg" not in page
