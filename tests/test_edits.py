"""Bulk edits: by whole piece, idempotent, undone by leaving them out, and the same bytes when nothing changes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pictures
from imageyard.manifests import Dataset, Sample
from imageyard.manifests.diff import diff
from imageyard.manifests.errors import JobError, RecipeError, VersionError
from imageyard.manifests.sample import Json
from imageyard.ray_jobs.analysis.said import tags_in_order
from imageyard.ray_jobs.caption_text import joined, pieces_of, same_as
from imageyard.ray_jobs.edits.base import About, Edit
from imageyard.ray_jobs.edits.wording import Piece, Wording, text_of, wordings
from imageyard.ray_jobs.engine import LocalEngine
from imageyard.ray_jobs.recipe import STEPS, Recipe
from imageyard.ray_jobs.rehearsal import rehearse
from imageyard.ray_jobs.run import Surroundings
from imageyard.ray_jobs.selecting import condition
from imageyard.ray_jobs.tag_text import normal
from imageyard.ray_jobs.undoing import undo
from jobs import DATE, by_name, drop, go, manifests, recipe


def edit(**step: Any) -> Edit:
    ((kind, parameters),) = step.items()
    made = STEPS[kind].model_validate(STEPS[kind].in_full(parameters))
    assert isinstance(made, Edit)
    return made


def worded(text: str, triggers: tuple[str, ...]) -> Wording:
    """The words of a caption of one line that is on a line of a manifest."""
    said: list[Json] = list(triggers)
    return wordings(Sample.of("s3://b/a").with_label("caption", text, {"triggers": said}), "caption")[0]


def after(step: Edit, text: str, *, key: str = "a" * 64, triggers: tuple[str, ...] = (), **counts: int) -> str:
    """A caption after an edit."""
    words = worded(text, triggers)
    about = About(key)
    about.counts.update({name.replace("_", " "): count for name, count in counts.items()})
    once = step.edited(words, about)
    again = worded(text_of([once]), once.triggers)
    assert text_of([step.edited(again, about)]) == text_of([once]), "not idempotent"
    return text_of([once])


WORDS_IN_A_ROW = ", ".join(f"t{number}" for number in range(30)).encode()
SENTENCE = "a cat sits on a red chair in the sun, looking out of a small round window"


@pytest.mark.parametrize(
    ("step", "before", "wanted"),
    [
        (edit(trigger="sks"), "1girl, solo", "sks, 1girl, solo"),
        (edit(trigger="sks"), "1girl, sks, solo", "sks, 1girl, solo"),
        (edit(trigger="my_char"), "1girl, My Char, solo, my_char", "my_char, 1girl, solo"),
        (edit(trigger={"words": ["b", "a"], "at": "end"}), "a, 1girl", "1girl, b, a"),
        (edit(trigger="sks"), "(sks:1.2), solo", "(sks:1.2), solo"),
        (edit(trigger="sks"), "sksophone, masks", "sks, sksophone, masks"),
        (edit(trigger="sks"), SENTENCE, f"sks, {SENTENCE}"),
        (edit(trigger="sks"), SENTENCE.replace("cat", "sks cat"), SENTENCE.replace("cat", "sks cat")),
        (edit(trigger={"words": "sks", "at": "random"}), SENTENCE, f"sks, {SENTENCE}"),
        (edit(trigger="sks"), "", "sks"),
        (edit(remove="hair"), "long hair, hair, chair", "long hair, chair"),
        (edit(remove=["long hair", "LONG_Hair"]), "long hair, very long hair", "very long hair"),
        (edit(remove="*_hair"), "long hair, hair ornament, hair", "hair ornament, hair"),
        (edit(remove={"tags": "*", "but": ["1girl", "*eyes"]}), "1girl, solo, blue eyes", "1girl, blue eyes"),
        (edit(remove="saber_(fate)"), r"saber \(fate\), (saber (fate):1.2), solo", "solo"),
        (edit(replace={"tags": {"1girl": "woman"}}), "1girl, 1girls, solo", "woman, 1girls, solo"),
        (edit(replace={"tags": {"1girl": "woman"}}), "(1girl:1.3), woman", "(woman:1.3)"),
        (edit(replace={"tags": {"blush": ""}}), "blush, blush stickers", "blush stickers"),
        (edit(replace={"tags": {"a": "x, y"}}), "a, b", "x, y, b"),
        (edit(replace={"phrases": {"red car": "blue car"}}), "a Red_car, scared cars", "a blue car, scared cars"),
        (edit(replace={"phrases": {"cat": "black cat"}}), "a cat and a black cat", "a black cat and a black cat"),
        (edit(replace={"phrases": {"hair": "fur"}}), "chair, hair bow", "chair, fur bow"),
        (edit(replace={"regex": {r"^(\w+)_eyes$": r"\1 eyes"}}), "blue_eyes, eyes", "blue eyes, eyes"),
        (edit(sort="alphabetical"), "solo, 1girl, blush", "1girl, blush, solo"),
        (edit(sort={"by": "alphabetical", "hold": 1}), "solo, z, a", "solo, a, z"),
        (edit(sort={"by": "alphabetical", "most": 2}), "c, b, a", "a, b"),
        (edit(sort="alphabetical"), SENTENCE, SENTENCE),
        (edit(unique={}), "solo, Solo, long_hair, long hair", "solo, long_hair"),
        (edit(standardise={"case": "lower", "underscores": "spaces"}), "Long_Hair,^_^ ,solo", "long hair, ^_^, solo"),
        (edit(standardise={"synonyms": {"grey hair": "gray hair"}}), "Grey_Hair, gray hair", "gray hair"),
        (edit(standardise={"brackets": "escape"}), r"saber (fate), rin \(fate\)", r"saber \(fate\), rin \(fate\)"),
        (edit(standardise={"brackets": "plain"}), r"rin \(fate\), \m/", r"rin (fate), \m/"),
        (edit(standardise={"underscores": "underscores"}), "long hair, ^_^", "long_hair, ^_^"),
        (edit(affix={"before": "photo of"}), "a cat", "photo of a cat"),
        (edit(affix={"after": "in the style of sks", "separator": ", "}), "a cat", "a cat, in the style of sks"),
        (edit(shorten={"most": 2, "unit": "tags"}), "a, b, c", "a, b"),
        (edit(shorten={"most": 4, "unit": "words"}), "A cat sits. It is very old.", "A cat sits."),
        (edit(shorten={"most": 3, "unit": "words"}), "one two three four, five six", "one two three four"),
        (edit(standardise={}), "x，y, (red，blue:1.2), x", "x, y, (red,blue:1.2)"),
        (edit(standardise={"underscores": "spaces"}), "_a__b_, _, (_:1.2), ^_^", "a b, ^_^"),
        (edit(standardise={"underscores": "spaces", "brackets": "escape"}), "(o)_(o), a_b", r"\(o\)_\(o\), a b"),
        (edit(replace={"tags": {"red hair": "(red hair:1.2)"}}), "solo, red hair", "solo, (red hair:1.2)"),
        (edit(replace={"tags": {"red hair": "(red hair:1.2)"}}), "(Red_Hair:1.3)", "(red hair:1.2)"),
        (edit(trigger="(sks:1.2)"), "solo, (sks:1.1)", "(sks:1.2), solo"),
        (edit(trigger="my_char"), "A photo of My Char.", "A photo of my_char."),
        (edit(trigger={"words": ["sks", "frog"], "at": "end"}), "A photo of sks cat.", "A photo of sks cat., frog"),
        (edit(trigger=["b", "c", "d", "sks"]), "the sks dog is on a mat here", "b, c, d, the sks dog is on a mat here"),
        (edit(sort="alphabetical"), "looking at viewer, solo, ...", "..., looking at viewer, solo"),
        (edit(sort="alphabetical"), "very long hair, solo, love live!", "love live!, solo, very long hair"),
        (edit(affix={"before": "photo of,"}), "a cat", "photo of, a cat"),
        (edit(affix={"before": "a , b", "after": ", end"}), "a cat", "a, b a cat, end"),
        (edit(affix={"before": "photo of", "after": "outdoors", "separator": ""}), "", "photo of, outdoors"),
    ],
)  # fmt: skip
def test_an_edit_changes_whole_pieces_and_only_once(step: Edit, before: str, wanted: str) -> None:
    assert after(step, before) == wanted


def test_a_trigger_word_survives_sorting_removing_and_shortening() -> None:
    held = ("zzz",)
    text = "zzz, c, b, a"
    assert after(edit(sort="alphabetical"), text, triggers=held) == "zzz, a, b, c"
    assert after(edit(sort={"by": "alphabetical", "most": 1}), text, triggers=held) == "zzz, a"
    assert after(edit(remove="*"), text, triggers=held) == "zzz"
    assert after(edit(remove="zzz"), text, triggers=held) == "c, b, a"
    assert after(edit(shorten={"most": 2, "unit": "tags"}), "c, b, zzz", triggers=held) == "c, zzz"
    assert after(edit(standardise={"case": "lower"}), "Zzz, C", triggers=("Zzz",)) == "Zzz, c"


def test_a_random_place_hangs_on_the_image_and_the_seed_alone() -> None:
    text = joined(f"t{n}" for n in range(30))
    keys = [f"{n:064x}" for n in range(40)]

    def places(seed: int) -> list[int]:
        step = edit(trigger={"words": "sks", "at": "random", "seed": seed})
        return [pieces_of(after(step, text, key=key)).index("sks") for key in keys]

    assert places(1) == places(1)
    assert places(1) != places(2)
    assert len(set(places(1))) > 10


def test_two_random_triggers_and_a_text_around_them_stay_where_they_are(tmp_path: Path, models: Path) -> None:
    dataset = Dataset.open(f"memory://{tmp_path.name}")
    for number in range(4):
        drop(dataset, {f"{number}.jpg": pictures.photo(number, (96, 80)), f"{number}.txt": WORDS_IN_A_ROW})
    go(dataset, recipe(dataset, "ingest"), models)
    random = [{"trigger": {"words": word, "at": "random"}} for word in ("sks", "ohwx")]
    around = {"affix": {"before": "photo of", "after": "outdoors"}}
    first = go(dataset, recipe(dataset, around, *random, {"trigger": "art"}), models)
    assert all(said.count("photo of") == 1 for said in captions_of(dataset, first.version).values())
    again = go(dataset, recipe(dataset, around, *random, {"trigger": "art"}, {"unique": {}}), models)
    assert captions_of(dataset, again.version) == captions_of(dataset, first.version)


def test_an_order_by_frequency_stays_when_rare_tags_have_gone(dataset: Dataset, models: Path) -> None:
    dataset = Dataset.open(dataset.url + "-frequency")
    captions = [*["x, y, a"] * 3, "a, b", "b, d", "b, e", "b, f", *["x, y"] * 4]
    for number, caption in enumerate(captions):
        drop(dataset, {f"{number}.jpg": pictures.photo(number, (96, 80)), f"{number}.txt": caption.encode()})
    go(dataset, recipe(dataset, "ingest"), models)
    by = {"sort": {"by": "frequency", "most": 2}}
    first = go(dataset, recipe(dataset, by), models)
    assert captions_of(dataset, first.version)["3.jpg"] == "b, a"
    again = go(dataset, recipe(dataset, by, {"unique": {}}), models)
    assert captions_of(dataset, again.version) == captions_of(dataset, first.version)


def test_expressions_and_phrases_leave_trigger_words_alone() -> None:
    step = edit(replace={"regex": {"_": " "}, "phrases": {"sks": "dog"}})
    assert after(step, "my_sks, long_hair, sks", triggers=("my_sks", "sks")) == "my_sks, long hair, sks"
    assert after(edit(replace={"tags": {"sks": "ohwx"}}), "sks, solo", triggers=("sks",)) == "ohwx, solo"


def test_sentences_are_cut_between_trigger_words_and_in_no_time() -> None:
    text = "sks, A cat sits. It is very old. So what, ohwx"
    assert after(edit(shorten={"most": 6, "unit": "words"}), text, triggers=("sks", "ohwx")) == "sks, A cat sits., ohwx"
    assert after(edit(shorten={"most": 9, "unit": "words"}), "It is so. " * 6_000) == "It is so. It is so. It is so."


def test_sorting_by_frequency_and_by_score() -> None:
    assert after(edit(sort="frequency"), "a, b, c", a=1, b=9, c=5) == "b, c, a"
    words = Wording("tags", (Piece("a", 0.4, 1), Piece("b", 0.9, 2), Piece("c")), prose=False)
    assert [piece.text for piece in edit(sort="score").edited(words, About("k")).pieces] == ["b", "a", "c"]


tags = st.sampled_from(
    [
        *("1girl", "solo", "long hair", "long_hair", "Solo", "sks", "(solo:1.2)", "^_^", "hair", "x, y", "(o)_(o)"),
        *(
            "!?",
            "...",
            "love live!",
            "a red car is standing in the sun",
            "It is very old.",
            "photo of sks",
            "(sks:1.2)",
        ),
        *(r"saber \(fate\)", "saber_(fate)", r"\m/", "photo of", "outdoors", "((x:1.1):1.2)"),
    ]
)
steps = st.sampled_from(
    [
        edit(trigger="sks"),
        edit(trigger={"words": ["sks", "hair"], "at": "random"}),
        edit(remove=["*hair", "solo"]),
        edit(replace={"tags": {"solo": "alone"}, "phrases": {"hair": "long hair"}}),
        edit(sort={"by": "alphabetical", "hold": 2, "most": 4}),
        edit(unique={}),
        edit(standardise={"case": "lower", "underscores": "spaces", "brackets": "escape"}),
        edit(affix={"before": "photo of", "after": "outdoors"}),
        edit(affix={"before": "a , b,", "after": ", end", "separator": ", "}),
        edit(trigger={"words": ["sks", "frog"], "at": "end"}),
        edit(sort={"by": "alphabetical", "reverse": True}),
        edit(shorten={"most": 3, "unit": "tags"}),
    ]
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(tags, max_size=8), steps)
def test_every_edit_is_idempotent_and_keeps_pieces_apart(pieces: list[str], step: Edit) -> None:
    text = after(step, joined(pieces))
    assert joined(pieces_of(text)) == text
    if step.kind == "trigger":
        forms = [same_as(piece) for piece in pieces_of(text)]
        assert forms.count("sks") == 1 or "photo of sks" in forms


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"trigger": "a, b"}, "not one piece"),
        ({"trigger": ["sks", "SKS"]}, "stands twice"),
        ({"trigger": []}, "words"),
        ({"replace": {"tags": {"a": "b", "b": "c"}}}, "second run"),
        ({"replace": {}}, "nothing is replaced"),
        ({"replace": {"regex": {"(a+)+$": "b"}}}, "repeats a group"),
        ({"replace": {"regex": {"(?:a?){40}z": "b"}}}, "repeats a group"),
        ({"replace": {"regex": {"(?:(?:(?:){900}){900}){900}": "b"}}}, "longer than any name"),
        ({"replace": {"regex": {"(a*(?#())*z": "b"}}}, "has a comment"),
        ({"replace": {"regex": {"(?x:(a*#(\n)*z)": "b"}}}, "has a comment"),
        ({"replace": {"regex": {"(a)": r"\2"}}}, "cannot take the place"),
        ({"sort": {"by": "colour"}}, "colour"),
        ({"remove": {"tags": ["a"], "where": "colour == red"}}, "nothing that a condition can ask for"),
        ({"remove": {"tags": ["a"], "on": ["split"]}}, "holds no words"),
        ({"compose": "{tags} {oops}"}, "no {oops}"),
        ({"affix": {}}, "nothing is written"),
        ({"affix": {"before": "photo of", "on": "tags"}}, "tags are a list"),
        ({"remove": {"tags": ["a"], "on": "caption-metadata"}}, "has a meaning of its own"),
        ({"trigger": {"word": "sks"}}, "did you mean `words`"),
        ({"replace": {"tags": {"1girl": "woman", "1Girl": "girl"}}}, "are one tag"),
        ({"replace": {"tags": {"_": "woman"}}}, "empty name"),
        ({"replace": {"phrases": {" ": "woman"}}}, "stands everywhere"),
        ({"standardise": {"synonyms": {"a b": "c", "A_b": "d"}}}, "are one tag"),
        ({"standardise": {"synonyms": {"a": "(b:1.2)"}}}, "has emphasis"),
        ({"remove": {"tags": [""]}}, "names no tag"),
        ({"compose": "{tags"}, "a brace of '{tags'"),
        ({"compose": {"template": "{tags}", "on": "caption"}}, "the attribute `text` alone"),
        ({"affix": {"before": " , "}}, "nothing is written"),
    ],
)
def test_a_slip_in_an_edit_is_one_clear_error(step: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="step 1") as error:
        recipe(Dataset.open(f"file://{tmp_path}"), step)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (edit(replace={"regex": {"a": "aa"}}), "a"),
        (edit(replace={"phrases": {"a": "b", "c": "a"}}), "c"),
        (edit(replace={"tags": {"a": "b"}, "phrases": {"c": "a"}}), "d, c"),
        (edit(replace={"tags": {"a": "b"}, "regex": {"c": "a, d"}}), "c"),
    ],
)
def test_what_would_be_replaced_again_fails_the_job_and_says_so(step: Edit, text: str) -> None:
    with pytest.raises(JobError, match="if it were run again"):
        after(step, text)


def test_a_condition_with_many_wildcards_takes_no_longer_than_with_one() -> None:
    """Tried in every way, four of them take minutes."""
    long = Sample.of("s3://b/a.png").with_label("caption", "a" * 2_000 + " c", {})
    assert not condition(f'caption "{"*a" * 50}*b"').matches(long)
    assert condition(f'caption "{"a*" * 50}c"').matches(long)
    assert condition('caption "a*a c"').matches(long)


@pytest.mark.parametrize("wanted", ["*zzz", "a*zzz", "a*a*a*zzz", "zzz*"])
def test_a_wildcard_takes_no_longer_than_the_caption_is_long(wanted: str) -> None:
    """The square of the length is a minute, in which nothing else of the process runs."""
    longest = Sample.of("s3://b/a.png").with_label("caption", "a " * 32_768, {})
    assert not condition(f'caption "{wanted}"').matches(longest)


def test_a_condition_asks_a_hundred_things_at_most() -> None:
    assert condition(" or ".join(["tags > 1"] * 100))
    with pytest.raises(ValueError, match="at most 100 things"):
        condition(" or ".join(["tags > 1"] * 101))


def test_a_caption_that_was_looked_at_is_not_kept() -> None:
    text = "A sentence. " * 1_000
    before = sys.getrefcount(text)
    normal(text)
    assert sys.getrefcount(text) == before


@pytest.mark.parametrize(
    ("wanted", "there"),
    [("red*car", True), ("re*ar", True), ("r?d", True), ("red*ca", False), ("ed*car", False), ("*", True),
     ("old*red*car", True), ("red*old*car", False), ("car*red", False), ("**car", True)],
)  # fmt: skip
def test_wildcards_of_a_condition_stand_for_any_words(wanted: str, there: bool) -> None:
    sample = Sample.of("s3://b/a.png").with_label("caption", "an old and red sports car", {})
    assert condition(f'caption "{wanted}"').matches(sample) is there


def test_every_value_of_a_condition() -> None:
    with pytest.raises(ValueError, match="not closed"):
        condition("(tag a")


# Through the front door.


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Four pictures: two with a person's tags, one with a sentence, one with nothing."""
    dataset = Dataset.open(f"memory://{tmp_path.name}")
    files: dict[str, bytes] = {}
    captions = {
        "cat/a.jpg": "1girl, long hair, chair",
        "cat/b.jpg": "1girl,solo , Solo",
        "dog/c.jpg": SENTENCE,
        "dog/d.jpg": None,
    }
    for number, (name, caption) in enumerate(captions.items()):
        files[name] = pictures.photo(number, (96, 80))
        if caption is not None:
            files[name.replace(".jpg", ".txt")] = caption.encode()
    drop(dataset, files)
    return dataset


