"""Texts in the report: what captions and tags were and are, what lies over pictures, and how much of it is shown."""

import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from imageyard.manifests import Dataset, Sample
from imageyard.manifests.version import ROLES, Role, Version
from imageyard.ray_jobs.report import Alike, Rejection, Totals, render
from imageyard.ray_jobs.report_data import Box, Reworded, Rewording, Rewordings
from imageyard.ray_jobs.rewording import MOST_PIECES, MOST_WORDS, compared, tags_gone_and_come
from imageyard.ray_jobs.summary import KEPT_SHOWN, PICTURES_ALIKE, REJECTED_SHOWN, report_of
from imageyard.ray_jobs.summary_pictures import BOXES_SHOWN, boxes_of, tags_of
from imageyard.ray_jobs.summary_texts import TEXTS_SHOWN, Sampled
from imageyard.ray_jobs.work import Tally
from jobs import by_name, drop, go, recipe
from pictures import photo, recompressed
from test_report import EMPTY, KEPT, RICH, SMALL, WHY, Page

DATE = "2026-01-15T09:30:00"
CUSTOM = {"type": "groundtruth/custom", "human-annotated": "no", "creation-date": DATE, "job-name": "j"}
MANY = CUSTOM | {"type": "groundtruth/image-classification-multilabel"}
LATER = datetime(2026, 2, 1, tzinfo=UTC)

Change = Callable[[str, Sample], Sample]


def committed(dataset: Dataset, lines: Iterable[tuple[Role, Sample]]) -> Version:
    """The next version of a dataset, with these lines and what its parent says of itself."""
    old = dataset.newest()
    draft = dataset.draft(sorted(lines, key=lambda line: line[1].key))
    members = {"transaction": draft.transaction, "manifests": draft.manifests, "consumed": None}
    if old is None:
        first = {"number": 1, "parent": None, "parent_sha256": None, "created": DATE, "job": "j", "fingerprint": "f"}
        record = Version.model_validate(first | {"recipe": {}, "extractors": {}, "counts": {}} | members)
    else:
        members |= {"number": old.number + 1, "parent": old.number, "parent_sha256": old.sha256}
        record = old.model_copy(update=members)
    made = dataset.commit(lambda newest: record)
    assert made is not None
    return made


def edited(dataset: Dataset, change: Change) -> Version:
    """The next version, in which every line is what `change` makes of its first name and itself."""
    old = dataset.newest()
    names = {sample.key: name for name, (_, sample) in by_name(dataset, old).items()}
    assert old is not None
    lines = [(role, sample) for role in ROLES for sample in dataset.read(old, role)]
    return committed(dataset, [(role, change(names.get(sample.key, ""), sample)) for role, sample in lines])


def report(dataset: Dataset, version: Version | None) -> str:
    assert version is not None
    return report_of(dataset, version, Tally(), ()).decode()


def words_of(page: str) -> str:
    """What the page says, a space for every tag."""
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", page)).split())


def tagged(sample: Sample, tags: Mapping[str, float], **said: Any) -> Sample:
    names = {str(index): tag for index, tag in enumerate(tags)}
    scores = {str(index): score for index, score in enumerate(tags.values())}
    return sample.with_label(
        "tags", list(range(len(tags))), MANY | {"class-map": names, "confidence-map": scores} | said
    )


def bare(number: int) -> Sample:
    return Sample.of(f"s3://bucket/{number:04d}.jpg", **{"content-sha256": f"{number:064x}"})


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open((tmp_path / "cats").as_uri())


