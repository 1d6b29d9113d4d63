"""The tag step through the front door: a small tagger measures once, and everything else is decided."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import pictures
from imageyard.manifests import Dataset, Sample
from imageyard.manifests.errors import ModelError, RecipeError
from imageyard.manifests.version import Version
from imageyard.ray_jobs.run import Outcome
from imageyard.ray_jobs.undoing import undo
from jobs import DATE, by_name, drop, go, manifests, reason, recipe
from said import committed
from sentinel import build_sentinel

RED = pictures.flat("red", (80, 80))
WHITE = pictures.flat("white", (80, 80))
CHECKS = Image.new("RGB", (80, 80), "white")
CHECKS.paste("black", (0, 0, 40, 40))
CHECKS.paste("black", (40, 40, 80, 80))
PICTURES = {"red.png": RED, "white.png": WHITE, "checks.png": pictures.encoded(CHECKS, "PNG")}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(f"memory://{tmp_path.name}")


def tag(dataset: Dataset, models: Path, *, model: str = "sentinel", **parameters: Any) -> Outcome:
    step = {"model": str(models / model), "threshold": 0.2, **parameters}
    return go(dataset, recipe(dataset, "ingest", {"tag": step}), models)


def tags_of(dataset: Dataset, version: Version | None) -> dict[str, list[str]]:
    """The tags of each image in order."""
    return {name: names(sample) for name, (_, sample) in by_name(dataset, version).items()}


def names(sample: Sample) -> list[str]:
    metadata = sample.metadata("tags") or {}
    classes: Any = metadata.get("class-map") or {}
    return [classes[str(index)] for index in sample.value("tags") or ()]


def test_every_decision_is_free_once_the_images_are_measured(dataset: Dataset, models: Path) -> None:
    drop(dataset, PICTURES)
    first = tag(dataset, models)
    assert tags_of(dataset, first.version)["red.png"] == ["red", "flat", "saber (fate)", "^_^"]
    changes: list[dict[str, Any]] = [
        {"threshold": 0.5},
        {"thresholds": {"character": 1.1}},
        {"tag_thresholds": {"*^*": 0.9}},
        {"mcut": True},
        {"blacklist": ["re:.*fate.*"]},
        {"replace": {"red": "crimson"}},
        {"order": "alphabetical"},
        {"order": "frequency"},
        {"rating": "first"},
        {"first": ["mychar"], "add_if_missing": True},
        {"expand_characters": True, "escape": True},
        {"existing": "append", "conflicts": True, "drop_overlap": True},
    ]
    seen = [tags_of(dataset, first.version)]
    for change in changes:
        outcome = tag(dataset, models, **change)
        assert outcome.state == "committed"
        assert (outcome.tally.read, outcome.tally.decoded, outcome.tally.model_runs) == (0, 0, 0)
        seen.append(tags_of(dataset, outcome.version))
    assert [found["red.png"] for found in seen[1:]] == [
        ["red", "flat", "saber (fate)"],
        ["red", "flat", "^_^"],
        ["red", "flat", "saber (fate)"],
        ["red", "flat", "saber (fate)"],
        ["red", "flat", "^_^"],
        ["crimson", "flat", "saber (fate)", "^_^"],
        ["^_^", "flat", "red", "saber (fate)"],
        ["^_^", "flat", "red", "saber (fate)"],
        ["general", "red", "flat", "saber (fate)", "^_^"],
        ["mychar", "red", "flat", "saber (fate)", "^_^"],
        ["red", "flat", "saber", "fate", "^_^"],
        ["red", "flat", "saber (fate)", "^_^"],
    ]


def test_a_version_tells_by_which_files_its_tags_were_made(dataset: Dataset, models: Path) -> None:
    drop(dataset, PICTURES)
    version = tag(dataset, models).version
    assert version is not None
    said = version.models["tags"]
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (models / "sentinel").iterdir()}
    assert said["files"] == digests
    assert said["parameters"] == {"model": "sentinel", "floor": 0.05, "preprocess": "wd14-white-bicubic-bgr"}
    tag(dataset, models, threshold=0.5)
    assert undo(dataset, None, clock=lambda: DATE).models == version.models


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"order": "frequency", "min_count": 2, "existing": "merge", "sfw": True},
        {"first": ["mychar"], "add_if_missing": True, "rating": "last", "replace": {"red": "crimson"}},
        {"existing": "skip"},
    ],
)
def test_a_second_run_of_the_same_recipe_finds_nothing_to_do(
    dataset: Dataset, models: Path, parameters: dict[str, Any]
) -> None:
    drop(dataset, {**PICTURES, "red.txt": b"mychar, red dress"})
    first = tag(dataset, models, **parameters)
    assert tag(dataset, models, **parameters).state == "nothing"
    other = tag(dataset, models, threshold=0.9)
    again = tag(dataset, models, **parameters)
    assert other.version is not None
    assert manifests(dataset, other.version) != manifests(dataset, first.version)
    assert tags_of(dataset, again.version) == tags_of(dataset, first.version)


def test_the_value_has_the_classes_in_the_order_of_the_tags(dataset: Dataset, models: Path) -> None:
    drop(dataset, PICTURES)
    outcome = tag(dataset, models, order="alphabetical", first=["mychar"], add_if_missing=True)
    _, sample = by_name(dataset, outcome.version)["red.png"]
    metadata = sample.metadata("tags")
    assert metadata is not None
    value = sample.value("tags")
    assert value[0] >= 2**30
    assert value[1:] == [11, 9, 4, 13]
    assert list(metadata["class-map"]) == list(metadata["confidence-map"]) == [str(index) for index in value]
    assert metadata["confidence-map"] | {str(value[0]): 0} == {
        str(value[0]): 0,
        "11": 0.2689,
        "9": 0.982,
        "4": 0.9997,
        "13": 0.982,
    }
    assert metadata["confidence-map"][str(value[0])] == 1.0


def test_rare_tags_go_and_frequent_ones_come_first(dataset: Dataset, models: Path) -> None:
    drop(dataset, PICTURES)
    plain = tags_of(dataset, tag(dataset, models).version)
    counts = {name: sum(name in found for found in plain.values()) for found in plain.values() for name in found}
    assert set(counts.values()) >= {1, 3}
    for least in (2, 0.5):
        kept = tags_of(dataset, tag(dataset, models, min_count=least).version)
        assert kept == {image: [name for name in found if counts[name] >= 2] for image, found in plain.items()}
    ordered = tags_of(dataset, tag(dataset, models, order="frequency").version)
    assert ordered == {image: sorted(found, key=lambda name: (-counts[name], name)) for image, found in plain.items()}


def test_images_that_do_not_stand_count_for_nothing(dataset: Dataset, models: Path) -> None:
    drop(dataset, {**PICTURES, "tiny.png": pictures.flat("red", (20, 20))})
    steps: list[Any] = ["ingest", {"validate": {"min_side": 40}}]
    said = {"model": str(models / "sentinel"), "threshold": 0.2, "min_count": 2}
    outcome = go(dataset, recipe(dataset, *steps, {"tag": said}), models)
    assert "red" not in tags_of(dataset, outcome.version)["red.png"]


def test_a_pattern_that_could_take_for_ever_is_refused_when_the_recipe_is_read(dataset: Dataset, models: Path) -> None:
    with pytest.raises(RecipeError, match=r"the test, step 2 \(tag\): `blacklist` .* can take for ever"):
        tag(dataset, models, blacklist=[r"re:(\w+)*"])
    with pytest.raises(RecipeError, match=r"`thresholds.*there is no category 'people'"):
        tag(dataset, models, thresholds={"people": 0.5})
    with pytest.raises(RecipeError, match=r"`mcut.0` is 'faces': there is no category 'faces'"):
        tag(dataset, models, mcut="faces")
    with pytest.raises(RecipeError, match=r"`sfw.above` is 3: Input should be less than or equal to 2"):
        tag(dataset, models, sfw={"above": 3})


# People's words

WORDS: Mapping[str, bytes] = {
    "red.txt": b"my_char, (Flat:1.2), blue sky",
    "white.txt": b"A photograph of a white wall, taken in the evening light.",
}


@pytest.mark.parametrize(
    ("existing", "order", "red"),
    [
        ("overwrite", "score", ["red", "flat", "saber (fate)", "^_^"]),
        ("skip", "score", []),
        ("append", "score", ["my_char", "(Flat:1.2)", "blue sky", "red", "saber (fate)", "^_^"]),
        ("append", "alphabetical", ["my_char", "(Flat:1.2)", "blue sky", "^_^", "red", "saber (fate)"]),
        ("merge", "alphabetical", ["^_^", "blue sky", "(Flat:1.2)", "my_char", "red", "saber (fate)"]),
    ],
)
def test_what_becomes_of_an_image_that_a_person_captioned(
    dataset: Dataset, models: Path, existing: str, order: str, red: list[str]
) -> None:
    drop(dataset, {**PICTURES, **WORDS})
    plain = tag(dataset, models)
    outcome = tag(dataset, models, existing=existing, order=order)
    found = tags_of(dataset, outcome.version)
    assert found["red.png"] == red
    before = tags_of(dataset, plain.version)
    assert set(found["checks.png"]) == set(before["checks.png"])
    assert set(found["white.png"]) == (set() if existing == "skip" else set(before["white.png"]))
    for name, text in WORDS.items():
        _, sample = by_name(dataset, outcome.version)[name.replace("txt", "png")]
        assert sample.value("caption") == text.decode()
        assert (sample.metadata("caption") or {})["human-annotated"] == "yes"
    _, sample = by_name(dataset, outcome.version)["red.png"]
    assert (sample.metadata("tags") is None) == (existing == "skip")
    if existing in ("append", "merge"):
        assert sample.value("tags")[red.index("(Flat:1.2)")] == 9  # the model's class of `flat`
        assert (sample.metadata("tags") or {})["existing"] == existing


# Safety


@pytest.fixture(scope="module")
def bold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with `bold`, to which a red picture is questionable, and `unrated`, which has no ratings."""
    folder = tmp_path_factory.mktemp("models")
    build_sentinel(folder / "bold")
    labels = folder / "bold" / "selected_tags.csv"
    text = (
        labels.read_text(encoding="utf-8")
        .replace("2,questionable,9,", "2,red,0,")
        .replace("4,red,0,", "4,questionable,9,")
    )
    labels.write_text(text, encoding="utf-8")
    build_sentinel(folder / "unrated")
    labels = folder / "unrated" / "selected_tags.csv"
    labels.write_text(labels.read_text(encoding="utf-8").replace(",9,", ",5,"), encoding="utf-8")
    return folder