def captions_of(dataset: Dataset, version: Any) -> dict[str, Any]:
    return {name: sample.value("caption") for name, (_, sample) in by_name(dataset, version).items()}


def ingest(dataset: Dataset, *steps: Any) -> Recipe:
    return recipe(dataset, {"ingest": {"labels": "folder"}}, *steps)


def test_edits_of_people_s_captions_are_a_function_of_what_people_wrote(dataset: Dataset, models: Path) -> None:
    first = go(dataset, ingest(dataset, {"trigger": "sks"}), models)
    assert captions_of(dataset, first.version) == {
        "cat/a.jpg": "sks, 1girl, long hair, chair",
        "cat/b.jpg": "sks, 1girl, solo, Solo",
        "dog/c.jpg": f"sks, {SENTENCE}",
        "dog/d.jpg": "sks",
    }
    assert first.version is not None
    assert first.version.certificates["trigger"]["sks"] == {"at": "begin", "images": 4, "images_without_any_text": 0}
    again = go(dataset, ingest(dataset, {"trigger": "sks"}), models)
    assert again.state == "nothing"
    other = go(dataset, ingest(dataset, {"trigger": "ohwx"}), models)
    assert captions_of(dataset, other.version)["cat/a.jpg"] == "ohwx, 1girl, long hair, chair"
    back = go(dataset, ingest(dataset, {"trigger": "sks"}), models)
    assert captions_of(dataset, back.version) == captions_of(dataset, first.version)
    without = go(dataset, ingest(dataset), models)
    assert captions_of(dataset, without.version)["dog/d.jpg"] is None


