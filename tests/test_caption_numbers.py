"""What the captions of a version are in numbers, and which rules they break."""

from typing import Any

import pytest

from command_line import invoke
from imageyard.manifests import Dataset, Sample
from imageyard.manifests.errors import VersionError
from imageyard.ray_jobs.analysis.caption_numbers import Bin, Bounds, CaptionNumbers, Finding, caption_numbers
from imageyard.ray_jobs.analysis.caption_rules import boilerplate, format_faults, script_of
from imageyard.ray_jobs.analysis.heavy import Heavy
from imageyard.ray_jobs.analysis.spread import bins, spread
from imageyard.ray_jobs.analysis.trigger_words import Trigger
from imageyard.ray_jobs.caption_text import pieces_of
from said import committed, sample, tagged, texts

TAGS = "mychar, 1girl, solo, red hair, green eyes, white shirt, standing, outdoors"
"""22 tokens."""
PROSE = "A girl with red hair stands on a bridge and looks down at the water below her."


def numbers(samples: list[Sample], **options: Any) -> CaptionNumbers:
    return caption_numbers(lambda: samples, **options)


def finding(samples: list[Sample], rule: str, **options: Any) -> Finding | None:
    found = [one for one in numbers(samples, **options).findings if one.rule == rule]
    assert len(found) <= 1
    return found[0] if found else None


def test_a_training_text_is_the_composed_one_else_the_caption_else_the_tags() -> None:
    samples = [
        sample("a.png", text="one two three", caption="four", **tagged(["five"])),
        sample("b.png", caption="four five", **tagged(["six"])),
        sample("c.png", **tagged(["six", "seven"])),
        sample("d.png"),
    ]
    found = numbers(samples)
    assert found.sources == (("caption", 1), ("tags", 1), ("text", 1))
    assert (found.images, found.captioned, found.words.maximum, found.characters.minimum) == (4, 3, 3, 9)


def test_lengths_are_in_tokens_of_clip_words_characters_and_tags() -> None:
    pytest.importorskip("instant_clip_tokenizer")
    found = numbers(texts(TAGS, "a photo of a cat, a photo of a cat", PROSE))
    assert found.unit == "clip"
    assert (found.tag_lists, found.prose) == (2, 1)
    assert (found.tokens.minimum, found.tokens.median, found.tokens.maximum) == (11, 18, 20)
    assert (found.pieces.minimum, found.pieces.maximum) == (2, 8)
    assert found.chunks == ((1, 3),)


def test_further_captions_of_an_image_are_counted_by_name() -> None:
    samples = [sample("a.png", caption="x", **{"caption-blip": "y"}), sample("b.png", **{"caption-blip": "z"})]
    assert numbers(samples).further == (("caption-blip", 2),)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, (0, 0, 0, 0, 0)),
        ({5: 1}, (5, 5, 5, 5, 5)),
        ({1: 1, 2: 1, 3: 1, 10: 1}, (1, 2.5, 4, 10, 10)),
        ({1: 19, 50: 1}, (1, 1, 3.45, 1, 50)),
        ({1: 18, 50: 2}, (1, 1, 5.9, 50, 50)),
    ],
)
def test_a_spread_is_told_from_counts(counts: dict[int, int], expected: tuple[float, ...]) -> None:
    found = spread(counts)
    assert (found.minimum, found.median, found.mean, found.p95, found.maximum) == pytest.approx(expected)


def test_bins_have_equal_widths_without_gaps_and_hold_everything() -> None:
    found = bins({3: 2, 14: 1, 97: 4})
    assert found[0] == Bin(0, 4, 2)
    assert {one.upper - one.lower + 1 for one in found} == {5}
    assert [one.lower for one in found[1:]] == [one.upper + 1 for one in found[:-1]]
    assert (sum(one.images for one in found), len(found)) == (7, 20)
    assert bins({7: 3}) == (Bin(7, 7, 3),)