@pytest.mark.parametrize(
    ("before", "after", "was", "now"),
    [
        ("cat, mat", "cat, hat, mat", "=cat =mat", "=cat +hat =mat"),
        ("cat, mat", "cat", "=cat -mat", "=cat"),
        ("cat, red hair", "cat, Red_Hair", "=cat -red hair", "=cat +Red_Hair"),
        ("long hair, hair", "long hair", "=long hair -hair", "=long hair"),
        ("a, b, c, d", "d, a, b, c", "=a =b =c ~d", "~d =a =b =c"),
        ("cat, cat", "cat", "=cat -cat", "=cat"),
        ("(red hair, long:1.2), cat", "cat", "-(red hair, long:1.2) =cat", "=cat"),
        (None, "cat, mat", "", "+cat +mat"),
        ("cat\nmat, hat", "cat\nmat", "=cat =mat -hat", "=cat =mat"),
        (("cat, big", "mat"), ("mat",), "-cat, big =mat", "=mat"),
        ("A cat on a red mat.", "A cat on a mat.", "=A =cat =on =a -red =mat.", "=A =cat =on =a =mat."),
        ("cat, mat", "A cat on a mat.", "-cat, -mat", "+A +cat +on +a +mat."),
    ],
)
def test_what_went_came_and_moved_is_told_by_tag_or_by_word(before: Any, after: Any, was: str, now: str) -> None:
    signs = {"same": "=", "went": "-", "came": "+", "moved": "~"}
    sides = compared(Rewording("caption", before, after))
    assert " ".join(signs[kind] + part for kind, part in sides.before) == was
    assert " ".join(signs[kind] + part for kind, part in sides.after) == now


@pytest.mark.parametrize(
    ("before", "after", "gone", "come"),
    [
        ("cat, mat", "mat, cat, hat", [], ["hat"]),
        ("red hair, cat", "Red_Hair, cat", [], []),
        ("cat, cat", "cat", ["cat"], []),
        (None, ("cat",), [], ["cat"]),
        ("A cat on a mat.", "cat, mat", [], []),
    ],
)
def test_tags_are_counted_whatever_their_order_and_spelling(before: Any, after: Any, gone: Any, come: Any) -> None:
    assert tags_gone_and_come(Rewording("caption", before, after)) == (gone, come)


@pytest.mark.parametrize(("word", "most"), [("a cat sits on the mat and looks.", MOST_WORDS), ("cat,", MOST_PIECES)])
def test_of_a_text_without_end_the_beginning_is_compared(word: str, most: int) -> None:
    long = " ".join([word] * 20_000)
    sides = compared(Rewording("caption", long, f"{word} {long}"))
    assert sides.cut
    assert len(sides.before) == len(sides.after) == most


def test_a_stream_is_sampled_evenly_and_what_is_held_is_bounded() -> None:
    sampled = Sampled[int](10)
    for number in range(1000):
        sampled.add(number)
        assert len(sampled.items) <= 20
    assert sampled.seen == 1000
    steps = {after - before for before, after in pairwise(sampled.items)}
    assert len(steps) == 1
    assert len(sampled.items) >= 10


def test_a_report_shows_captions_and_tags_beside_those_of_the_version_before(dataset: Dataset, models: Path) -> None:
    drop(dataset, {f"{number}.jpg": photo(number, (96, 96)) for number in range(4)})
    drop(dataset, {"0.txt": b"mychar, smile, red hair", "1.txt": b"A cat sits on a red mat."})
    tag = {"model": "sentinel", "threshold": 0.02}
    first = go(dataset, recipe(dataset, "ingest", {"tag": tag}), models).version
    page = words_of(report(dataset, first))
    assert "There is no version before this one: texts of 4 pictures, 4 of 4 shown." in page
    assert "caption by a person mychar smile red hair" in page
    assert "tags by sentinel" in page
    drop(dataset, {"0.txt": b"mychar, grin, red hair", "1.txt": b"A cat lies on a mat.", "2.txt": b"mychar, hat"})
    second = recipe(dataset, "ingest", {"tag": tag | {"blacklist": ["^_^"]}})
    written = report(dataset, go(dataset, second, models, date=LATER).version)
    page = words_of(written)
    assert "4 pictures of that version say other words; 4 of 4 shown." in page
    assert "caption 2 1 0 tags 4 0 0" in page
    assert "caption version 1 by a person mychar smile red hair now by a person mychar grin red hair" in page
    assert "<del>smile</del>" in written
    assert "<ins>grin</ins>" in written
    assert "A cat <del>sits</del> on a <del>red</del> mat." in written
    assert "A cat <ins>lies</ins> on a mat." in written
    assert "caption new by a person mychar hat" in page
    assert "Tags that went ^_^ 4 smile 1" in page
    assert "Tags that came grin 1" in page


