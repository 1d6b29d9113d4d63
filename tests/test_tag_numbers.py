"""What the tags of a version are in numbers."""

import math
import time
from typing import Any

import pytest

from command_line import invoke
from imageyard.manifests import Dataset, Sample
from imageyard.ray_jobs.analysis.near_tags import near_tags, one_letter_apart
from imageyard.ray_jobs.analysis.said import reading
from imageyard.ray_jobs.analysis.tag_numbers import TagNumbers, tag_numbers
from said import committed, sample, tagged, texts


def numbers(samples: list[Sample], **options: Any) -> TagNumbers:
    return tag_numbers(lambda: samples, **options)


def of_tags(*images: list[str] | dict[str, float], human: bool = False) -> list[Sample]:
    return [sample(f"{number}.png", **tagged(tags, human=human)) for number, tags in enumerate(images)]


def test_a_tag_is_counted_by_image_with_its_share_and_mean_score() -> None:
    found = numbers(of_tags({"1girl": 0.9, "smile": 0.5}, {"1girl": 0.8}, {"solo": 0.4}, {}))
    assert (found.source, found.images, found.tagged, found.total, found.vocabulary) == ("tags", 4, 3, 4, 3)
    first = found.tags[0]
    assert (first.tag, first.images, first.share, first.total, first.score) == ("1girl", 2, 0.5, 2, 0.85)
    assert [tag.tag for tag in found.tags] == ["1girl", "smile", "solo"]
    assert [tag.tag for tag in found.rare] == ["smile", "solo"]
    assert (found.per_image.minimum, found.per_image.median, found.per_image.mean, found.per_image.maximum) == (
        0,
        1,
        1,
        2,
    )


def test_tags_of_people_have_no_score() -> None:
    assert numbers(of_tags(["cat"], human=True)).tags[0].score is None


@pytest.mark.parametrize(
    ("images", "bits"),
    [([["a"], ["a"]], 0.0), ([["a", "b"]], 1.0), ([["a"], ["a"], ["a"], ["b"]], 0.8113), ([], 0.0), ([[]], 0.0)],
)
def test_entropy_is_that_of_a_tag_drawn_from_all(images: list[list[str]], bits: float) -> None:
    assert numbers(of_tags(*images)).entropy == pytest.approx(bits, abs=1e-4)


def test_what_is_on_almost_all_images_is_told_apart_and_takes_no_part_in_pairs() -> None:
    found = numbers(of_tags(*([["solo", "hat", "coat"]] * 5), *([["solo", "dog"]] * 15)))
    assert [tag.tag for tag in found.always] == ["solo"]
    (pair,) = found.pairs_by_count
    assert (pair.first, pair.second, pair.images, pair.lift) == ("coat", "hat", 5, 4.0)
    assert numbers(of_tags(*([["solo"]] * 4))).always == ()


def test_the_matrix_is_symmetric_with_frequencies_on_its_diagonal() -> None:
    found = numbers(of_tags(["a", "b"], ["a", "b", "c"], ["a"])).matrix
    assert found.tags == ("a", "b", "c")
    assert found.images == ((3, 2, 1), (2, 2, 1), (1, 1, 1))


def test_only_the_twenty_most_frequent_tags_are_in_the_matrix() -> None:
    found = numbers(of_tags(*([f"tag {number}" for number in range(at)] for at in range(40)))).matrix
    assert found.tags == tuple(f"tag {number}" for number in range(20))


def test_lists_in_captions_are_counted_where_there_are_no_tags_and_sentences_are_not() -> None:
    found = numbers(texts("Mychar, (red hair:1.2), red_hair", "mychar, dog", "A dog that runs over a meadow."))
    assert (found.source, found.images, found.tagged) == ("captions", 3, 2)
    assert {tag.tag: (tag.images, tag.total) for tag in found.tags} == {
        "Mychar": (2, 2),
        "red hair": (1, 2),
        "dog": (1, 1),
    }