@pytest.mark.parametrize(
    ("caption", "rule"),
    [
        ("", "CAP-EMPTY"),
        (" \n", "CAP-EMPTY"),
        (f"{TAGS}\n{TAGS}", "CAP-MULTILINE"),
        ("a cat", "CAP-SHORT"),
        (", ".join(["long hair"] * 70), "CAP-LONG"),
        (TAGS, "CAP-RANGE"),
        (", ".join(["long hair"] * 38), "CAP-CUT"),
        ("a cat,, a dog", "CAP-FORMAT"),
        ("a cat, Red_Hair, red hair", "CAP-DUPTAG"),
        ("1girl, solo, red hair, blue hair", "CAP-CONFLICT"),
        ("a {cat|dog}", "CAP-RESERVED"),
        ("a cat ;;; a dog", "CAP-RESERVED"),
        ("masterpiece, 1girl", "CAP-BOILER"),
        ("The image shows a cat that sits on a roof.", "CAP-BOILER"),
        ('A cat in front of a wall that says "EAT AT JOES".', "CAP-BOILER"),
    ],
)
def test_a_rule_is_broken_and_the_image_is_named(caption: str, rule: str) -> None:
    found = finding(texts(caption), rule)
    assert found is not None
    assert (found.affected.images, found.affected.names, found.share) == (1, ("0.png",), 1.0)
    assert found.reason.startswith("1 of 1 image: ")
    assert finding(texts(TAGS * 3), rule) is None or rule in ("CAP-DUPTAG",)


def test_an_image_without_any_text_has_no_caption() -> None:
    found = finding([sample("a.png"), *texts(TAGS)], "CAP-MISSING")
    assert found is not None
    assert (found.severity, found.affected.names, found.share) == ("error", ("a.png",), 0.5)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (19, "CAP-SHORT"),
        (20, "CAP-RANGE"),
        (49, "CAP-RANGE"),
        (50, None),
        (150, None),
        (151, "CAP-RANGE"),
        (200, "CAP-RANGE"),
        (201, "CAP-LONG"),
    ],
)
def test_the_bounds_of_length_are_inside(words: int, rule: str | None) -> None:
    found = numbers(texts(" ".join(["cat"] * words)), limits=["1000"])
    assert [one.rule for one in found.findings if one.rule in ("CAP-SHORT", "CAP-RANGE", "CAP-LONG")] == (
        [rule] if rule else []
    )


@pytest.mark.parametrize(
    ("unit", "short"), [("tokens", ("0.png",)), ("words", ("0.png", "1.png")), ("tags", ("0.png", "1.png"))]
)
def test_length_can_be_counted_in_words_or_tags(unit: Any, short: tuple[str, ...]) -> None:
    found = finding(texts("a cat", TAGS), "CAP-SHORT", bounds=Bounds(unit=unit))
    assert found is not None
    assert found.affected.names == short


@pytest.mark.parametrize(
    ("limit", "tokens", "cut"),
    [
        ("sdxl", 75, True),
        ("sd15", 75, True),
        ("sdxl-150", 150, False),
        ("113", 113, False),
        ("112", 112, True),
        ("flux", 512, False),
    ],
)
def test_a_text_is_cut_beyond_the_limit_of_a_model(limit: str, tokens: int, cut: bool) -> None:
    pytest.importorskip("instant_clip_tokenizer")
    captions = texts(", ".join(["long hair"] * 38), TAGS)
    found = numbers(captions, limits=[limit])
    (asked,) = (one for one in found.limits if one.asked)
    assert (asked.tokens, asked.cut.names) == (tokens, ("0.png",) if cut else ())
    assert (finding(captions, "CAP-CUT", limits=[limit]) is not None) is cut
    assert [one.tokens for one in found.limits] == sorted(one.tokens for one in found.limits)


def test_an_empty_trigger_word_is_refused() -> None:
    with pytest.raises(VersionError, match="a trigger word is empty"):
        numbers(texts(TAGS), triggers=[" "])


def test_a_limit_that_is_neither_a_model_nor_a_number_is_refused() -> None:
    with pytest.raises(VersionError, match=r"'sdx2'.*sdxl-150"):
        numbers(texts(TAGS), limits=["sdx2"])


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("a,, b", ["doubled comma"]),
        ("a, , b", ["doubled comma"]),
        (", a", ["comma at the beginning"]),
        ("a, ", ["comma at the end"]),
        ("a,b", ["no space after a comma"]),
        ("a; b", ["semicolon"]),
        ("a\tb", ["tab"]),
        ("a  b", ["doubled space"]),
        ("a, .", ["full stop alone"]),
        ("1,000 cats, two dogs", []),
        ("smile, ;d, ;)", []),
        ("..., looking at viewer", []),
        ("A cat. It sits on a mat.", []),
        ("hu tao \\(genshin impact\\), 1girl", []),
        ("a\nb", []),
    ],
)
def test_commas_and_spaces_that_are_out_of_order_are_told(text: str, faults: list[str]) -> None:
    assert format_faults(text) == faults


