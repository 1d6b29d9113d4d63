"""Captions of models through whole jobs: beside people's words, made once, of what stands alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import pictures
import tiny
from imageyard.manifests import Dataset
from imageyard.manifests.errors import JobError, ModelError, RecipeError
from imageyard.ray_jobs.engine import LocalEngine
from imageyard.ray_jobs.rehearsal import rehearse
from imageyard.ray_jobs.run import Surroundings
from jobs import DATE, by_name, drop, go, manifests, recipe, store_keys


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.build_blip(tmp_path_factory.mktemp("blip") / "tiny-blip"))


@pytest.fixture(scope="module")
def florence(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.build_florence(tmp_path_factory.mktemp("florence") / "tiny-florence"))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three pictures and a near copy; one has a person's caption."""
    dataset = Dataset.open(f"memory://{tmp_path.name}")
    drop(
        dataset,
        {
            "a.jpg": pictures.photo(1, (200, 160)),
            "a-copy.jpg": pictures.recompressed(pictures.photo(1, (200, 160))),
            "b.jpg": pictures.photo(2, (120, 90)),
            "b.txt": b"a cat of my own, sitting",
            "c.jpg": pictures.photo(6, (90, 120)),
        },
    )
    return dataset


SHORT = {"max_new_tokens": 6, "min_new_tokens": 3, "beams": 1}


def caption(model: str, **said: Any) -> dict[str, Any]:
    return {"caption": {"model": model, **SHORT, **said}}


def said(dataset: Dataset, version: Any, attribute: str = "caption") -> dict[str, Any]:
    return {name: sample.value(attribute) for name, (_, sample) in by_name(dataset, version).items()}


def test_what_stands_and_has_no_words_of_a_person_is_captioned_once(dataset: Dataset, models: Path, blip: str) -> None:
    steps: list[Any] = ["ingest", "dedup", caption(blip)]
    outcome = go(dataset, recipe(dataset, *steps), models)
    captions = said(dataset, outcome.version)
    assert captions["b.jpg"] == "a cat of my own, sitting"
    assert (captions["a.jpg"] is None) != (captions["a-copy.jpg"] is None)
    assert outcome.tally.model_images == 2, "the copy and the captioned one were shown to the model"
    metadata = by_name(dataset, outcome.version)["c.jpg"][1].metadata("caption")
    assert metadata is not None
    assert metadata["model"] == "tiny-blip"
    assert metadata["human-annotated"] == "no"
    assert metadata["type"] == "groundtruth/custom"
    again = go(dataset, recipe(dataset, *steps), models)
    assert again.state == "nothing"
    assert again.tally.model_images == 0


def test_words_of_people_and_models_stand_as_the_recipe_says(dataset: Dataset, models: Path, blip: str) -> None:
    mine = "a cat of my own, sitting"
    other = go(dataset, recipe(dataset, "ingest", caption(blip, existing="overwrite")), models)
    model = said(dataset, other.version)["b.jpg"]
    assert model not in (mine, None, "")
    append = go(dataset, recipe(dataset, "ingest", caption(blip, existing="append")), models)
    assert append.tally.model_images == 0
    assert said(dataset, append.version)["b.jpg"] == f"{mine}, {model}"
    back = go(dataset, recipe(dataset, "ingest", caption(blip)), models)
    assert said(dataset, back.version)["b.jpg"] == mine
    pair = by_name(dataset, back.version)["b.jpg"][1].metadata("caption")
    assert pair is not None
    assert pair["human-annotated"] == "yes"
    beside = go(dataset, recipe(dataset, "ingest", caption(blip, into="caption-model", existing="skip")), models)
    assert said(dataset, beside.version)["b.jpg"] == mine
    assert said(dataset, beside.version, "caption-model")["b.jpg"] == model


def test_several_captions_of_one_picture(dataset: Dataset, models: Path, blip: str, florence: str) -> None:
    steps = ["ingest", caption(blip), caption(florence, into="caption-florence", task="<CAPTION>")]
    outcome = go(dataset, recipe(dataset, *steps), models)
    assert outcome.version is not None
    assert sorted(outcome.version.extractors) == ["caption", "caption#2", "probe", "thumbnail"]
    assert all(said(dataset, outcome.version, "caption-florence").values())
    with pytest.raises(RecipeError, match="two caption steps write `caption`"):
        recipe(dataset, caption(blip), caption(florence))


def test_a_models_words_come_to_each_line_of_a_person(dataset: Dataset, models: Path, blip: str) -> None:
    drop(dataset, {"d.jpg": pictures.photo(9, (90, 90)), "d.txt": b"1girl, solo\n1girl, hat"})
    alone = go(dataset, recipe(dataset, "ingest", caption(blip, existing="overwrite")), models)
    model = said(dataset, alone.version)["d.jpg"]
    for existing in ("append", "merge"):
        outcome = go(dataset, recipe(dataset, "ingest", caption(blip, existing=existing)), models)
        assert said(dataset, outcome.version)["d.jpg"] == f"1girl, solo, {model}\n1girl, hat, {model}"