def test_new_images_change_no_byte_of_edited_lines(dataset: Dataset, models: Path) -> None:
    steps = [{"trigger": "sks"}, {"sort": "alphabetical"}, {"compose": "{caption}"}]
    first = go(dataset, ingest(dataset, *steps), models)
    lines = manifests(dataset, first.version)["unsplit"].splitlines()
    drop(dataset, {"dog/e.jpg": pictures.photo(9, (96, 80))})
    second = go(dataset, ingest(dataset, *steps), models, date=DATE.replace(year=2027))
    assert set(lines) < set(manifests(dataset, second.version)["unsplit"].splitlines())


def test_edits_alone_go_on_from_what_there_is_and_undo_takes_them_back(dataset: Dataset, models: Path) -> None:
    first = go(dataset, ingest(dataset), models)
    assert first.version is not None
    go(dataset, recipe(dataset, {"trigger": "sks"}), models)
    second = go(dataset, recipe(dataset, {"remove": {"tags": ["long hair"], "where": "class == cat"}}), models)
    assert captions_of(dataset, second.version)["cat/a.jpg"] == "sks, 1girl, chair"
    undone = undo(dataset, None, clock=lambda: DATE)
    assert captions_of(dataset, undone)["cat/a.jpg"] == "sks, 1girl, long hair, chair"
    undone = undo(dataset, 1, clock=lambda: DATE)
    assert manifests(dataset, undone) == manifests(dataset, first.version)
    assert list(diff(dataset, first.version, undone)) == []
    assert go(dataset, ingest(dataset), models).state == "nothing"