def test_what_is_rated_unsafe_is_kept_out_and_comes_back_when_that_is_not_asked(dataset: Dataset, bold: Path) -> None:
    drop(dataset, PICTURES)
    gated = tag(dataset, bold, model="bold", sfw=True)
    role, sample = by_name(dataset, gated.version)["red.png"]
    assert (role, reason(sample)) == ("rejected", "not-safe: rated questionable (0.9997), which sfw keeps out")
    said = sample.value("rejection")
    assert (said["step"], said["rating"], said["measured"]) == ("tag", "questionable", 1.0022)
    assert said["scores"]["explicit"] == 0.0025
    assert (sample.metadata("rating") or {})["class-name"] == "questionable"
    assert gated.version is not None
    assert gated.version.counts["rejected-not-safe"] == 1
    assert gated.version.certificates["tag"] == {"ratings": {"general": 1, "sensitive": 1}}
    again = tag(dataset, bold, model="bold", sfw=False)
    assert (again.tally.read, again.tally.model_runs) == (0, 0)
    role, sample = by_name(dataset, again.version)["red.png"]
    assert role != "rejected"
    assert "questionable" not in names(sample)
    assert "flat" in names(sample)
    assert again.version is not None
    assert "tag" not in again.version.certificates


def test_a_sum_of_unsafe_scores_keeps_out_too(dataset: Dataset, models: Path) -> None:
    drop(dataset, PICTURES)
    low = tag(dataset, models, sfw={"above": 0.009})
    assert {role for role, _ in by_name(dataset, low.version).values()} == {"rejected"}
    _, sample = by_name(dataset, low.version)["red.png"]
    assert reason(sample) == "not-safe: questionable and explicit have 0.0092 together; at most 0.009 is allowed"
    assert sample.value("rejection")["threshold"] == 0.009
    high = tag(dataset, models, sfw={"above": 0.0092})
    assert {role for role, _ in by_name(dataset, high.version).values()} == {"unsplit"}