def test_a_source_can_be_chosen() -> None:
    both = [sample("a.png", caption="red, blue", **tagged(["green"]))]
    assert [tag.tag for tag in numbers(both).tags] == ["green"]
    assert [tag.tag for tag in numbers(both, source="captions").tags] == ["blue", "red"]


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({"red hair": 5, "red_hair": 1}, "spelling"),
        ({"red hair": 5, "Red Hair": 1}, "spelling"),
        ({"red hair": 5, "red-hair": 1}, "spelling"),
        ({"saber (fate)": 5, "saber \\(fate\\)": 1}, "spelling"),
        ({"it's": 5, "it’s": 1}, "spelling"),
        ({"flower": 5, "flowers": 1}, "plural"),
        ({"red eyes": 5, "red eye": 1}, "plural"),
        ({"box": 5, "boxes": 1}, "plural"),
        ({"city": 5, "cities": 1}, "plural"),
        ({"outdoors": 50, "outdors": 1}, "letter"),
        ({"outdoors": 50, "outdooors": 1}, "letter"),
        ({"outdoors": 50, "outboors": 1}, "letter"),
        ({"outdoors": 50, "outdoosr": 1}, "letter"),
    ],
)
def test_two_ways_to_write_one_tag_are_found(written: dict[str, int], why: str) -> None:
    (group,) = near_tags(written)
    assert (group.why, group.forms) == (why, tuple(written.items()))


@pytest.mark.parametrize(
    "written",
    [
        {"outdoors": 10, "outdors": 1},
        {"black cat": 50, "black hat": 1},
        {"2girls": 50, "3girls": 1},
        {"glass": 50, "gloss": 40},
        {"dress": 50, "dres": 40},
        {"hand on own hip": 50, "hands on own hips": 2},
        {"^_^": 50, ">_<": 1},
        {"chair": 50, "hair": 1, "red hair": 1},
        {"white shirt": 50, "white skirt": 1, "skirt": 30},
    ],
)
def test_two_tags_are_not_taken_for_one(written: dict[str, int]) -> None:
    assert near_tags(written) == ()


def test_two_tags_of_a_models_vocabulary_are_two_however_alike() -> None:
    images: list[list[str]] = [*([["flowers", "outdoors"]] * 20), ["flower", "outdoor"]]
    assert numbers(of_tags(*images)).near == ()
    assert [group.why for group in numbers(of_tags(*images, human=True)).near] == ["plural", "plural"]


def test_a_tag_is_told_as_the_slip_of_its_most_frequent_neighbour() -> None:
    plural, letter = near_tags({"street": 900, "strect": 1, "streets": 30, "stroet": 2})
    assert (plural.why, plural.forms) == ("plural", (("street", 900), ("streets", 30)))
    assert (letter.why, letter.forms) == ("letter", (("street", 900), ("stroet", 2), ("strect", 1)))


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ("abcd", "abd", True),
        ("abcd", "abxd", True),
        ("abcd", "acbd", True),
        ("abcd", "abcde", True),
        ("", "a", True),
        ("ab", "ba", True),
        ("abcd", "abcd", False),
        ("abcd", "badc", False),
        ("abcd", "abef", False),
    ],
)
def test_one_letter_is_an_edit_or_a_swap_of_neighbours(first: str, second: str, apart: bool) -> None:
    assert one_letter_apart(first, second) is apart
    assert one_letter_apart(second, first) is apart


def test_ten_thousand_tags_are_compared_in_seconds() -> None:
    vocabulary = {f"{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}word tag": n for n in range(10_000)}
    begun = time.process_time()
    near_tags(vocabulary)
    assert time.process_time() - begun < 20


@pytest.mark.parametrize(
    ("tags", "axis"),
    [
        (["1girl", "solo", "red hair", "blue hair"], "hair colour"),
        (["1girl", "blue eyes", "green eyes"], "eye colour"),
        (["1girl", "2girls"], "girls"),
        (["solo", "2girls", "red hair", "blue hair"], "people"),
        (["day", "night"], "time"),
        (["Indoors", "outdoors"], "place"),
        (["1boy", "long_hair", "short hair"], "hair length"),
    ],
)
def test_tags_that_contradict_each_other_are_told(tags: list[str], axis: str) -> None:
    (conflict,) = numbers(of_tags(tags)).conflicts
    assert conflict.axis == axis
    assert (conflict.affected.images, conflict.affected.names) == (1, ("0.png",))