def test_a_condition_limits_who_is_captioned(dataset: Dataset, models: Path, blip: str) -> None:
    outcome = go(dataset, recipe(dataset, "ingest", caption(blip, where="name == c.jpg")), models)
    assert [name for name, text in said(dataset, outcome.version).items() if text] == ["b.jpg", "c.jpg"]
    assert outcome.tally.model_images == 1


def test_a_condition_is_asked_where_the_step_stands_and_not_after_later_ones(
    dataset: Dataset, models: Path, blip: str
) -> None:
    steps = [caption(blip, where='tag "a cat of my own"', into="caption-model"), {"remove": "a cat of my own"}]
    outcome = go(dataset, recipe(dataset, "ingest", *steps), models)
    assert said(dataset, outcome.version)["b.jpg"] == "sitting"
    assert [name for name, text in said(dataset, outcome.version, "caption-model").items() if text] == ["b.jpg"]
    assert go(dataset, recipe(dataset, "ingest", *steps), models).state == "nothing"


@pytest.mark.parametrize(
    "into", ["source-ref", "content-sha256", "origin", "caption", "tags", "rejection", "tags-metadata"]
)
def test_boxes_never_take_the_place_of_what_a_line_is_known_by(dataset: Dataset, into: str) -> None:
    with pytest.raises(RecipeError, match="has a meaning of its own"):
        recipe(dataset, {"detect": {"model": "florence-2-base", "into": into}})


def test_boxes_become_ground_truth_inside_the_frame(dataset: Dataset, models: Path, florence: str) -> None:
    outcome = go(dataset, recipe(dataset, "ingest", {"detect": {"model": florence, "max_new_tokens": 30}}), models)
    for _, sample in by_name(dataset, outcome.version).values():
        value, metadata = sample.value("objects"), sample.metadata("objects")
        assert metadata is not None
        assert metadata["type"] == "groundtruth/object-detection"
        (size,) = value["image_size"]
        assert size["depth"] == 3
        assert len(metadata["objects"]) == len(value["annotations"])
        for box in value["annotations"]:
            assert str(box["class_id"]) in metadata["class-map"]
            assert 0 <= box["left"] < box["left"] + box["width"] <= size["width"] + 0.01
            assert 0 <= box["top"] < box["top"] + box["height"] <= size["height"] + 0.01


def test_shard_and_batch_change_no_byte(tmp_path: Path, models: Path, blip: str) -> None:
    found = []
    for shard in (1, 3, 50):
        dataset = Dataset.open(f"memory://{tmp_path.name}-{shard}")
        drop(dataset, {f"{seed}.jpg": pictures.photo(seed, (100, 80 + seed)) for seed in range(5)})
        outcome = go(dataset, recipe(dataset, "ingest", caption(blip)), models, shard=shard)
        lines = manifests(dataset, outcome.version)["unsplit"]
        found.append(lines.replace(dataset.url.encode(), b""))
    assert found[0] == found[1] == found[2]


def test_a_dry_run_says_what_is_not_measured_yet(dataset: Dataset, models: Path, blip: str) -> None:
    go(dataset, recipe(dataset, "ingest"), models)
    around = Surroundings(engine=LocalEngine(), models=models, date=DATE)
    with pytest.raises(JobError, match="3 of 4 images have no caption measured yet"):
        rehearse(dataset, recipe(dataset, caption(blip)), around)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"beams": 0}, "beams"),
        ({"into": "tags"}, "caption-short"),
        ({"into": "caption-metadata"}, "has a meaning of its own"),
        ({"into": "caption-a b"}, "no name of an attribute"),
        ({"existing": "replace"}, "existing"),
        ({"where": "("}, "not understood|missing|closed"),
        ({"remove": "(a+)+"}, "repeats a group"),
        ({"modle": "x"}, "did you mean `model`"),
    ],
)
def test_a_slip_is_one_clear_error(dataset: Dataset, said: dict[str, Any], error: str) -> None:
    with pytest.raises(RecipeError, match=error):
        recipe(dataset, caption("florence-2-base", **said))


def test_a_model_that_is_nowhere_fails_before_any_work(dataset: Dataset, models: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        go(dataset, recipe(dataset, "ingest", caption("./nowhere")), models)
    assert dataset.numbers() == []


def test_a_captioner_that_cannot_load_fails_the_job_before_any_work(
    dataset: Dataset, models: Path, blip: str, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(blip, tmp_path / "broken-blip"))
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="broken-blip"):
        go(dataset, recipe(dataset, "ingest", caption(str(broken))), models)
    assert store_keys(dataset.store, "facts") == []
    assert len(store_keys(dataset.store, "drop")) == 5


def test_a_caption_that_asks_for_another_is_measured_although_the_image_was_measured_before(
    dataset: Dataset, models: Path, blip: str
) -> None:
    second = caption(blip, max_new_tokens=7, into="caption-long", where="has caption")
    outcome = go(dataset, recipe(dataset, "ingest", caption(blip), second), models)
    assert {role for role, _ in by_name(dataset, outcome.version).values()} == {"unsplit"}
    assert all(said(dataset, outcome.version, "caption-long").values())