def test_safety_that_nobody_can_judge_is_refused(dataset: Dataset, bold: Path) -> None:
    drop(dataset, PICTURES)
    with pytest.raises(ModelError, match="it has no ratings, so sfw cannot judge"):
        tag(dataset, bold, model="unrated", sfw=True)
    with pytest.raises(ModelError, match="efficientnet-lite0: it rates no images"):
        go(dataset, recipe(dataset, "ingest", {"tag": {"model": "efficientnet-lite0", "sfw": True}}), bold)


def test_unsafe_images_count_for_no_frequency(dataset: Dataset, bold: Path) -> None:
    drop(dataset, PICTURES)
    plain = tags_of(dataset, tag(dataset, bold, model="bold").version)
    alone = {name for name in plain["white.png"] if name in plain["red.png"] and name not in plain["checks.png"]}
    assert alone
    kept = tags_of(dataset, tag(dataset, bold, model="bold", sfw=True, min_count=2).version)
    assert alone.isdisjoint(kept["white.png"])


# Several models


def test_several_taggers_of_one_recipe_combine(dataset: Dataset, models: Path, bold: Path) -> None:
    drop(dataset, PICTURES)
    both = tag(dataset, models, also=str(bold / "unrated"), combine="difference")
    assert both.tally.decoded >= len(PICTURES)
    assert tags_of(dataset, both.version)["red.png"] == []
    union = tag(dataset, models, also=[str(bold / "unrated")], thresholds={"meta": 0.5})
    assert union.tally.model_runs == 0
    assert tags_of(dataset, union.version)["red.png"] == ["red", "flat", "saber (fate)", "general", "^_^"]
    _, sample = by_name(dataset, union.version)["red.png"]
    metadata = sample.metadata("tags")
    assert metadata is not None
    assert [other["model"] for other in metadata["also"]] == ["unrated"]
    assert [index for index in sample.value("tags") if index >= 2**30] == [sample.value("tags")[3]]