@pytest.mark.parametrize(
    ("text", "prose", "said"),
    [
        ("best_quality, 1girl, Masterpiece", False, ["Masterpiece", "best_quality"]),
        ("quality time, high heels", False, []),
        ("This picture depicts a horse.", True, ["the image shows"]),
        ("arafed man with a hat", True, ["arafed"]),
        ("A photo of a dog on a lawn.", True, []),
        ('A sign with "12" on it.', True, ["quoted text"]),
    ],
)
def test_words_that_say_nothing_are_told(text: str, prose: bool, said: list[str]) -> None:
    assert boilerplate(text, pieces_of(text), prose=prose) == said


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("a cat", "Latin"),
        ("кот на крыше", "Cyrillic"),
        ("日本の猫です", "Japanese"),
        ("中国猫", "Chinese"),
        ("고양이", "Korean"),
        ("123, ^_^", None),
        ("a cat 猫", "Latin"),
    ],
)
def test_the_script_is_that_of_most_letters(text: str, script: str | None) -> None:
    assert script_of(text) == script


def test_a_spelling_that_few_use_is_told_with_the_one_that_most_use() -> None:
    found = finding(texts("red hair, dog", "red hair, cat", "red_hair, cat", "Red hair, dog"), "CAP-VARIANTS")
    assert found is not None
    assert found.affected.names == ("2.png", "3.png")
    assert dict(found.details) == {"red_hair → red hair": 1, "Red hair → red hair": 1}


def test_a_text_or_phrase_on_more_than_a_fifth_of_the_images_is_repeated() -> None:
    same = [f"tag {number}, dog {number * number}" for number in range(7)] + ["sks, dog, lawn"] * 3
    found = finding(texts(*same), "CAP-REPEAT")
    assert found is not None
    assert (found.affected.images, found.details) == (3, (("sks, dog, lawn", 3),))
    assert finding(texts(*same[:6], *same[:2], "x", "y"), "CAP-REPEAT") is None
    words = ["red", "green", "blue", "black", "white", "pink", "gray", "brown", "teal", "gold"]
    prose = [f"A {word} dog sits on the mat by the {word} door." for word in words]
    found = finding(texts(*prose), "CAP-REPEAT")
    assert found is not None
    assert (found.affected.images, found.details[0]) == (10, ("dog sits on the mat", 10))


def test_what_is_frequent_in_a_stream_is_found_in_bounded_memory() -> None:
    heavy = Heavy[str](4)
    heavy.add(["often"] * 201)
    heavy.add(f"rare {number}" for number in range(799))
    assert "often" in heavy.candidates
    assert len(heavy.candidates) <= 4


def test_the_minority_of_tag_lists_or_sentences_is_told() -> None:
    found = finding(texts(TAGS, PROSE, PROSE + " She smiles."), "CAP-STYLE-MIX")
    assert found is not None
    assert found.affected.names == ("0.png",)
    assert finding(texts(TAGS, TAGS), "CAP-STYLE-MIX") is None


def test_a_text_in_another_script_than_most_is_told() -> None:
    found = finding(texts(TAGS, "одна девушка", TAGS), "CAP-LANG")
    assert found is not None
    assert (found.affected.names, found.details, found.severity) == (("1.png",), (("Cyrillic", 1),), "info")


@pytest.mark.parametrize(
    ("trigger", "text", "kind"),
    [
        ("sks", "sks, dog", "exact"),
        ("sks", "photo of sks dog", "exact"),
        ("sks", "(sks:1.2), dog", "exact"),
        ("sks", "sksy, dog", "missing"),
        ("sks", "SKS, dog", "variant"),
        ("saria_zelda", "saria zelda, dog", "variant"),
        ("saria_zelda", "Saria-Zelda", "variant"),
        ("saria", "saria_zelda", "variant"),
        ("mychar (game)", "mychar \\(game\\), dog", "variant"),
        ("mychar", "mychra, dog", "variant"),
        ("mychar", "dog", "missing"),
        ("mychar, girl", "mychar, girl, dog", "exact"),
        ("sks", "ski, dog", "missing"),
        ("猫娘", "猫娘, 1girl", "exact"),
    ],
)
def test_a_trigger_is_found_as_given_or_in_another_spelling(trigger: str, text: str, kind: str) -> None:
    assert Trigger(trigger).find(text).kind == kind