def test_undo_keeps_the_images_that_came_since(dataset: Dataset, models: Path) -> None:
    go(dataset, ingest(dataset), models)
    drop(dataset, {"dog/e.jpg": pictures.photo(9, (96, 80))})
    go(dataset, ingest(dataset, {"trigger": "sks"}), models)
    undone = undo(dataset, 1, clock=lambda: DATE)
    assert sorted(captions_of(dataset, undone)) == ["cat/a.jpg", "cat/b.jpg", "dog/c.jpg", "dog/d.jpg", "dog/e.jpg"]
    assert captions_of(dataset, undone)["cat/a.jpg"] == "1girl, long hair, chair"
    assert go(dataset, ingest(dataset), models).state == "committed"  # it has not been decided for all of them


def test_there_must_be_something_to_undo(dataset: Dataset, models: Path) -> None:
    with pytest.raises(VersionError, match="no version yet"):
        undo(dataset, None, clock=lambda: DATE)
    go(dataset, ingest(dataset), models)
    with pytest.raises(VersionError, match="the first"):
        undo(dataset, None, clock=lambda: DATE)
    with pytest.raises(VersionError, match="the newest"):
        undo(dataset, 1, clock=lambda: DATE)


def test_tags_are_edited_with_their_scores_and_classes(dataset: Dataset, models: Path) -> None:
    tag = {"tag": {"model": str(models / "sentinel"), "threshold": 0.1}}
    plain = go(dataset, ingest(dataset, tag), models)
    edits = [{"replace": {"tags": {"^_^": "smile"}}}, {"trigger": "sks"}]
    outcome = go(dataset, ingest(dataset, tag, *edits), models)
    assert outcome.tally.model_images == 0
    for name, (_, sample) in by_name(dataset, outcome.version).items():
        before = by_name(dataset, plain.version)[name][1]
        expected = ["sks", *("smile" if tag == "^_^" else tag for tag in tags_in_order(before))]
        assert tags_in_order(sample) == expected
        metadata = sample.metadata("tags")
        assert metadata is not None
        assert metadata["edited-by"] == ["replace", "trigger"]
        old = before.metadata("tags")
        assert old is not None
        assert sorted(metadata["confidence-map"].values()) == sorted([*old["confidence-map"].values(), 1.0])
    back = go(dataset, ingest(dataset, tag), models)
    assert manifests(dataset, back.version).keys() == manifests(dataset, plain.version).keys()
    assert not list(diff(dataset, plain.version, back.version)) if plain.version and back.version else False


