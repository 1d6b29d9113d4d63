"""What analysis counts, drawn in the report: plots that are right, sections where there is something to say."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from analysed import CAPTION_NUMBERS, COVERAGE, TAG_NUMBERS
from imageyard.manifests import Dataset
from imageyard.ray_jobs.analysis.affected import Affected
from imageyard.ray_jobs.report import render
from imageyard.ray_jobs.report_data import Totals
from imageyard.ray_jobs.report_plots import against, heat, histogram
from imageyard.ray_jobs.summary_numbers import numbers_of, tags_per_image, triggers_of
from imageyard.ray_jobs.summary_pictures import Line
from jobs import drop, go, recipe
from pictures import photo
from test_report import EMPTY, RICH, Page
from test_report_texts import CUSTOM, bare, committed, edited, report, tagged, words_of

FIGURES = {"per-image", "lengths", "together", "triggers", "caption-findings", "tag-findings", "coverage"}
CAPTIONS = (
    "mychar, 1girl, solo, from behind, full body, outdoors, smile",
    "mychar, 1girl, solo, from side, upper body, indoors, serious",
    "mychar, 1girl, solo, looking at viewer, portrait, outdoors, smile",
    "mychar, 1girl, solo, from side, full body, night, smile",
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open((tmp_path / "cats").as_uri())


def sections(page: str) -> set[str]:
    return set(Page(page.encode()).ids) & FIGURES


def shown(**members: object) -> str:
    return words_of(render(replace(EMPTY, **members)).decode())  # type: ignore[arg-type]  # whatever a test asks


@pytest.mark.parametrize("lines", [(), (75,), (75, 150, 225)])
def test_a_histogram_says_every_count_and_marks_each_line_after_its_value(lines: tuple[int, ...]) -> None:
    bars = [(0, 9, 3), (10, 19, 0), (20, 29, 12)]
    drawn = histogram(bars, label="tokens", unit="tokens", of="images", lines=lines)
    assert re.findall(r'<th scope="row">([^<]+)</th><td class="num">(\d+)</td>', drawn) == [
        ("0–9", "3"),
        ("20–29", "12"),
    ]
    scale = 344 / (max([29, *lines]) + 1)
    at = [float(x) for x in re.findall(r'class="limit" d="M([0-9.]+) ', drawn)]
    assert at == pytest.approx([44 + scale * (line + 1) for line in lines], abs=0.06)
    heights = [float(height) for height in re.findall(r'class="c-kept"[^>]* height="([0-9.]+)"', drawn)]
    assert heights == pytest.approx([130 * 3 / 12, 130])


def test_all_lines_of_a_histogram_lie_between_its_ends_and_so_do_their_numbers() -> None:
    drawn = histogram([(80, 84, 2), (85, 89, 1)], label="tokens", unit="tokens", of="images", lines=(75, 225, 1024))
    at = [float(x) for x in re.findall(r'class="limit" d="M([0-9.]+) ', drawn)]
    assert [44 <= x <= 388 for x in at] == [True] * 3
    letters = [(float(x), len(said) * 3.5) for x, said in re.findall(r'x="([0-9.]+)"[^>]*"middle">([^<]+)<', drawn)]
    assert all(half <= x <= 410 - half for x, half in letters)


@pytest.mark.parametrize("bars", [[(0, 0, 1)], [(5, 5, 10**9)], [(0, 10**7 - 1, 1), (10**7, 2 * 10**7 - 1, 0)]])
def test_any_histogram_can_be_drawn(bars: list[tuple[int, int, int]]) -> None:
    drawn = histogram(bars, label="tokens", unit="tokens", of="images")
    assert "nan" not in drawn
    assert len(re.findall("<text", drawn)) < 16


def test_a_heat_map_is_darkest_where_most_images_have_both_and_leaves_the_diagonal_alone() -> None:
    drawn = heat(("a", "b"), ("a", "b"), ((9, 4), (2, 0)), label="both", same=True)
    assert re.findall(r"<title>([^<]+)</title>", drawn) == ["a: 9", "a and b: 4", "b and a: 2", "b: 0"]
    assert [float(depth) for depth in re.findall(r'fill-opacity="([0-9.]+)"', drawn)] == [0.58, 0.33]
    assert drawn.count('class="own"') == 2
    assert heat(("a",), ("b", "c"), ((0, 0),), label="none").count('class="none"') == 2


@pytest.mark.parametrize(("amount", "said"), [(0, "0"), (9999, "9999"), (12_345, "12k"), (3_000_000, "3M")])
def test_a_number_in_a_cell_is_short(amount: int, said: str) -> None:
    assert f">{said}</text>" in heat(("a",), ("b",), ((amount,),), label="both")


def test_a_bar_against_what_is_wanted_has_its_frame_and_never_leaves_its_scale() -> None:
    drawn = against(3, (4, 10), 12, style="c-kept")
    assert 'class="c-kept" y="20%" width="25.000%"' in drawn
    assert 'class="goal" x="33.333%" width="50.000%"' in drawn
    assert 'class="goal"' not in against(3, None, 12, style="c-kept")
    assert 'x="100.000%"' in against(0, (5, 9), 1, style="c-kept")


@pytest.mark.parametrize(
    "said",
    [
        "images with tags 60 of 62 different tags 214",
        "night and blue sky 4 12.5",
        "contradict each other long hair and short hair shot-01.jpg, shot-02.jpg 2",
        "one tag in several forms (plural) flower 12, flowers 3 15",
        "on fewer than 3 images lamp, tree 2",
        "sdxl CLIP 75 14 shot-00.jpg, shot-01.jpg, shot-02.jpg and 11 more",
        "50 of 62, 80.6 % 3 lack it 9 spell it otherwise 2 have it twice: shot-01.jpg, shot-02.jpg",
        "error 14 captions have fewer than 5 words. a cat (2), dog (1)",
        "Consistency 0.71: CAP-CASE 2.",
        "from behind: 1 picture (3 to 6 wanted)",
        "front 40 too many of 8–20",
        "from behind 1 of 3–6 +2",
        "front: 65 % of the images, 50 % is much",
        "Of these axes nothing is known: pose.",
        "41 different looks among 62 images; the largest has 19.4 % of them",
        "watermark: 2 images shot-01.jpg, shot-02.jpg",
    ],
)
def test_numbers_of_analysis_are_shown_as_given(said: str) -> None:
    assert said in words_of(render(RICH).decode())


def test_the_lines_of_75_150_and_225_tokens_are_drawn_as_far_as_texts_reach() -> None:
    def lines(longest: int) -> int:
        bars = tuple(one for one in CAPTION_NUMBERS.histogram if one.lower <= longest)
        page = render(replace(EMPTY, caption_numbers=replace(CAPTION_NUMBERS, histogram=bars))).decode()
        return page.count('class="limit"')

    assert [lines(40), lines(80), lines(160), lines(230)] == [1, 2, 3, 3]


def test_sections_with_nothing_to_say_are_left_out() -> None:
    quiet = replace(CAPTION_NUMBERS, histogram=(), findings=(), triggers=())
    clean = replace(TAG_NUMBERS, matrix=replace(TAG_NUMBERS.matrix, tags=(), images=()), near=(), conflicts=())
    nobody = replace(clean.complete, without_tags=Affected(), without_caption=Affected())
    clean = replace(clean, always=(), rare=(), complete=nobody)
    unusable = replace(COVERAGE, usable=False)
    page = render(replace(EMPTY, caption_numbers=quiet, tag_numbers=clean, coverage=unusable)).decode()
    assert sections(page) == set()
    assert sections(render(RICH).decode()) == FIGURES


def test_findings_on_captions_are_not_told_of_tags_alone() -> None:
    tags = replace(CAPTION_NUMBERS, sources=(("tags", 62),))
    assert sections(render(replace(EMPTY, caption_numbers=tags)).decode()) == {"lengths", "triggers"}


def test_a_page_on_a_part_of_the_pictures_says_so() -> None:
    said = shown(counted=20, per_image=((3, 20),), shown=Totals(kept=1025))
    assert "Here and below, of 20 of 1,025 pictures, evenly spread." in said
    assert "evenly spread" not in shown(counted=20, per_image=((3, 20),), shown=Totals(kept=20))


def test_a_version_with_captions_is_counted_and_its_shot_list_is_shown(dataset: Dataset, models: Path) -> None:
    drop(dataset, {f"{number}.jpg": photo(number, (96, 96)) for number in range(8)})
    drop(dataset, {f"{number}.txt": CAPTIONS[number % 4].encode() for number in range(8)})
    go(dataset, recipe(dataset, "ingest"), models)
    page = report(
        dataset,
        edited(
            dataset,
            lambda name, sample: sample.with_label(
                "caption", sample.value("caption"), CUSTOM | {"triggers": ["mychar", "hat"]}
            ),
        ),
    )
    assert sections(page) == FIGURES
    said = words_of(page)
    assert "training texts 8 of 8" in said
    assert "hat 0 of 8, 0.0 % 8 lack it" in said
    assert "mychar 8 of 8, 100.0 %" in said
    assert "Shoot or find next" in said


def test_a_version_without_texts_is_not_counted(dataset: Dataset) -> None:
    page = report(dataset, committed(dataset, [("train", bare(1)), ("rejected", tagged(bare(2), {"cat": 1.0}))]))
    assert sections(page) == set()


def test_of_a_large_set_evenly_spread_pictures_are_counted(dataset: Dataset) -> None:
    lines = [Line(one.key, "train", one) for one in (tagged(bare(n), {"cat": 1.0}) for n in range(100))]
    version = committed(dataset, [(line.role, line.sample) for line in lines])
    found = numbers_of(dataset, version, lines, most=10)
    assert found.counted == 10
    assert found.per_image == ((1, 10),)
    assert found.tags is not None
    assert found.tags.images == 10
    assert found.coverage is None


def test_triggers_are_those_of_the_recipe_and_then_those_that_stand_in_pairs(dataset: Dataset) -> None:
    version = committed(dataset, [("train", bare(1))])
    said = version.model_copy(update={"recipe": {"steps": [{"trigger": {"words": ["b", "a"]}}, {"dedup": {}}]}})
    one = bare(1).with_label("caption", "c, d", CUSTOM | {"triggers": ["d", "a"]})
    two = bare(2).with_label("text", "c, d", CUSTOM | {"triggers": ["d", "c"]})
    assert triggers_of(said, [one, two]) == ("b", "a", "d", "c")
    assert triggers_of(version, [bare(1), bare(2).with_label("text", "", CUSTOM | {"triggers": 3})]) == ()


def test_tags_per_image_are_those_of_the_pair_or_else_the_pieces_of_a_tag_list() -> None:
    samples = (
        tagged(bare(1), {"cat": 0.9, "mat": 0.8}),
        bare(2).with_label("caption", "cat, mat, hat", CUSTOM),
        bare(3).with_label("caption", "A cat sits on a mat.", CUSTOM),
        bare(4),
    )
    assert tags_per_image(samples) == ((0, 2), (2, 1), (3, 1))
    assert tags_per_image([bare(1)]) == ()