def test_trigger_coverage_tells_who_has_it_first_twice_otherwise_or_not_at_all() -> None:
    samples = texts("sks, dog", "dog, sks", "sks, dog, sks", "SKS, dog", "dog", "A photo of sks on a lawn.", "")
    found = numbers(samples, triggers=["sks"])
    (trigger,) = found.triggers
    said = {
        kind: getattr(trigger, kind).names for kind in ("exact", "first", "not_first", "twice", "variant", "missing")
    }
    assert said == {
        "exact": ("0.png", "1.png", "2.png", "5.png"),
        "first": ("0.png", "2.png"),
        "not_first": ("1.png", "5.png"),
        "twice": ("2.png",),
        "variant": ("3.png",),
        "missing": ("4.png", "6.png"),
    }
    told = [(one.severity, one.affected.names) for one in found.findings if one.rule == "CAP-TRIGGER"]
    assert told == [
        ("error", ("4.png", "6.png")),
        ("error", ("3.png",)),
        ("warning", ("1.png",)),
        ("warning", ("2.png",)),
    ]


def test_consistency_is_shown_with_its_parts() -> None:
    found = numbers(texts("dog,cat", "dog,cat, dog", "dog, cat", "sks, lawn")).consistency
    parts = {part.rule: (part.affected, part.value) for part in found.parts}
    assert found.score == 0.5
    assert parts["CAP-FORMAT"] == (2, 0.5)
    assert parts["CAP-DUPTAG"] == (1, 0.75)
    assert parts["CAP-LANG"] == (0, 1.0)
    assert "CAP-TRIGGER" not in parts
    assert "CAP-TRIGGER" in {part.rule for part in numbers(texts("dog"), triggers=["sks"]).consistency.parts}


def test_errors_come_first_and_no_more_than_twenty_names_are_kept() -> None:
    found = numbers(texts(*["dog,cat"] * 30, ""))
    assert [one.severity for one in found.findings] == sorted(
        (one.severity for one in found.findings), key=("error", "warning", "info").index
    )
    (fault,) = (one for one in found.findings if one.rule == "CAP-FORMAT")
    assert (fault.affected.images, len(fault.affected.names)) == (30, 20)


def test_an_empty_set_has_numbers_too() -> None:
    found = numbers([], triggers=["sks"])
    assert (found.images, found.findings, found.histogram, found.consistency.score) == (0, (), (), 1.0)


@pytest.fixture
def dataset(tmp_path: Any) -> Dataset:
    dataset = Dataset.open(f"file://{tmp_path}")
    kept = texts(TAGS, "dog,, [red]cat[/red]", "SKS, dog")
    committed(dataset, {"train": kept, "rejected": [sample("bad.png", caption="rejected")]})
    return dataset


def test_the_command_prints_lengths_rules_and_triggers(dataset: Dataset) -> None:
    printed = invoke("captions", dataset.url, "--trigger", "sks", "--limit", "sdxl", "--limit", "20")
    for words in ("CAP-FORMAT", "doubled comma 1", "another spelling only", "consistency", "sdxl", "1.png", "2.png"):
        assert words in printed
    assert "bad.png" not in printed


def test_the_command_says_all_of_it_in_json(dataset: Dataset) -> None:
    said = invoke("captions", dataset.url, "--trigger", "sks", "--json")
    assert (said["images"], said["captioned"]) == (3, 3)
    assert said["triggers"][0]["variant"] == {"images": 1, "names": ["2.png"]}


def test_a_version_without_captions_gets_one_sentence(tmp_path: Any) -> None:
    dataset = Dataset.open(f"file://{tmp_path}")
    committed(dataset, {"train": [sample("a.png")]})
    printed = invoke("captions", dataset.url)
    assert len(printed.splitlines()) == 1
    assert "version 1 has no captions" in printed
