"""What a report says of a split: that nothing leaks, what every set has, and what is short, in sentences."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imageyard.manifests import Dataset
from imageyard.ray_jobs.report_split import certified
from jobs import drop, go, recipe
from pictures import photo, recompressed


def words(html: bytes) -> str:
    return " ".join(re.sub("<[^>]+>", " ", html.decode()).split())


def test_a_report_says_how_the_split_held_and_what_is_short(tmp_path: Path, models: Path) -> None:
    dataset = Dataset.open(f"file://{tmp_path}")
    pictures = {f"{('normal', 'anomaly')[n % 3 == 0]}/{n % 4}_{n}.jpg": photo(n, (128, 96)) for n in range(12)}
    drop(dataset, pictures | {"normal/again.jpg": recompressed(photo(1, (128, 96)), 60)})
    split = {"test": 0.25, "folds": 3, "group_by": [r"prefix:(\d)_"], "minimum": {"anomaly": 9}}
    version = go(dataset, recipe(dataset, "ingest", "dedup", {"split": split}), models).version
    assert version is not None
    page = words(dataset.store.get(f"jobs/{version.job}/report.html"))
    for said in (
        "Leaks equal pixels: 12 images compared, no two alike",
        "near copies: 12 images compared, 1 pair alike, none across splits",
        "Labels anomaly-label=anomaly: train 2, validation 0, test 2",
        "anomaly-label=normal: train 6, validation 0, test 2",
        "test: 2 images of anomaly-label=anomaly where its share is 1, 100.0% too many",
        "Too few, too many test has 2 of anomaly-label=anomaly, and at least 9 are asked for",
        r"Groups prefix:(\d)_: 8 groups, the largest of 2 images",
        "Images in each fold",
    ):
        assert said in page, page[page.index("Split What") :][:1500]


PAIR = {"sides": ["train", "test"], "images": ["a", "b"], "distance": 0.0625}


@pytest.mark.parametrize(
    ("certificate", "heading", "sentence"),
    [
        (
            {"tiers": {"semantic": {"compared": 1200, "pairs": 2, "nearest": [PAIR]}}},
            "Leaks",
            "semantic likenesses: 1,200 images compared, 2 pairs alike; nearest across train and test 0.0625 apart",
        ),
        (
            {"pinned-apart": [{"tier": "copy", **PAIR, "distance": 3.0}]},
            "Put apart by people",
            "near copies across train and test 3 apart",
        ),
        ({"not-looked-for": ["variant"]}, "Not looked for", "variants"),
        ({"labels": {"train": {}}, "labels-not-told": 7}, "Labels not told", "7 labels with more images"),
        (
            {"worst": {"test": {"label": "l=cat", "images": 1, "asked": 2.4, "deviation": -0.5833}}},
            "Farthest from what was asked",
            "test: 1 image of l=cat where its share is 2.40, 58.3% too few",
        ),
        (
            {"findings": [{"split": "train", "label": "images", "images": 20_000, "at-most": 16_000}]},
            "Too few, too many",
            "train has 20,000 of images, and at most 16,000 are asked for",
        ),
        (
            {"conflicts": {"quarantined": 2, "demoted": 0}},
            "Conflicts",
            "2 new images kept out of every split",
        ),
        ({"conflicts": {"quarantined": 0, "demoted": 1}}, "Conflicts", "1 image taken out of a split"),
        (
            {"groups": {"folder": {"groups": 3, "largest": 40, "astride": 1}}},
            "Groups",
            "folder: 3 groups, the largest of 40 images; 1 lie on several sides since before the rule",
        ),
        ({"folds": [4, 4, 3]}, "Images in each fold", "4, 4, 3"),
        ({"worst": [1]}, "Farthest from what was asked", "1"),
        ({"of another release": {"a": [1, None]}}, "of another release", "a 1, –"),
    ],
)
def test_what_a_split_certifies_is_said_in_sentences(
    certificate: Mapping[str, Any], heading: str, sentence: str
) -> None:
    assert certified(certificate) == ((heading, (sentence,)),)


def test_what_has_nothing_to_tell_has_no_heading() -> None:
    assert certified({"worst": {}, "findings": [], "conflicts": {"quarantined": 0, "demoted": 0}, "tiers": {}}) == ()
    assert certified({}) == ()


def test_of_many_labels_the_first_are_told_and_how_many_more_there_are() -> None:
    labels = {side: {f"l={n:02}": 1 for n in range(30)} for side in ("train", "test")}
    ((_, sentences),) = certified({"labels": labels})
    assert sentences[0] == "l=00: train 1, test 1"
    assert sentences[12:] == ("and 18 more",)
