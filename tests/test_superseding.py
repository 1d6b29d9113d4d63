"""A key that is overwritten: the new content takes the old one's place, and nothing is kept silently."""

import hashlib
from pathlib import Path

import pytest

import pictures
from imageyard.manifests import Dataset, Sample
from imageyard.manifests.version import Version
from imageyard.ray_jobs.worker import MAX_PIXELS
from jobs import drop, go, manifests, reason, recipe, samples_of, store_keys

FIRST, SECOND, THIRD = (pictures.photo(seed, (160, 120)) for seed in (1, 2, 3))


@pytest.fixture(params=["memory", "bucket"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    """In memory every object has an ETag of its own; in the bucket equal bytes have equal ETags, as on S3."""
    if request.param == "memory":
        return Dataset.open(f"memory://{tmp_path.name}")
    return Dataset.open(f"s3://{request.getfixturevalue('bucket')}/cats")


def key_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def came(dataset: Dataset, models: Path, **files: bytes) -> Version:
    """What a run commits after files came; `a_jpg` is the file a.jpg."""
    drop(dataset, {name.replace("_", "."): data for name, data in files.items()})
    version = go(dataset, recipe(dataset, "ingest", "dedup", {"split": {"test": 0}}), models).version
    assert version is not None
    assert store_keys(dataset.store, "drop") == []
    return version


def said(dataset: Dataset, version: Version) -> dict[str, str | None]:
    """By key, the check by which a sample is rejected, or None."""
    rejected = {sample.key: sample for sample in dataset.read(version, "rejected")}
    return {
        sample.key: str(sample.value("rejection")["check"]) if sample.key in rejected else None
        for sample in samples_of(dataset, version)
    }


def rejected(dataset: Dataset, version: Version) -> Sample:
    (sample,) = dataset.read(version, "rejected")
    return sample


def test_another_content_under_the_same_key_supersedes_the_first(dataset: Dataset, models: Path) -> None:
    came(dataset, models, a_jpg=FIRST, b_jpg=THIRD)
    version = came(dataset, models, a_jpg=SECOND)
    assert said(dataset, version) == {key_of(FIRST): "superseded", key_of(SECOND): None, key_of(THIRD): None}
    sample = rejected(dataset, version)
    assert sample.value("rejection")["newer"] == key_of(SECOND)
    assert reason(sample) == f"superseded: a.jpg was overwritten with another picture, {key_of(SECOND)[:12]}"
    assert version.counts["rejected-superseded"] == 1


def test_a_retouched_copy_takes_the_place_of_the_original_though_the_original_is_the_better_one(
    dataset: Dataset, models: Path
) -> None:
    worse = pictures.recompressed(FIRST, 60)
    came(dataset, models, a_jpg=FIRST)
    version = came(dataset, models, a_jpg=worse)
    assert said(dataset, version) == {key_of(FIRST): "superseded", key_of(worse): None}


def test_overwriting_back_to_the_first_content_brings_it_back(dataset: Dataset, models: Path) -> None:
    came(dataset, models, a_jpg=FIRST)
    came(dataset, models, a_jpg=SECOND)
    version = came(dataset, models, a_jpg=FIRST)
    assert said(dataset, version) == {key_of(FIRST): None, key_of(SECOND): "superseded"}
    assert said(dataset, came(dataset, models, a_jpg=SECOND)) == {key_of(FIRST): "superseded", key_of(SECOND): None}


def test_of_three_in_a_row_only_the_last_stands(dataset: Dataset, models: Path) -> None:
    for data in (FIRST, SECOND):
        came(dataset, models, a_jpg=data)
    version = came(dataset, models, a_jpg=THIRD)
    assert said(dataset, version) == {key_of(FIRST): "superseded", key_of(SECOND): "superseded", key_of(THIRD): None}


def test_a_picture_that_holds_another_name_stays(dataset: Dataset, models: Path) -> None:
    came(dataset, models, a_jpg=FIRST, b_jpg=FIRST)
    version = came(dataset, models, a_jpg=SECOND)
    assert said(dataset, version) == {key_of(FIRST): None, key_of(SECOND): None}
    version = came(dataset, models, b_jpg=THIRD)
    assert said(dataset, version) == {key_of(FIRST): "superseded", key_of(SECOND): None, key_of(THIRD): None}


def test_a_superseded_picture_that_comes_under_a_new_name_stands_again(dataset: Dataset, models: Path) -> None:
    came(dataset, models, a_jpg=FIRST)
    came(dataset, models, a_jpg=SECOND)
    version = came(dataset, models, c_jpg=FIRST)
    assert said(dataset, version) == {key_of(FIRST): None, key_of(SECOND): None}


def test_swapped_names_lose_nothing(dataset: Dataset, models: Path) -> None:
    came(dataset, models, a_jpg=FIRST, b_jpg=SECOND)
    version = came(dataset, models, a_jpg=SECOND, b_jpg=FIRST)
    assert said(dataset, version) == {key_of(FIRST): None, key_of(SECOND): None}


@pytest.mark.parametrize("broken", [b"", pictures.truncated(), b"no picture"], ids=["empty", "truncated", "text"])
def test_a_broken_upload_does_not_cost_the_good_picture_before_it(
    dataset: Dataset, models: Path, broken: bytes
) -> None:
    came(dataset, models, a_jpg=FIRST)
    version = came(dataset, models, a_jpg=broken)
    found = said(dataset, version)
    assert found[key_of(FIRST)] is None
    assert found[key_of(broken)] in ("empty", "truncated", "not-an-image")
    version = came(dataset, models, a_jpg=SECOND)
    assert said(dataset, version) == {
        key_of(FIRST): "superseded",
        key_of(broken): found[key_of(broken)],
        key_of(SECOND): None,
    }


def test_the_same_bytes_under_the_same_key_again_change_nothing(dataset: Dataset, models: Path) -> None:
    first = came(dataset, models, a_jpg=FIRST, b_jpg=SECOND)
    again = came(dataset, models, a_jpg=FIRST)
    assert said(dataset, again) == said(dataset, first)


def test_runs_of_other_recipes_leave_a_superseded_picture_out(dataset: Dataset, models: Path) -> None:
    came(dataset, models, a_jpg=FIRST)
    version = came(dataset, models, a_jpg=SECOND)
    bytes_of = manifests(dataset, version)
    assert go(dataset, recipe(dataset, "ingest", "dedup", {"split": {"test": 0}}), models).state == "nothing"
    for steps in (["ingest"], [{"validate": {"min_side": 32}}], ["ingest", "dedup", {"split": {"test": 0}}]):
        version = go(dataset, recipe(dataset, *steps), models).version
        assert version is not None
        assert said(dataset, version) == {key_of(FIRST): "superseded", key_of(SECOND): None}
    assert manifests(dataset, version)["rejected"] == bytes_of["rejected"]


def test_a_late_caption_is_for_the_picture_that_holds_the_name(dataset: Dataset, models: Path) -> None:
    came(dataset, models, a_jpg=FIRST)
    came(dataset, models, a_jpg=SECOND)
    came(dataset, models, a_jpg=FIRST)
    version = came(dataset, models, a_txt=b"the first, again")
    captions = {sample.key: sample.value("caption") for sample in samples_of(dataset, version)}
    assert captions == {key_of(FIRST): "the first, again", key_of(SECOND): None}


def test_a_bomb_is_refused_by_its_header(dataset: Dataset, models: Path) -> None:
    bomb = pictures.bomb()
    version = came(dataset, models, bomb_png=bomb, a_jpg=FIRST)
    assert said(dataset, version) == {key_of(bomb): "too-many-pixels", key_of(FIRST): None}
    assert f"{MAX_PIXELS:,}" in reason(rejected(dataset, version))