def test_edits_of_tags_that_the_recipe_does_not_make_are_undone_too(dataset: Dataset, models: Path) -> None:
    first = go(dataset, ingest(dataset, {"tag": {"model": str(models / "sentinel"), "threshold": 0.1}}), models)
    edited = go(dataset, ingest(dataset, {"trigger": "sks"}, {"replace": {"tags": {"^_^": "smile"}}}), models)
    other = go(dataset, ingest(dataset, {"trigger": "ohwx"}), models)
    plain = go(dataset, ingest(dataset), models)
    for name, (_, sample) in by_name(dataset, first.version).items():
        before = tags_in_order(sample)
        renamed = ["smile" if tag == "^_^" else tag for tag in before]
        assert tags_in_order(by_name(dataset, edited.version)[name][1]) == ["sks", *renamed]
        assert tags_in_order(by_name(dataset, other.version)[name][1]) == ["ohwx", *before]
        assert by_name(dataset, plain.version)[name][1].line == sample.line


def test_a_trigger_that_a_later_step_harms_fails_the_job(dataset: Dataset, models: Path) -> None:
    harmed = ingest(dataset, {"trigger": "sks"}, {"replace": {"tags": {"sks": "ohwx"}}})
    with pytest.raises(JobError, match="has the trigger 'sks' 0 times"):
        go(dataset, harmed, models)
    assert dataset.newest() is None


