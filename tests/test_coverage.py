"""How a set covers a shot list, and what to shoot or find next."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from command_line import invoke
from imageyard.manifests import Dataset
from imageyard.manifests.errors import VersionError
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.analysis.coverage import Axis, Coverage, coverage
from imageyard.ray_jobs.analysis.looks import leaders, looks_of
from imageyard.ray_jobs.analysis.said import reading
from imageyard.ray_jobs.analysis.shot_list import CHARACTER, PROFILES
from imageyard.ray_jobs.analysis.shot_plan import AxisPlan, Profile, Value, extended
from imageyard.ray_jobs.extractors.tagger import Tagger
from imageyard.ray_jobs.tag_text import normal
from said import committed, key, sample, tagged, texts

FRONT = ("1girl", "solo", "looking at viewer", "upper body", "smile", "standing", "red hair", "simple background")
BACK = ("1girl", "solo", "from behind", "full body", "walking", "red hair", "outdoors", "street", "night")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(f"file://{tmp_path}")


def of_tags(dataset: Dataset, *images: Sequence[str], profile: str | Profile = "character") -> Coverage:
    samples = [sample(f"{number}.png", **tagged(tags)) for number, tags in enumerate(images)]
    return coverage(dataset, committed(dataset, {"train": samples}), profile=profile)


def of_captions(dataset: Dataset, *captions: str, profile: str | Profile = "character") -> Coverage:
    return coverage(dataset, committed(dataset, {"train": texts(*captions)}), profile=profile)


def axis(found: Coverage, name: str) -> Axis:
    return next(one for one in found.axes if one.name == name)


def count(found: Coverage, name: str) -> dict[str, int]:
    return {seen.value: seen.images for seen in axis(found, name).values if seen.images}


def sentences(found: Coverage) -> list[str]:
    return [shot.sentence for shot in found.next_shots]


def test_values_are_counted_with_shares_examples_and_what_is_missing(dataset: Dataset) -> None:
    found = of_tags(dataset, FRONT, FRONT, BACK, FRONT)
    assert (found.source, found.images, found.matched, found.usable) == ("tags", 4, 4, True)
    front, behind, *rest = (seen for seen in axis(found, "view").values)
    assert (front.value, front.images, front.share, front.examples) == ("front", 3, 0.75, ("0.png", "1.png", "3.png"))
    assert (front.wanted, front.missing, behind.value, behind.missing) == ((3, 5), 0, "behind", 0)
    assert {seen.value: seen.missing for seen in rest} == {"side": 4, "three-quarter": 0}


def test_what_to_shoot_next_has_its_reason_in_numbers_most_needed_first(dataset: Dataset) -> None:
    found = of_tags(dataset, *[FRONT] * 15)
    said = sentences(found)
    assert "no picture from behind (1 to 2 wanted)" in said
    assert "no picture from the side (4 to 6 wanted)" in said
    assert "no picture in action (5 to 10 wanted)" in said
    assert any(
        text.startswith("framing: upper body on 100 % of the pictures (at most 70 % wanted); add 7") for text in said
    )
    assert any(text.startswith("expression: 1 kind (smile 15), at least 3 wanted; try ") for text in said)
    assert said.index("no picture from behind (1 to 2 wanted)") < next(
        at for at, text in enumerate(said) if text.startswith("expression:")
    )
    assert all(shot.need > 0 for shot in found.next_shots)


def test_what_is_missing_altogether_comes_before_what_is_nearly_there(dataset: Dataset) -> None:
    side = ["from side" if tag == "looking at viewer" else tag for tag in FRONT]
    said = sentences(of_tags(dataset, *[FRONT] * 12, *[side] * 3))
    nearly, altogether = "3 pictures from the side (4 to 6 wanted)", "no picture in action (5 to 10 wanted)"
    assert said.index(altogether) < said.index(nearly)


def test_nothing_is_wanted_of_a_set_that_covers_its_list(dataset: Dataset) -> None:
    images: list[list[str]] = []
    views = ["looking at viewer"] * 5 + ["from side"] * 6 + ["from behind"] * 2 + ["from above"] * 5
    for number, view in enumerate(views):
        framing = ["upper body", "close-up", "full body"][number % 3]
        expression = ["smile", "open mouth", "angry", "crying"][number % 4]
        pose = ["standing", "running", "sitting"][number % 3]
        place = [["outdoors", "street", "day"], ["indoors", "bedroom"], ["forest", "night"]][number % 3]
        clothes = ["dress", "jacket"][number % 2]
        images.append(["1girl", "solo", view, framing, expression, pose, *place, clothes])
    found = of_tags(dataset, *images)
    assert [text for text in sentences(found) if "no picture is both" not in text] == []
    assert found.size.severity is None


@pytest.mark.parametrize(
    ("images", "profile", "severity"),
    [
        (7, "character", "error"),
        (8, "character", "warning"),
        (14, "character", "warning"),
        (15, "character", None),
        (50, "character", None),
        (51, "character", "info"),
        (24, "style", "error"),
        (49, "style", "warning"),
        (10, "concept", "warning"),
        (20, "concept", None),
    ],
)
def test_too_few_and_too_many_images_are_told(
    dataset: Dataset, images: int, profile: str, severity: str | None
) -> None:
    assert of_tags(dataset, *[FRONT] * images, profile=profile).size.severity == severity


def test_too_few_images_stand_first_on_the_list(dataset: Dataset) -> None:
    first = of_tags(dataset, *[FRONT] * 8).next_shots[0]
    assert (first.need, first.axis) == (7, None)
    assert first.sentence == "7 more pictures of any kind: 8 images (15 to 50 wanted for a character)"


def test_scores_count_from_the_models_own_threshold_whatever_captions_keep(dataset: Dataset) -> None:
    scores = {
        "0.png": {"from_behind": 0.2499, "full_body": 0.9, "standing": 0.5, "solo": 0.9, "1girl": 0.9},
        "1.png": {"from_behind": 0.25, "full_body": 0.9, "sitting": 0.5, "solo": 0.9, "blue_hair": 0.8},
    }
    samples = [sample(name, caption="mychar", **tagged(["solo"])) for name in scores]
    version = committed(dataset, {"train": samples}, scores=scores, models=["vit-v3"])
    found = coverage(dataset, version)
    assert (found.source, found.model) == ("scores", "vit-v3")
    assert count(found, "view") == {"behind": 1}
    assert count(found, "pose") == {"standing": 1, "sitting": 1}
    assert count(found, "hair") == {"blue hair": 1}


def test_of_several_taggers_each_has_its_own_threshold(dataset: Dataset) -> None:
    """The second, eva02-large-v3, counts from 0.52 on, where the first counts from 0.25."""
    scores = {"0.png": {"standing": 0.3, "smile": 0.9, "upper_body": 0.3}}
    second = {"tag": ["sitting", "lying"], "score": [0.51, 0.52], "index": [0, 1], "category": [0, 0]}
    facts.write(dataset.store, "tags-of-another", Tagger.columns(), {key("0.png"): second})
    models = ["vit-v3", "models/eva02-large-v3"]
    version = committed(dataset, {"train": [sample("0.png")]}, scores=scores, models=models)
    both = version.model_copy(update={"extractors": {**version.extractors, "tags#2": "tags-of-another"}})
    found = coverage(dataset, both)
    assert found.model == "vit-v3, eva02-large-v3"
    assert count(found, "pose") == {"standing": 1, "lying": 1}


def test_an_image_that_no_tagger_saw_is_read_from_its_tags_or_its_text(dataset: Dataset) -> None:
    samples = [
        sample("a.png", caption="from side"),
        sample("b.png", caption="from side", **tagged(["from above", "upper body"])),
        sample("c.png", caption="from behind, full body, sitting"),
    ]
    version = committed(dataset, {"train": samples}, scores={"a.png": {"looking_at_viewer": 0.9, "standing": 0.6}})
    assert count(coverage(dataset, version), "view") == {"front": 1, "above": 1, "behind": 1}


def test_sentences_are_searched_for_whole_phrases(dataset: Dataset) -> None:
    found = of_captions(
        dataset,
        "A girl seen from behind, who is walking through a forest at night.",
        "A close-up of a girl who is smiling, with hair over one eye, in front of a wall.",
        "A girl sits in a bar and looks to the side. One arm is above her head.",
    )
    assert found.source == "captions"
    assert "leave out" in found.reason
    assert count(found, "view") == {"behind": 1}
    assert count(found, "framing") == {"close-up": 1}
    assert count(found, "pose") == {"action": 1, "sitting": 1}
    assert count(found, "lighting") == {"night": 1}


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_classes_of_another_vocabulary_make_no_list(dataset: Dataset, profile: str) -> None:
    scores = {
        f"{number}.png": {"tabby": 0.8, "Egyptian_cat": 0.4, "restaurant": 0.3, "kimono": 0.3} for number in range(20)
    }
    samples = [sample(name, **tagged(["tabby"])) for name in scores]
    found = coverage(
        dataset, committed(dataset, {"train": samples}, scores=scores, models=["efficientnet-lite0"]), profile=profile
    )
    assert not found.usable
    assert (found.axes, found.next_shots, found.remove, found.crosses) == ((), (), (), ())
    assert "the tags of efficientnet-lite0 have almost no words for" in found.reason


def test_one_axis_alone_makes_no_list(dataset: Dataset) -> None:
    assert not of_tags(dataset, *[("tabby", "smile")] * 15).usable
    assert of_tags(dataset, *[("tabby", "smile", "sitting")] * 15).usable
    assert not of_tags(dataset, *[("tabby",)] * 19, ("smile", "sitting")).usable


def test_images_without_any_words_make_no_list(dataset: Dataset) -> None:
    version = committed(dataset, {"train": [sample("a.png")]})
    found = coverage(dataset, version)
    assert (found.usable, found.source, found.next_shots) == (False, None, ())
    assert "no image has tags or a training text" in found.reason


def test_of_an_axis_whose_words_are_never_used_nothing_is_missing(dataset: Dataset) -> None:
    found = of_tags(dataset, *[("1girl", "solo", "upper body", "smile")] * 15)
    view = axis(found, "view")
    assert (view.known, [seen.missing for seen in view.values]) == (False, [0, 0, 0, 0])
    assert view.notes == ("view: none of its words is used, so nothing can be said of it",)
    assert not any(shot.axis == "view" for shot in found.next_shots)


def test_a_word_that_a_tagger_only_faintly_sees_is_a_word_it_knows(dataset: Dataset) -> None:
    scores = {
        f"{number}.png": {"solo": 0.9, "upper_body": 0.9, "smile": 0.9, "from_side": 0.06} for number in range(15)
    }
    version = committed(dataset, {"train": [sample(name) for name in scores]}, scores=scores)
    found = coverage(dataset, version)
    assert axis(found, "view").known
    assert "no picture from the side (4 to 6 wanted)" in sentences(found)


def test_what_taggers_have_no_word_for_is_not_missed(dataset: Dataset) -> None:
    by_tags = of_tags(dataset, *[FRONT] * 15)
    assert not any("three-quarter" in text for text in sentences(by_tags))
    assert "three-quarter: taggers have no word for it, so it cannot be counted" in axis(by_tags, "view").notes
    by_captions = of_captions(dataset, *[", ".join(FRONT)] * 15)
    assert "no picture in three-quarter view (1 to 2 wanted)" in sentences(by_captions)


def test_too_much_of_a_plain_background_is_told(dataset: Dataset) -> None:
    found = of_tags(dataset, *[FRONT] * 13, *[BACK] * 7)
    (excess,) = axis(found, "background").excess
    assert (excess.value, excess.images, excess.share, excess.threshold) == ("plain", 13, 0.65, 0.6)
    (shot,) = (shot for shot in found.next_shots if shot.sentence.startswith("background: plain on 65 %"))
    assert shot.need == 2
    assert axis(of_tags(dataset, *[FRONT] * 12, *[BACK] * 8), "background").excess == ()


def test_pictures_of_several_people_are_told_and_listed_for_cropping(dataset: Dataset) -> None:
    found = of_tags(dataset, *[FRONT] * 11, *[("2girls", "upper body", "smile")] * 4)
    assert count(found, "people") == {"one": 11, "several": 4}
    (shot,) = (shot for shot in found.next_shots if shot.axis == "people")
    assert (shot.have, shot.need) == (11, 5)
    assert "one person alone on 73 % of the pictures (at least 80 % wanted)" in shot.sentence
    ((what, several),) = found.remove
    assert (what, several.images, several.names[0]) == ("several people", 4, "11.png")


def test_one_person_is_seen_without_the_word_solo(dataset: Dataset) -> None:
    found = of_tags(dataset, ["1girl", "smile", "upper body"], ["1girl", "1boy", "smile", "upper body"])
    assert count(found, "people") == {"one": 1, "several": 1}


def test_a_character_with_two_hair_colours_disagrees_with_itself(dataset: Dataset) -> None:
    other = [tag for tag in FRONT if tag != "red hair"] + ["blue hair"]
    found = axis(of_tags(dataset, *[FRONT] * 12, *[other] * 4), "hair")
    assert found.notes == ("hair: the images disagree: red hair 12, blue hair 4 of 16",)
    assert found.strays.names == ("12.png", "13.png", "14.png", "15.png")
    assert axis(of_tags(dataset, *[FRONT] * 18, other), "hair").notes == ()


def test_hair_is_looked_at_on_pictures_of_one_person_only(dataset: Dataset) -> None:
    found = of_tags(dataset, *[FRONT] * 5, *[("2girls", "blue hair", "upper body")] * 5)
    assert count(found, "hair") == {"red hair": 5}


def test_what_one_may_want_to_take_out_is_listed_by_profile(dataset: Dataset) -> None:
    images = [(*FRONT, "watermark"), (*FRONT, "monochrome", "greyscale"), (*FRONT, "monochrome")]
    assert [(what, found.images) for what, found in of_tags(dataset, *images).remove] == [
        ("monochrome", 2),
        ("watermark", 1),
    ]
    style = of_tags(dataset, *images, profile="style")
    assert [what for what, _ in style.remove] == ["watermark"]


def test_two_axes_at_once_show_which_combinations_are_empty(dataset: Dataset) -> None:
    found = of_tags(dataset, *[FRONT] * 8, *[BACK] * 7)
    one = next(one for one in found.crosses if (one.first, one.second) == ("view", "framing"))
    assert (one.rows, one.columns, one.images) == (("front", "behind"), ("upper body", "full body"), ((8, 0), (0, 7)))
    assert set(one.empty) == {("front", "full body"), ("behind", "upper body")}
    assert "view and framing: no picture is both front (8) and full body (7)" in sentences(found)


def test_a_profile_can_be_extended(dataset: Dataset) -> None:
    more = extended(
        CHARACTER,
        [
            AxisPlan("prop", (Value("umbrella", wanted=(1, 2)), Value("sword"))),
            AxisPlan("view", (Value("behind", ("back shot",), wanted=(2, 3)), Value("inside", ("pov",)))),
        ],
    )
    found = of_tags(dataset, (*FRONT, "sword"), (*FRONT, "back shot"), (*FRONT, "pov"), profile=replace(more, least=1))
    assert count(found, "prop") == {"sword": 1}
    assert count(found, "view") == {"front": 3, "behind": 1, "inside": 1}
    assert "no picture with prop umbrella (1 to 2 wanted)" in sentences(found)
    assert "1 picture from behind (2 to 3 wanted)" in sentences(found)


def test_a_profile_that_is_not_known_is_refused(dataset: Dataset) -> None:
    with pytest.raises(VersionError, match="there is no profile 'person'; profiles are character, style, concept"):
        of_tags(dataset, FRONT, profile="person")


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_the_words_of_a_shot_list_are_in_normal_form_and_its_axes_exist(profile: Profile) -> None:
    names = [plan.name for plan in profile.axes]
    assert len(set(names)) == len(names)
    assert {*profile.core, *(name for pair in profile.crosses for name in pair)} <= set(names)
    values = [value for plan in profile.axes for value in plan.values] + list(profile.remove)
    assert [word for value in values for word in value.said_by if normal(word) != word] == []
    assert [plan.name for plan in profile.axes if len({value.name for value in plan.values}) < len(plan.values)] == []


def unit(*vectors: Sequence[float]) -> np.ndarray:
    found = np.array(vectors, np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_alike_vectors_are_one_look() -> None:
    found = looks_of(unit([1, 0, 0], [1, 0.01, 0], [0, 1, 0], [1, 0.02, 0], [0, 0, 1]), list("abcde"))
    assert (found.images, found.clusters, found.sizes) == (5, 3, (3, 1, 1))
    assert (found.largest_share, found.largest.names) == (0.6, ("a", "b", "d"))


@pytest.mark.parametrize("same", [0.5, 0.8, 0.95])
def test_leaders_do_not_depend_on_blocks(same: float) -> None:
    vectors = np.random.default_rng(7).normal(size=(1300, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    leading: list[int] = []
    expected = []
    for row, vector in enumerate(vectors):
        near = [(round(float(vectors[at] @ vector), 4), -at) for at in leading]
        cosine, at = max(near, default=(-1.0, 0))
        expected.append(-at if cosine >= same else row)
        if cosine < same:
            leading.append(row)
    differing = np.flatnonzero(leaders(vectors, same) != np.array(expected))
    assert len(differing) <= 5  # cosines that are equal to four decimals may name the other leader
    assert set(leaders(vectors, same)) == set(leading)


def test_an_image_unlike_the_set_is_an_outlier_from_ten_images_on() -> None:
    alike = [[1, number / 100, 0] for number in range(30)]
    names = [f"{number}" for number in range(31)]
    found = looks_of(unit(*alike, [0, 0, 1]), names)
    assert [one.name for one in found.outliers] == ["30"]
    assert found.outliers[0].distance > found.limit
    assert looks_of(unit(*alike[:5], [0, 0, 1]), names[:6]).outliers == ()


def vectors_of(count: int) -> Mapping[str, Sequence[float]]:
    return {f"{number}.png": [1.0, number % 2, 0.0] for number in range(count)}


def test_near_identical_pictures_count_once_where_there_are_embeddings(dataset: Dataset) -> None:
    samples = [sample(f"{number}.png", **tagged(FRONT)) for number in range(20)]
    version = committed(dataset, {"train": samples}, vectors=vectors_of(19))
    found = coverage(dataset, version)
    assert found.looks is not None
    assert (found.looks.images, found.looks.clusters, found.size.effective) == (19, 2, 2)
    assert found.size.reason == "20 images, but only 2 different looks (15 to 50 wanted for a character)"
    assert found.next_shots[0].need == 13


def test_without_embeddings_nothing_is_said_of_looks(dataset: Dataset) -> None:
    found = of_tags(dataset, FRONT, BACK)
    assert (found.looks, found.size.effective) == (None, None)


def test_rejected_samples_count_only_when_they_are_asked_for(dataset: Dataset) -> None:
    kept, out = sample("a.png", **tagged(FRONT)), sample("b.png", **tagged(BACK))
    version = committed(dataset, {"train": [kept], "rejected": [out]})
    assert coverage(dataset, version).images == 1
    rejected = coverage(dataset, version, samples=reading(dataset, version, ["rejected"]))
    assert count(rejected, "view") == {"behind": 1}


def test_the_command_prints_axes_and_the_list(dataset: Dataset) -> None:
    samples = [sample(f"{number}.png", **tagged(FRONT)) for number in range(16)]
    committed(dataset, {"train": [*samples, sample("[b]x.png", **tagged(BACK))]}, vectors=vectors_of(16))
    printed = invoke("coverage", dataset.url, "--profile", "character")
    for words in ("view: 2 kinds", "what to shoot or find next", "no picture from the side", "[b]x.png", "looks"):
        assert words in printed
    said = invoke("coverage", dataset.url, "--json")
    assert said["next_shots"][0]["need"] == 13
    assert said["looks"]["clusters"] == 2


def test_the_command_says_plainly_that_nothing_can_be_said(dataset: Dataset) -> None:
    committed(dataset, {"train": [sample("a.png", **tagged(["tabby"]))]})
    printed = invoke("coverage", dataset.url, "--profile", "concept")
    assert "have almost no words for view, framing" in printed
    assert "shoot or find next" not in printed