def test_a_version_that_says_the_same_has_no_texts_to_show(dataset: Dataset) -> None:
    lines: list[tuple[Role, Sample]] = [("train", bare(1).with_label("caption", "a cat", CUSTOM))]
    committed(dataset, lines)
    assert 'id="texts"' not in report(dataset, committed(dataset, lines))


def test_training_texts_and_further_captions_are_texts_and_other_pairs_are_none(dataset: Dataset) -> None:
    committed(dataset, [("train", bare(1).with_label("text", "cat, mat", CUSTOM))])
    newer = edited(
        dataset,
        lambda name, sample: (
            sample.with_label("text", "mychar, cat, mat", CUSTOM | {"step": "compose"})
            .with_label("caption-long", "A cat.", CUSTOM | {"model": "florence", "edited-by": ["replace", "sort"]})
            .with_label("note", "words", CUSTOM)
        ),
    )
    page = words_of(report(dataset, newer))
    assert "training text version 1 by unknown cat mat now by compose mychar cat mat" in page
    assert "caption-long new by florence, edited by replace, sort A cat." in page
    assert "note" not in page


def test_texts_of_rejected_pictures_are_not_told(dataset: Dataset) -> None:
    committed(dataset, [("rejected", bare(1)), ("train", bare(2))])
    newer = edited(dataset, lambda name, sample: sample.with_label("caption", "a cat", CUSTOM))
    assert "1 picture of that version says other words; 1 of 1 shown." in words_of(report(dataset, newer))


def test_new_pictures_follow_those_whose_texts_changed(dataset: Dataset) -> None:
    old = bare(5).with_label("caption", "cat", CUSTOM)
    committed(dataset, [("train", old)])
    new = [bare(number).with_label("caption", "dog", CUSTOM) for number in (1, 2)]
    version = committed(
        dataset, [("train", old.with_label("caption", "hat", CUSTOM)), *(("train", one) for one in new)]
    )
    page = words_of(report(dataset, version))
    assert "1 picture of that version says other words; 2 pictures with texts came; 3 of 3 shown." in page
    page = page[page.index("3 of 3 shown") :]
    assert page.index("0005.jpg") < page.index("0001.jpg") < page.index("0002.jpg")


def test_many_changes_are_counted_and_an_even_sample_is_shown(dataset: Dataset) -> None:
    committed(dataset, [("train", bare(number).with_label("caption", "cat, mat", CUSTOM)) for number in range(400)])
    newer = edited(dataset, lambda name, sample: sample.with_label("caption", "mychar, cat", CUSTOM))
    written = report(dataset, newer)
    page = words_of(written)
    assert f"400 pictures of that version say other words; {TEXTS_SHOWN} of 400 shown." in page
    assert "caption 400 0 0" in page
    assert "Tags that came mychar 400 Tags that went mat 400" in page
    part = written[written.index('id="texts"') : written.index('id="kept"')]
    shown = [int(number) for number in re.findall(r'title="(\d{4})\.jpg"', part)]
    assert len(shown) == TEXTS_SHOWN
    assert shown[0] < 20
    assert shown[-1] > 360
    assert max(after - before for before, after in pairwise(shown)) <= 32


def test_a_report_that_is_written_again_has_the_same_bytes(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"a.jpg": photo(1, (96, 96)), "a.txt": b"mychar, cat", "b.jpg": photo(2, (96, 96))})
    version = go(dataset, recipe(dataset, "ingest", {"tag": {"model": "sentinel"}}), models).version
    assert report(dataset, version) == report(dataset, version)


def boxed(**value: Any) -> Sample:
    metadata = CUSTOM | {
        "type": "groundtruth/object-detection",
        "class-map": {"0": "cat", "1": "bowl"},
        "objects": [{"confidence": 0.9}, {}],
    }
    return bare(1).with_label("objects", value, metadata)