# What people say


def said(dataset: Dataset, version: Version | None, name: str, attribute: str, value: Any, **members: Any) -> None:
    """Commit a version in which a person has said something of an image."""
    found = by_name(dataset, version)
    role, sample = found[name]
    pair = {"human-annotated": "yes", **members}
    found[name] = (role, sample.with_label(attribute, value, pair))
    committed(dataset, {"unsplit": [sample for _, sample in sorted(found.values(), key=lambda one: one[1].key)]})


def test_a_person_who_rated_an_image_is_believed(dataset: Dataset, models: Path, bold: Path) -> None:
    drop(dataset, PICTURES)
    first = tag(dataset, bold, model="bold")
    said(dataset, first.version, "red.png", "rating", 0, **{"class-name": "general"})
    believed = tag(dataset, bold, model="bold", sfw=True, rating="first")
    assert tags_of(dataset, believed.version)["red.png"][0] == "general"
    said(dataset, believed.version, "white.png", "rating", 3, **{"class-name": "explicit"})
    refused = tag(dataset, bold, model="bold", sfw=True)
    role, sample = by_name(dataset, refused.version)["white.png"]
    assert (role, reason(sample)) == ("rejected", "not-safe: rated explicit by a person, which sfw keeps out")


def test_a_rating_that_a_person_wrote_as_a_word_counts_and_one_without_a_name_does_not(
    dataset: Dataset, bold: Path
) -> None:
    drop(dataset, PICTURES)
    first = tag(dataset, bold, model="bold")
    said(dataset, first.version, "white.png", "rating", "explicit")
    refused = tag(dataset, bold, model="bold", sfw=True)
    role, sample = by_name(dataset, refused.version)["white.png"]
    assert (role, reason(sample)) == ("rejected", "not-safe: rated explicit by a person, which sfw keeps out")
    said(dataset, first.version, "red.png", "rating", 0)
    judged = tag(dataset, bold, model="bold", sfw=True)
    assert reason(by_name(dataset, judged.version)["red.png"][1]).startswith("not-safe: rated questionable (0.9997)")


def test_tags_on_several_lines_of_a_person_are_not_run_together(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"red.png": RED, "red.txt": b"mychar, dress\nmychar, hat"})
    outcome = tag(dataset, models, existing="append", threshold=0.9)
    assert tags_of(dataset, outcome.version)["red.png"][:3] == ["mychar", "dress", "hat"]


@pytest.mark.parametrize("existing", ["overwrite", "skip", "append", "merge"])
def test_tags_that_a_person_gave_are_never_touched(dataset: Dataset, models: Path, existing: str) -> None:
    drop(dataset, PICTURES)
    first = tag(dataset, models)
    mine = {"class-map": {"0": "my own"}, "type": "groundtruth/image-classification-multilabel"}
    said(dataset, first.version, "red.png", "tags", [0], **mine)
    outcome = tag(dataset, models, existing=existing, order="frequency", min_count=1)
    found = tags_of(dataset, outcome.version)
    assert found["red.png"] == ["my own"]
    assert "bright" in found["white.png"]


def test_a_model_says_its_own_thresholds_in_its_card(dataset: Dataset, tmp_path: Path) -> None:
    build_sentinel(tmp_path / "strict", thresholds={"general": 0.2, "character": 0.99})
    drop(dataset, PICTURES)
    own = tag(dataset, tmp_path, model="strict", threshold=None)
    assert tags_of(dataset, own.version)["red.png"] == ["red", "flat", "^_^"]
    asked = tag(dataset, tmp_path, model="strict", threshold=None, thresholds={"character": 0.9})
    assert tags_of(dataset, asked.version)["red.png"] == ["red", "flat", "saber (fate)", "^_^"]
    preset = tag(dataset, tmp_path, model="strict", threshold=None, preset="character")
    assert tags_of(dataset, preset.version)["red.png"] == ["red", "flat"]
