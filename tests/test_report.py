"""The job report: one page that shows what it is given, whole, and runs or loads nothing else."""

import base64
import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from PIL import Image

from analysed import CAPTION_NUMBERS, COVERAGE, LOOKS, SDXL, TAG_NUMBERS
from imageyard.ray_jobs.analysis.affected import Affected
from imageyard.ray_jobs.analysis.findings import Consistency, Part
from imageyard.ray_jobs.analysis.looks import Outlier
from imageyard.ray_jobs.analysis.near_tags import NearTags
from imageyard.ray_jobs.analysis.next_shots import Shot
from imageyard.ray_jobs.analysis.tag_numbers import Conflict
from imageyard.ray_jobs.analysis.tag_pairs import TagMatrix, TagPair
from imageyard.ray_jobs.report import Alike, Apart, Picture, Rejection, Report, Totals, render
from imageyard.ray_jobs.report_charts import distances, scatter, shapes, short_sides
from imageyard.ray_jobs.report_data import Box, Reworded, Rewording, Rewordings
from imageyard.ray_jobs.report_style import DARK, LIGHT
from imageyard.ray_jobs.report_text import number, share, value

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></title></code></pre><iframe src=https://evil.example>",
    "&lt;b&gt; &amp; {x} %s",
)


class Page(HTMLParser):
    """A page as a browser would take it apart: elements with their attributes, text, and scripts."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        {"script": self.scripts, "style": self.styles}.get(self.cdata_elem or "", self.words).append(data)

    @property
    def shape(self) -> list[tuple[str, list[str]]]:
        return [(tag, sorted(attributes)) for tag, attributes in self.elements]

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


def thumbnail(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 12), colour).save(file, "JPEG")
    return file.getvalue()


KEPT = Picture(
    name="chelsea.png",
    sha256="a" * 64,
    source_ref="s3://bucket/datasets/cats/images/aa/a.png",
    thumbnail=thumbnail("orange"),
    width=451,
    height=300,
    role="train",
    caption="a tabby cat",
    tags=(("tabby", 0.934), ("cat", 0.811), ("animal", 0.7), ("fur", 0.6), ("whiskers", 0.5)),
    label="cat",
    rejection=None,
)
SMALL = replace(
    KEPT,
    name="small.png",
    role="rejected",
    rejection=Rejection("min_side", "the shorter side is 133 px; 256 px are needed", "validate"),
)
COPY = replace(
    KEPT,
    name="copy.jpg",
    role="rejected",
    rejection=Rejection(
        "duplicate",
        "12 of 256 bits from chelsea.png",
        "dedup",
        KEPT.sha256,
        Apart("copy", 12, 31),
        "it holds more real pixels",
    ),
)
MIRRORED = replace(KEPT, name="mirrored.png", also=("again.png",))
CROP = replace(
    COPY,
    name="crop.jpg",
    rejection=Rejection(
        "variant", "0.95 agreement", "dedup", KEPT.sha256, Apart("variant", 0.05, 0.1), "it is sharper"
    ),
)
KNOWN = replace(COPY, name="known.jpg", rejection=Rejection("contamination", "3 of 256 bits from x.png", "dedup"))
BOXED = replace(
    KEPT,
    name="boxed.png",
    people=frozenset({"cat"}),
    rating=("sensitive", 0.62),
    boxes=(Box("cat", 0.1, 0.2, 0.5, 0.6, 0.93), Box("bowl", 0.8, 0.0, 0.2, 0.1)),
    boxes_more=3,
)
CAPTIONS = Rewording(
    "caption", "A cat on a red mat.", "A cat lies on a mat.", "a person", "florence, edited by replace"
)
TAG_LISTS = Rewording("tags", ("cat", "tabby", "mat"), ("mat", "cat", "whiskers"), "wd-vit", "wd-vit")
REWORDINGS = Rewordings(
    older=2,
    changed=212,
    fresh=4,
    members=(("caption", 0, 190, 0), ("tags", 3, 22, 1)),
    came=(("whiskers", 200),),
    went=(("tabby", 34),),
    shown=(
        Reworded(BOXED, (CAPTIONS, TAG_LISTS)),
        Reworded(KEPT, (Rewording("text", None, "cat, whiskers", "", "compose"),)),
    ),
)
EVAL = "s3://bucket/datasets/eval@12"
RICH = Report(
    dataset="cats",
    version=3,
    parent=2,
    job="20260305-7f3a",
    created="2026-03-05T14:03:09Z",
    recipe="dataset: s3://bucket/datasets/cats\nsteps:\n  - dedup: {within: 31}\n",
    counts=(("found", 1412), ("new", 1204), ("rejected", 61), ("duplicates", 118)),
    rejected_by_check=(("min_side", 34), ("truncated", 27)),
    roles=(("train", 820), ("validation", 103), ("test", 102)),
    tags=tuple((f"tag {index}", 2000 - index) for index in range(40)),
    labels=(("cat", (("train", 500), ("test", 60))), ("dog", (("train", 320), ("test", 42)))),
    sizes=((451, 300), (512, 512), (512, 512), (4032, 3024)),
    distances=(0, 2, 2, 12, 31),
    work=(("images read", 1204.0), ("seconds", 41.375), ("share reused", 0.1254)),
    kept=(KEPT,),
    rejected=(SMALL,),
    duplicates=(Alike((KEPT,), (COPY, CROP), more=1200),),
    waiting=(("drop/readme.txt", "not a picture"),),
    shown=Totals(1025, 61, conflicts=1, duplicates=84, likenesses=1, foreign=1),
    within=31,
    funnel=(("found", 1412), ("new", 1204), ("readable", 1194), ("passed", 1143), ("unique", 1025)),
    conflicts=(Alike((KEPT, MIRRORED), classes=("anomaly", "normal")),),
    likenesses=(Alike((KEPT, MIRRORED), apart=Apart("semantic", 0.07, 0.1)),),
    foreign=(Alike((), (KNOWN,), apart=Apart("copy", 3, 31), other=EVAL),),
    promises=("copy: every pair up to 31 bits was compared (exact); 12 of 12 sampled pairs found",),
    split=(("Leaks", ("near copies: 1,204 images compared, no two alike",)), ("Images in each fold", ("4, 4, 3",))),
    rewordings=REWORDINGS,
    counted=1025,
    per_image=((0, 2), (3, 40), (19, 20)),
    tag_numbers=TAG_NUMBERS,
    caption_numbers=CAPTION_NUMBERS,
    coverage=COVERAGE,
)
EMPTY = Report(
    "cats", None, None, "j", "2026-03-05T14:03:09Z", "", (), (), (), (), (), (), (), (), (), (), (), (), Totals()
)


def kept(picture: Picture) -> Report:
    return replace(EMPTY, kept=(picture,))


def rejected(rejection: Rejection) -> Report:
    picture = replace(SMALL, rejection=rejection)
    groups = (Alike((KEPT,), (picture,)),)
    return replace(EMPTY, rejected=(picture,), rejected_by_check=((rejection.check, 1),), duplicates=groups)


def reworded(rewording: Rewording) -> Report:
    return replace(EMPTY, rewordings=replace(REWORDINGS, shown=(Reworded(KEPT, (rewording,)),)))


def tag_numbers(**members: Any) -> Report:
    return replace(EMPTY, tag_numbers=replace(TAG_NUMBERS, **members))


def caption_numbers(**members: Any) -> Report:
    return replace(EMPTY, caption_numbers=replace(CAPTION_NUMBERS, **members))


def coverage(**members: Any) -> Report:
    return replace(EMPTY, coverage=replace(COVERAGE, **members))


def likeness(alike: Alike) -> Report:
    return replace(EMPTY, likenesses=(alike,))


AXIS = COVERAGE.axes[0]
FINDING = CAPTION_NUMBERS.findings[1]
WHY = Rejection("check", "reason", "step", "b" * 64, Apart("copy", 3, 31))
PAIR = Alike((KEPT, MIRRORED), apart=Apart("semantic", 0.07, 0.1))
FIELDS: dict[str, Callable[[str], Report]] = {
    "dataset": lambda word: replace(EMPTY, dataset=word),
    "job": lambda word: replace(EMPTY, job=word),
    "created": lambda word: replace(EMPTY, created=word),
    "recipe": lambda word: replace(EMPTY, recipe=word),
    "count": lambda word: replace(EMPTY, counts=((word, 1),)),
    "check": lambda word: replace(EMPTY, rejected_by_check=((word, 1),)),
    "role": lambda word: replace(EMPTY, roles=((word, 1),)),
    "role of the funnel": lambda word: replace(EMPTY, roles=((word, 1),), funnel=(("found", 2), ("new", 1))),
    "stage": lambda word: replace(EMPTY, funnel=((word, 2), ("new", 1))),
    "tag": lambda word: replace(EMPTY, tags=((word, 1),)),
    "label": lambda word: replace(EMPTY, labels=((word, (("train", 1),)),)),
    "role of a label": lambda word: replace(EMPTY, labels=(("cat", ((word, 1),)),)),
    "work": lambda word: replace(EMPTY, work=((word, 1.0),)),
    "waiting name": lambda word: replace(EMPTY, waiting=((word, "why"),)),
    "waiting why": lambda word: replace(EMPTY, waiting=(("name", word),)),
    "picture name": lambda word: kept(replace(KEPT, name=word)),
    "picture name, no preview": lambda word: kept(replace(KEPT, name=word, thumbnail=None)),
    "picture sha256": lambda word: kept(replace(KEPT, sha256=word)),
    "picture source": lambda word: kept(replace(KEPT, source_ref=word)),
    "picture role": lambda word: kept(replace(KEPT, role=word)),
    "picture caption": lambda word: kept(replace(KEPT, caption=word)),
    "picture tag": lambda word: kept(replace(KEPT, caption=None, tags=((word, 0.5),))),
    "picture fifth tag": lambda word: kept(replace(KEPT, tags=(*KEPT.tags[:4], (word, 0.1)))),
    "picture label": lambda word: kept(replace(KEPT, label=word)),
    "rejection check": lambda word: rejected(replace(WHY, check=word)),
    "rejection reason": lambda word: rejected(replace(WHY, reason=word)),
    "rejection step": lambda word: rejected(replace(WHY, step=word)),
    "rejection kept": lambda word: rejected(replace(WHY, kept=word)),
    "rejection tier": lambda word: rejected(replace(WHY, apart=Apart(word, 3, 31))),
    "rejection because": lambda word: rejected(replace(WHY, because=word)),
    "reason behind the because": lambda word: rejected(replace(WHY, because="it is sharper", reason=word)),
    "another name": lambda word: kept(replace(KEPT, also=(word,))),
    "tier of a likeness": lambda word: likeness(replace(PAIR, apart=Apart(word, 0.07, 0.1))),
    "class of a conflict": lambda word: replace(EMPTY, conflicts=(Alike((KEPT,), classes=(word, "normal")),)),
    "other dataset": lambda word: replace(EMPTY, foreign=(Alike((KEPT,), other=word),)),
    "promise": lambda word: replace(EMPTY, promises=(word,)),
    "person's tag": lambda word: kept(replace(KEPT, tags=((word, 1.0),), people=frozenset({word}))),
    "rating": lambda word: kept(replace(KEPT, rating=(word, 0.5))),
    "box": lambda word: kept(replace(KEPT, boxes=(Box(word, 0.1, 0.1, 0.5, 0.5),))),
    "member": lambda word: reworded(replace(TAG_LISTS, member=word)),
    "tag before": lambda word: reworded(replace(TAG_LISTS, before=("cat", word))),
    "tag after": lambda word: reworded(replace(TAG_LISTS, after=("cat", word))),
    "tag on both sides": lambda word: reworded(replace(TAG_LISTS, before=("cat", word), after=("dog", word))),
    "prose before": lambda word: reworded(replace(CAPTIONS, before=word)),
    "prose after": lambda word: reworded(replace(CAPTIONS, after=word)),
    "new caption": lambda word: reworded(Rewording("caption", None, f"There is a {word} on a mat.")),
    "who before": lambda word: reworded(replace(CAPTIONS, before_by=word)),
    "who after": lambda word: reworded(replace(CAPTIONS, after_by=word)),
    "counted member": lambda word: replace(EMPTY, rewordings=replace(REWORDINGS, members=((word, 1, 2, 3),))),
    "tag that came": lambda word: replace(EMPTY, rewordings=replace(REWORDINGS, came=((word, 3),))),
    "tag that went": lambda word: replace(EMPTY, rewordings=replace(REWORDINGS, went=((word, 3),))),
    "tag of the matrix": lambda word: tag_numbers(matrix=TagMatrix((word, "cat"), ((3, 1), (1, 2)))),
    "tag of a pair": lambda word: tag_numbers(pairs_by_lift=(TagPair("cat", word, 3, 2.0),)),
    "spelling": lambda word: tag_numbers(near=(NearTags("plural", ((word, 3), ("cat", 1))),)),
    "contradiction": lambda word: tag_numbers(conflicts=(Conflict("hair", ("cat", word), Affected()),)),
    "image that contradicts": lambda word: tag_numbers(conflicts=(Conflict("hair", ("a",), Affected(1, (word,))),)),
    "tag on all": lambda word: tag_numbers(always=(replace(TAG_NUMBERS.always[0], tag=word),)),
    "rare tag": lambda word: tag_numbers(rare=(replace(TAG_NUMBERS.rare[0], tag=word),)),
    "limit": lambda word: caption_numbers(limits=(replace(SDXL, name=word),)),
    "encoder": lambda word: caption_numbers(limits=(replace(SDXL, encoder=word),)),
    "image that is cut": lambda word: caption_numbers(limits=(replace(SDXL, cut=Affected(1, (word,))),)),
    "finding": lambda word: caption_numbers(findings=(replace(FINDING, reason=word),)),
    "rule": lambda word: caption_numbers(findings=(replace(FINDING, rule=word),)),
    "detail of a finding": lambda word: caption_numbers(findings=(replace(FINDING, details=((word, 2),)),)),
    "image of a finding": lambda word: caption_numbers(findings=(replace(FINDING, affected=Affected(1, (word,))),)),
    "rule of consistency": lambda word: caption_numbers(consistency=Consistency(0.5, (Part(word, 2, 0.5),))),
    "trigger": lambda word: caption_numbers(triggers=(replace(CAPTION_NUMBERS.triggers[1], trigger=word),)),
    "profile": lambda word: coverage(profile=word),
    "model of scores": lambda word: coverage(model=word),
    "why of coverage": lambda word: coverage(reason=word),
    "how many": lambda word: coverage(size=replace(COVERAGE.size, reason=word)),
    "to take out": lambda word: coverage(remove=((word, Affected(1, ("a.jpg",))),)),
    "axis": lambda word: coverage(axes=(replace(AXIS, name=word),)),
    "unknown axis": lambda word: coverage(axes=(AXIS, replace(AXIS, name=word, known=False))),
    "value of an axis": lambda word: coverage(axes=(replace(AXIS, values=(replace(AXIS.values[1], value=word),)),)),
    "excess": lambda word: coverage(axes=(replace(AXIS, excess=(replace(AXIS.excess[0], value=word),)),)),
    "note of an axis": lambda word: coverage(axes=(replace(AXIS, notes=(word,)),)),
    "stray": lambda word: coverage(axes=(replace(AXIS, strays=Affected(1, (word,))),)),
    "value of a cross": lambda word: coverage(crosses=(replace(COVERAGE.crosses[0], rows=(word, "b", "c")),)),
    "axis of a cross": lambda word: coverage(crosses=(replace(COVERAGE.crosses[0], first=word),)),
    "outlier": lambda word: coverage(looks=replace(LOOKS, outliers=(Outlier(word, 0.5),))),
    "shot": lambda word: coverage(next_shots=(Shot(word, None, None, 0, 1),)),
    "split heading": lambda word: replace(EMPTY, split=((word, ("1",)),)),
    "split sentence": lambda word: replace(EMPTY, split=(("Labels", (word,)),)),
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_text_of_every_field_is_shown_as_it_is_and_never_read_as_markup(field: str, attack: str) -> None:
    page, calm = Page(render(FIELDS[field](attack))), Page(render(FIELDS[field]("word")))
    assert page.shape == calm.shape
    assert page.scripts == calm.scripts
    assert page.styles == calm.styles
    assert " ".join(attack.split()) in page.text


@pytest.mark.parametrize("field", FIELDS)
def test_characters_that_cannot_be_shown_are_replaced(field: str) -> None:
    page = render(FIELDS[field]("a\x00b\x1bc\udcffd\u202egnp.exe")).decode()
    assert "a\ufffdb\ufffdc\ufffdd\ufffdgnp.exe" in page


def test_the_page_loads_nothing_from_anywhere() -> None:
    page = Page(render(RICH))
    for tag, attributes in page.elements:
        for name in attributes.keys() & {"src", "href", "srcset", "action", "poster", "data", "xlink:href"}:
            assert attributes[name].startswith(("data:", "#")), (tag, name)
        assert tag not in {"iframe", "object", "embed", "base", "form"}
        assert not [name for name in attributes if name.startswith("on")], tag
        assert not [value for value in attributes.values() if re.search("https?:", value)], tag
    assert not re.search(r"url\(|@import|https?:", "".join(page.styles + page.scripts))
    assert not re.search(r"\b(fetch|XMLHttpRequest|eval|innerHTML|WebSocket)\b", "".join(page.scripts))


def test_the_policy_admits_exactly_the_one_script() -> None:
    page = Page(render(RICH))
    policies = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256("".join(page.scripts).encode()).digest()).decode()
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert len(policies) == 1
    assert policies[0].startswith(
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )


def test_the_policy_stands_before_everything_it_governs() -> None:
    names = [tag for tag, _ in Page(render(RICH)).elements]
    assert names[:4] == ["html", "head", "meta", "meta"]


def test_equal_reports_give_equal_bytes() -> None:
    assert render(RICH) == render(replace(RICH))


def test_every_section_of_a_rich_report_is_there_and_reachable() -> None:
    page = Page(render(RICH))
    figures = ["funnel", "checks", "roles", "distances", "tags", "sizes", "split"]
    figures += ["per-image", "lengths", "together", "triggers", "caption-findings", "tag-findings", "coverage"]
    wanted = [*figures, "texts", "kept", "duplicates", "rejected", "waiting", "work", "recipe"]
    assert [key for key in page.ids if key in wanted] == wanted
    links = {attributes["href"][1:] for _, attributes in page.elements if attributes.get("href", "").startswith("#")}
    assert set(wanted) <= links <= set(page.ids)


def test_no_id_occurs_twice() -> None:
    ids = Page(render(RICH)).ids
    assert len(ids) == len(set(ids))


def test_a_report_of_nothing_shows_its_head_and_no_section() -> None:
    page = Page(render(EMPTY))
    assert not [tag for tag, _ in page.elements if tag in {"section", "table", "svg", "nav", "input"}]
    assert "cats" in page.text
    assert "none committed" in page.text


@pytest.mark.parametrize(
    "shown",
    [
        "2026-03-05 14:03:09 UTC",
        "found 1,412",
        "new 1,204",
        "1,194 −10",
        "34 55.7 %",
        "1 of 1,025 pictures",
        "1 of 61 pictures",
        "Dropped for a better one 1 of 84: the most doubtful first",
        "Label conflicts 1: people put copies into different classes",
        "The 30 most frequent of 40.",
        "within 31 bits",
        "451 × 300",
        "tabby 0.93",
        "duplicate copy 12 of 31 bits",
        "the other is kept because it holds more real pixels",
        "variant agreement 0.95 (0.9 or more)",
        "semantic cosine 0.93 (0.9 or more)",
        "Kept both tabby 0.93",
        "Dropped, 1,202",
        "and 1,200 more",
        "anomaly or normal?",
        "s3://bucket/datasets/eval@12 copy 3 of 31 bits",
        "also again.png",
        "12 of 12 sampled pairs found",
        "Leaks near copies: 1,204 images compared, no two alike",
        "Images in each fold 4, 4, 3",
        "the shorter side is 133 px; 256 px are needed",
        "images read 1,204",
        "seconds 41.38",
        "share reused 0.125",
    ],
)
def test_numbers_are_shown_as_given(shown: str) -> None:
    loose = re.sub("<[^>]+>", " ", render(RICH).decode())
    assert shown in " ".join(loose.split())


def test_every_picture_has_a_text_and_opens_without_a_script() -> None:
    page = Page(render(RICH))
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    assert [picture["alt"] for picture in pictures] == ["boxed.png", "chelsea.png"] + [
        f"{name}: a tabby cat"
        for name in (
            *("chelsea.png", "chelsea.png", "mirrored.png", "known.jpg", "chelsea.png", "copy.jpg", "crop.jpg"),
            *("chelsea.png", "mirrored.png", "small.png"),
        )
    ]
    for picture in pictures:
        assert base64.b64decode(picture["src"].removeprefix("data:image/jpeg;base64,")) == KEPT.thumbnail
    thumbs = [attributes["href"][1:] for tag, attributes in page.elements if attributes.get("class") == "thumb"]
    assert len(thumbs) == len(pictures)
    assert set(thumbs) <= set(page.ids)


def test_a_picture_without_a_preview_keeps_its_place() -> None:
    page = Page(render(kept(replace(KEPT, thumbnail=None, width=None, height=None, caption=None, tags=(), label=None))))
    assert "no preview" in page.text
    assert "chelsea.png" in page.text


def test_charts_that_are_drawn_say_what_they_show() -> None:
    drawn = [attributes for tag, attributes in Page(render(RICH)).elements if attributes.get("role") == "img"]
    assert [attributes["aria-label"] for attributes in drawn] == [
        "Hamming distances of 5 pairs, from 0 to 31 bits of 256; those within 31 count as duplicates",
        "Width against height of 4 pictures: widths 451 to 4,032, heights 300 to 3,024 pixels",
        "Tags per image of 62 images: 0 to 19",
        "CLIP tokens of 61 training texts: 12 to 231, half of them up to 48",
        "How often the 20 most frequent tags stand together",
        "view against framing",
        "2 boxes: cat, bowl, and 3 more",
    ]


def test_what_is_alike_is_told_findings_first() -> None:
    ids = Page(render(RICH)).ids
    parts = ["conflict", "foreign", "copies", "both"]
    assert [key for key in ids if key in parts] == parts
    assert ids.index("duplicates") < ids.index("conflict")


def test_a_check_leads_to_where_its_pictures_are() -> None:
    checks = (("duplicate", 1), ("contamination", 1), ("min_side", 1), ("truncated", 1))
    page = Page(render(replace(RICH, rejected_by_check=checks)))
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    at = links.index("#copies")
    assert links[at : at + 3] == ["#copies", "#foreign", "#check-2"]
    assert "#check-3" not in links
    assert {"copies", "foreign", "check-2"} <= set(page.ids)


def test_a_search_that_found_nothing_still_says_what_it_promises() -> None:
    page = Page(render(replace(EMPTY, promises=("copy: every pair was compared",))))
    assert "No picture was found to be like another one." in page.text
    assert "copy: every pair was compared" in page.text


def test_a_bar_is_as_full_as_the_pair_is_doubtful() -> None:
    def width(apart: Apart) -> str:
        drawn = render(replace(EMPTY, likenesses=(Alike((KEPT, MIRRORED), apart=apart),))).decode()
        found = re.search(r'<div class="near">.*?<rect class="(c-\w+)" x="0.000%" width="([0-9.]+)%"', drawn)
        assert found is not None
        return f"{found[1]} {found[2]}"

    assert width(Apart("copy", 31, 31)) == "c-duplicate 100.000"
    assert width(Apart("variant", 0.05, 0.1)) == "c-duplicate 50.000"
    assert width(Apart("pixels", 0, 0)) == "c-lost 100.000"
    assert width(Apart("copy", 99, 31)) == "c-duplicate 100.000"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (None, "–"),
        (True, "yes"),
        (1204, "1,204"),
        (0.25, "0.25"),
        ([], "none"),
        ({}, "none"),
        ("", "none"),
        ([4, 4, None], "4, 4, –"),
        ({"train": {"cat": 5}, "test": []}, "train cat 5, test none"),
        ([[[{"a": [1, {"b": False}]}]]], "a 1, b no"),
        ("x" * 1000, "x" * 399 + "…"),
        (["ab" * 32, "ab" * 33], "abababababab, " + "ab" * 33),
    ],
)
def test_a_value_of_any_shape_can_be_told(said: object, words: str) -> None:
    assert value(said) == words


def test_counts_stand_in_where_no_funnel_is_given() -> None:
    assert "−208" in Page(render(replace(RICH, funnel=()))).text


@pytest.mark.parametrize("sizes", [((1, 1),), ((0, 0),), ((32, 20000), (20000, 32)), ((512, 512),) * 5000])
def test_any_sizes_can_be_drawn(sizes: tuple[tuple[int, int], ...]) -> None:
    assert "nan" not in scatter(sizes)
    assert sum(count for _, count in short_sides(sizes)) == sum(count for _, count in shapes(sizes)) == len(sizes)


@pytest.mark.parametrize(("values", "within"), [((0,), None), ((0, 256), 31), ((5,), 0), ((90,) * 3, 200)])
def test_any_distances_can_be_drawn(values: tuple[int, ...], within: int | None) -> None:
    drawn = distances(values, within)
    assert ('class="limit"' in drawn) == (within is not None)
    assert sum(int(n) for n in re.findall(r'<td class="num">(\d+)</td>', drawn)) == len(values)


def test_short_sides_and_shapes_count_where_a_picture_belongs() -> None:
    sizes = ((256, 300), (255, 300), (400, 100), (100, 400), (200, 260), (7000, 6144))
    assert short_sides(sizes)[0] == ("64–127", 2)
    assert ("256–383", 1) in short_sides(sizes)
    assert short_sides(sizes)[-1] == ("6,144 and more", 1)
    assert dict(shapes(sizes)) == {"taller than 1:2": 1, "portrait": 3, "landscape": 1, "wider than 2:1": 1}


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0"), (1204, "1,204"), (1204.0, "1,204"), (41.375, "41.38"), (0.00123, "0.00123"), (float("nan"), "–")],
)
def test_numbers_are_written_for_people(value: float, written: str) -> None:
    assert number(value) == written


def test_a_share_never_rounds_something_to_nothing_or_less_to_all() -> None:
    assert [share(1, 100_000), share(99_999, 100_000), share(1, 4), share(0, 0)] == [
        "< 0.1 %",
        "> 99.9 %",
        "25.0 %",
        "0.0 %",
    ]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_shapes_stand_out_as_wcag_asks(theme: dict[str, str]) -> None:
    for ground in ("gone", "come"):
        assert contrast(theme["ink"], theme[ground]) >= 4.5, ground
    for words in ("ink", "soft", "link"):
        for ground in ("page", "panel", "well"):
            assert contrast(theme[words], theme[ground]) >= 4.5, (words, ground)
    for shape in ("kept", "train", "validation", "test", "unsplit", "rejected", "duplicate"):
        assert contrast(theme[shape], theme["panel"]) >= 3, shape