@pytest.mark.parametrize(
    "tags",
    [
        ["2girls", "red hair", "blue hair"],
        ["1girl", "solo", "red hair", "blue hair", "multicolored hair"],
        ["1girl", "heterochromia", "blue eyes", "red eyes"],
        ["1girl", "long hair", "very long hair"],
        ["1girl", "1boy", "red hair", "black hair"],
        ["red hair", "blue hair"],
        ["1boy", "2girls", "red hair", "blue hair"],
    ],
)
def test_tags_that_only_seem_to_contradict_each_other_are_not(tags: list[str]) -> None:
    assert numbers(of_tags(tags)).conflicts == ()


def test_what_images_lack_is_told_with_their_names() -> None:
    samples = [
        sample("whole.png", caption="sks, cat", **tagged(["cat"])),
        sample("no-tags.png", caption="sks"),
        sample("no-caption.png", **tagged(["sks"])),
        sample("blank.png", caption=" ", **tagged(["cat"])),
    ]
    complete = numbers(samples, triggers=["sks"]).complete
    assert complete.without_tags.names == ("no-tags.png",)
    assert complete.without_caption.names == ("no-caption.png", "blank.png")
    ((trigger, without),) = complete.without_trigger
    assert (trigger, without.names) == ("sks", ("blank.png",))


def test_no_more_than_twenty_names_are_kept_however_many_images() -> None:
    complete = numbers([sample(f"{number}.png") for number in range(30)]).complete
    assert (complete.without_tags.images, len(complete.without_tags.names)) == (30, 20)


def test_an_empty_set_has_numbers_too() -> None:
    found = numbers([])
    assert (found.images, found.vocabulary, found.tags, found.per_image.median) == (0, 0, (), 0.0)
    assert not math.isnan(found.entropy)


@pytest.fixture
def dataset(tmp_path: Any) -> Dataset:
    dataset = Dataset.open(f"file://{tmp_path}")
    kept = of_tags({"1girl": 0.9, "solo": 0.8}, {"1girl": 0.7, "[bold]x": 0.5}, {"day": 0.6, "night": 0.5})
    committed(dataset, {"train": kept, "rejected": [sample("bad.png", **tagged(["rejected tag"]))]})
    return dataset


def test_the_command_prints_tables_and_escapes_what_people_named(dataset: Dataset) -> None:
    printed = invoke("tags", dataset.url, "--top", "3", "--trigger", "sks")
    for words in ("1girl", "66.7 %", "day + night", "no trigger sks", "3 of 5", "[bold]x", "0.800"):
        assert words in printed
    assert "rejected tag" not in printed
    assert "rejected tag" in invoke("tags", dataset.url, "--role", "rejected")


def test_the_command_says_the_whole_vocabulary_in_json(dataset: Dataset) -> None:
    said = invoke("tags", dataset.url, "-v", "1", "--json")
    assert (said["version"], said["vocabulary"], len(said["tags"])) == (1, 5, 5)
    assert said["conflicts"][0]["affected"] == {"images": 1, "names": ["2.png"]}


def test_a_version_without_tags_gets_one_sentence(tmp_path: Any) -> None:
    dataset = Dataset.open(f"file://{tmp_path}")
    committed(dataset, {"train": [sample("a.png"), *texts("A dog runs over the meadow.")]})
    printed = invoke("tags", dataset.url)
    assert len(printed.splitlines()) == 1
    assert "version 1 has no tags, and no caption that is a list of tags" in printed


def test_samples_are_read_from_the_roles_that_were_asked_for(dataset: Dataset) -> None:
    version = dataset.version(1)
    assert len(list(reading(dataset, version)())) == 3
    assert [one.source_ref for one in reading(dataset, version, ["rejected"])()] == ["s3://b/bad.png"]