def test_a_trigger_is_looked_for_where_it_was_put_whatever_the_condition_says_then(
    dataset: Dataset, models: Path
) -> None:
    cats, dogs = ({"trigger": {"words": "sks", "where": f"class == {name}"}} for name in ("cat", "dog"))
    outcome = go(dataset, ingest(dataset, cats, dogs), models)
    assert outcome.version is not None
    promised = outcome.version.certificates["trigger"]
    assert promised == {
        f"sks where class == {name}": {"at": "begin", "images": 2, "images_without_any_text": 0}
        for name in ("cat", "dog")
    }
    tagged = {"trigger": {"words": "sks", "where": 'tag "long hair"'}}
    with pytest.raises(JobError, match=r"cat/a\.jpg: its caption has the trigger 'sks' 0 times"):
        go(dataset, ingest(dataset, tagged, {"remove": ["long hair", "sks"]}), models)


def test_tags_and_sentences_become_one_text(dataset: Dataset, models: Path) -> None:
    tag = {"tag": {"model": str(models / "sentinel"), "threshold": 0.1}}
    outcome = go(dataset, ingest(dataset, tag, {"trigger": "sks"}, {"compose": "{caption}, {class}, {tags}"}), models)
    found = by_name(dataset, outcome.version)
    texts = {name: sample.value("text") for name, (_, sample) in found.items()}
    rest = {name: joined(tags_in_order(sample)[1:]) for name, (_, sample) in found.items()}
    assert texts == {
        "cat/a.jpg": f"sks, 1girl, long hair, chair, cat, {rest['cat/a.jpg']}",
        "cat/b.jpg": f"sks, 1girl, solo, Solo, cat, {rest['cat/b.jpg']}",
        "dog/c.jpg": f"sks, {SENTENCE}, dog, {rest['dog/c.jpg']}",
        "dog/d.jpg": f"dog, sks, {rest['dog/d.jpg']}",
    }
    without = go(dataset, ingest(dataset, tag), models)
    assert {sample.value("text") for _, sample in by_name(dataset, without.version).values()} == {None}