def box(**sides: Any) -> dict[str, Any]:
    return {"class_id": 0, "left": 10, "top": 20, "width": 50, "height": 60} | sides


def test_boxes_are_placed_by_the_size_of_the_image_they_were_found_in() -> None:
    size = [{"width": 200, "height": 100, "depth": 3}]
    sample = boxed(image_size=size, annotations=[box(), box(class_id="1", left=150, width=90)])
    cat, bowl = boxes_of(sample, (999, 999))
    assert (cat.label, cat.score, bowl.label, bowl.score) == ("cat", 0.9, "bowl", None)
    assert (cat.left, cat.top, cat.width, cat.height) == pytest.approx((0.05, 0.2, 0.25, 0.6))
    assert (bowl.left, bowl.top, bowl.width, bowl.height) == pytest.approx((0.75, 0.2, 0.25, 0.6))
    assert boxes_of(boxed(annotations=[box()]), (100, 200)) == [Box("cat", 0.1, 0.1, 0.5, pytest.approx(0.3), 0.9)]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"annotations": 3, "image_size": [{"width": 10, "height": 10}]},
        {"annotations": [box()], "image_size": [{"width": 0, "height": 10}]},
        {"annotations": [box()], "image_size": []},
        {"annotations": [None, 3, {}, box(left="1"), box(width=True), box(left=900), box(width=-1)]},
    ],
)
def test_what_is_no_box_is_left_out(value: dict[str, Any]) -> None:
    assert boxes_of(boxed(**value), (100, 100) if "image_size" not in value else (None, None)) == []


@pytest.mark.parametrize(("width", "height"), [(400, 200), (200, 400), (300, 300), (31, 4000)])
def test_a_box_is_drawn_where_it_is_in_the_frame_of_its_picture(width: int, height: int) -> None:
    picture = replace(KEPT, width=width, height=height, boxes=(Box("cat", 0.25, 0.5, 0.5, 0.25, 0.5),))
    page = Page(render(replace(EMPTY, kept=(picture,))))
    (frame,) = [attributes["viewbox"] for tag, attributes in page.elements if attributes.get("class") == "boxes"]
    _, _, across, down = map(float, frame.split())
    assert max(across, down) == 1000
    assert across / down == pytest.approx(width / height, rel=0.02)
    drawn = [attributes for tag, attributes in page.elements if tag == "rect" and "y" in attributes]
    places = {tuple(float(one[side]) for side in ("x", "y", "width", "height")) for one in drawn}
    assert len(places) == 1
    (x, y, wide, high) = places.pop()
    assert (x, y, wide, high) == pytest.approx((across / 4, down / 2, across / 2, down / 4), abs=0.1)


def test_of_many_boxes_the_first_are_drawn_and_the_rest_is_counted(dataset: Dataset) -> None:
    size = [{"width": 100, "height": 100, "depth": 3}]
    sample = boxed(image_size=size, annotations=[box() for _ in range(BOXES_SHOWN + 30)])
    written = report(dataset, committed(dataset, [("train", sample)]))
    assert "boxes not drawn 30" in words_of(written)


def test_the_most_certain_tags_lie_over_the_picture_and_the_rest_is_behind_a_disclosure() -> None:
    tags = tuple((f"tag {index}", 0.9 - index / 10) for index in range(6))
    written = render(replace(EMPTY, kept=(replace(KEPT, tags=tags),))).decode()
    over = written[written.index('<div class="over">') : written.index('<div class="about">')]
    front, _, behind = over.partition("<details>")
    assert re.findall(r"tag \d(?=</span>)", front) == ["tag 0", "tag 1", "tag 2"]
    assert re.findall(r"tag \d(?=</span>)", behind) == ["tag 3", "tag 4", "tag 5"]
    assert "3 more" in behind
    assert re.findall(r'style="--s:(\d+)%"', front) == ["90", "80", "70"]
    assert "0.90" in front