def test_a_dry_run_shows_before_and_after_and_commits_nothing(dataset: Dataset, models: Path) -> None:
    around = Surroundings(engine=LocalEngine(), models=models, date=DATE)
    edits = recipe(dataset, {"trigger": {"words": "sks", "where": "folder == cat"}})
    with pytest.raises(VersionError, match="no version yet"):
        rehearse(dataset, edits, around)
    go(dataset, ingest(dataset), models)
    found = rehearse(dataset, edits, around)
    assert {change.name: change.members for change in found.changes} == {
        "cat/a.jpg": {"caption": ("1girl, long hair, chair", "sks, 1girl, long hair, chair")},
        "cat/b.jpg": {"caption": ("1girl,solo , Solo", "sks, 1girl, solo, Solo")},
    }
    assert dataset.numbers() == [1]
    with pytest.raises(JobError, match="4 of 4 images have no tags measured"):
        rehearse(dataset, recipe(dataset, {"tag": {"model": str(models / "sentinel")}}), around)


def test_no_piece_goes_on_in_the_next_line() -> None:
    assert pieces_of("1girl, solo\n 1girl,\n\nhat") == ["1girl", "solo", "1girl", "hat"]


def test_of_a_caption_of_several_lines_the_first_is_composed(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"e.jpg": pictures.photo(8, (96, 80)), "e.txt": b"\n1girl, solo\n1girl, hat"})
    outcome = go(dataset, ingest(dataset, {"compose": "{caption}, end"}), models)
    assert by_name(dataset, outcome.version)["e.jpg"][1].value("text") == "1girl, solo, end"


def test_lines_of_a_caption_are_variants_that_stay_apart(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"v.jpg": pictures.photo(20, (96, 80)), "v.txt": b"1girl, solo\na girl"})
    outcome = go(dataset, ingest(dataset, {"trigger": "sks"}), models)
    assert captions_of(dataset, outcome.version)["v.jpg"] == "sks, 1girl, solo\nsks, a girl"


def test_a_variant_of_which_nothing_is_left_is_none(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"v.jpg": pictures.photo(20, (96, 80)), "v.txt": b"1girl, solo\n,\nhat\nsolo"})
    outcome = go(dataset, ingest(dataset, {"remove": "hat"}, {"unique": {}}), models)
    assert captions_of(dataset, outcome.version)["v.jpg"] == "1girl, solo\nsolo"


def test_a_caption_that_comes_again_is_known_although_it_was_edited(dataset: Dataset, models: Path) -> None:
    go(dataset, ingest(dataset, {"trigger": "sks"}), models)
    drop(dataset, {"cat/a.txt": b"1girl, long hair, chair"})
    outcome = go(dataset, ingest(dataset, {"trigger": "sks"}), models)
    assert outcome.waiting == ()
    assert captions_of(dataset, outcome.version)["cat/a.jpg"] == "sks, 1girl, long hair, chair"


def test_edits_by_hand_stay_when_the_recipe_runs_again(dataset: Dataset, models: Path) -> None:
    main = ingest(dataset, {"trigger": "sks"})
    go(dataset, main, models)
    hand = go(dataset, recipe(dataset, {"remove": {"tags": ["long hair"]}}), models)
    assert captions_of(dataset, hand.version)["cat/a.jpg"] == "sks, 1girl, chair"
    again = go(dataset, main, models)
    assert captions_of(dataset, again.version)["cat/a.jpg"] == "sks, 1girl, chair"
    without = go(dataset, ingest(dataset), models)
    assert captions_of(dataset, without.version)["cat/a.jpg"] == "1girl, chair"


def test_a_text_is_cut_to_tokens_of_clip_from_the_end_or_the_rarest() -> None:
    text = "mychar_anna, 1girl, solo, red hair, green eyes, white shirt, standing, outdoors"  # 22 tokens
    assert after(edit(shorten=22), text) == text
    assert after(edit(shorten=21), text) == text.removesuffix(", outdoors")
    rare = {"mychar anna": 9, "1girl": 9, "solo": 1, "red hair": 9, "green eyes": 9}
    step = edit(shorten={"most": 3, "unit": "tags", "drop": "frequency"})
    words = Wording("caption", tuple(map(Piece, pieces_of(text))), prose=False)
    about = About("k")
    about.counts.update(rare)
    assert text_of([step.edited(words, about)]) == "mychar_anna, 1girl, red hair"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("class == cat", "ab"),
        ("folder == dog", "cd"),
        ('tag "long hair" or tag SOLO', "ab"),
        ("tag long_*", "a"),
        ("not has caption", "d"),
        ("has caption and not class == cat", "c"),
        ("tags > 2", "ab"),
        ("words >= 10", "c"),
        ("tokens > 10 and class != cat", "c"),
        ('caption "red chair"', "c"),
        ('caption "red cha"', ""),
        ("name == */b.jpg or name == c.*", "bc"),
        ("(class == cat or class == dog) and role == unsplit", "abcd"),
        ("label.label == cat", "ab"),
        ("chars == 0", "d"),
    ],
)
def test_a_condition_chooses_samples(dataset: Dataset, models: Path, text: str, names: str) -> None:
    outcome = go(dataset, ingest(dataset), models)
    found = by_name(dataset, outcome.version)
    matches = condition(text).matches
    assert "".join(sorted(name[4] for name, (_, sample) in found.items() if matches(sample))) == names