def test_tags_of_people_are_marked_and_tags_without_a_score_have_none() -> None:
    picture = replace(KEPT, tags=(("cat", 1.0), ("tabby", 0.8), ("hat", 0.0)), people=frozenset({"cat"}))
    page = words_of(render(replace(EMPTY, kept=(picture,))).decode())
    assert "cat person tabby 0.80 hat chelsea.png" in page
    assert page.count("person") == 1


def test_tags_of_another_pair_that_a_person_filled_are_people_s_tags(dataset: Dataset) -> None:
    sample = tagged(bare(1), {"cat": 0.7, "kitchen": 0.4})
    given = {"class-map": {"7": "kitchen"}, "confidence-map": {"7": 1}}
    own = sample.with_label("scene", [7], MANY | given | {"human-annotated": "yes"})
    other = sample.with_label("scene", [7], MANY | given)
    assert 'class="given"' in report(dataset, committed(dataset, [("train", own)]))
    assert 'class="given"' not in report(dataset, committed(dataset, [("train", other)]))


@pytest.mark.parametrize("scores", [None, {}, {"0": None}, {"0": "high"}, {"0": True}, []])
def test_tags_whose_scores_say_nothing_are_tags(scores: Any) -> None:
    metadata = MANY | {"class-map": {"0": "cat"}, "confidence-map": scores}
    assert tags_of(bare(1).with_label("tags", [0], metadata)) == (("cat", 0.0),)


def test_only_pictures_that_are_not_safe_are_blurred_and_there_is_a_switch_for_them() -> None:
    unsafe = replace(SMALL, rejection=Rejection("not-safe", "explicit 0.91", "tag"))
    written = render(replace(EMPTY, kept=(KEPT,), rejected=(SMALL, unsafe))).decode()
    assert written.count('class="card veiled"') == 1
    assert 'id="see-unsafe"' in written
    assert 'id="see-unsafe"' not in render(replace(EMPTY, rejected=(SMALL,))).decode()


def test_a_rating_stands_on_the_card() -> None:
    assert "sensitive 0.62" in words_of(
        render(replace(EMPTY, kept=(replace(KEPT, rating=("sensitive", 0.62)),))).decode()
    )


def test_the_largest_page_stays_below_three_megabytes() -> None:
    picture = replace(KEPT, thumbnail=b"x" * 8192, tags=tuple((f"some tag {index}", 0.5) for index in range(40)))
    out = replace(picture, role="rejected", rejection=WHY)
    sentence = "A cat sits on a red mat and looks at the camera. " * 8
    texts = (Rewording("caption", sentence, f"{sentence} {sentence}"), Rewording("tags", ("cat",) * 40, ("hat",) * 40))
    pairs = {name: most // 2 for name, most in PICTURES_ALIKE.items()}
    page = render(
        replace(
            RICH,
            kept=(picture,) * KEPT_SHOWN,
            rejected=(out,) * REJECTED_SHOWN,
            rewordings=Rewordings(1, 9999, shown=(Reworded(picture, texts),) * TEXTS_SHOWN),
            conflicts=(Alike((picture, picture), classes=("a", "b")),) * pairs["conflicts"],
            duplicates=(Alike((picture,), (out,)),) * pairs["duplicates"],
            likenesses=(Alike((picture, picture)),) * pairs["likenesses"],
            foreign=(Alike((picture, picture), other="s3://bucket/eval@12"),) * pairs["foreign"],
            shown=Totals(99999, 99999, 99999, 99999, 99999, 99999),
        )
    )
    assert 2_000_000 < len(page) < 3_000_000


def test_groups_are_shown_as_far_as_there_is_room_for_their_pictures(dataset: Dataset, models: Path) -> None:
    files = {f"{number}-a.jpg": photo(number, (96, 96)) for number in range(36)}
    files |= {name.replace("-a", "-b"): recompressed(data, 80) for name, data in files.items()}
    drop(dataset, files)
    version = go(dataset, recipe(dataset, "ingest", {"dedup": {"variant": "off", "mirrored": "off"}}), models).version
    page = words_of(report(dataset, version))
    room = PICTURES_ALIKE["duplicates"] // 2
    assert f"Dropped for a better one {room} of 36: the most doubtful first" in page
