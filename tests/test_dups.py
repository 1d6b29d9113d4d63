"""What is alike: groups read back from a version, told by `imageyard dups`, and shown in the report."""

import io
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image, ImageOps

import pictures
from command_line import invoke
from imageyard.manifests import Dataset, Sample
from imageyard.manifests.errors import VersionError
from imageyard.manifests.version import Role, Version
from imageyard.ray_jobs.duplicates import duplicates, gathered
from imageyard.ray_jobs.likeness import Apart, Duplicates, Group
from imageyard.ray_jobs.report_text import promises
from imageyard.ray_jobs.summary import report_of
from imageyard.ray_jobs.work import Tally
from jobs import drop, go, recipe, roles

HOSTILE = "cats/[red]<b>copy</b>[/red].jpg"
POSING = "cats/a\u202egpj.exe.jpg"
SHOWN_POSING = "cats/a\ufffdgpj.exe.jpg"
CONFLICTS = [{"anomaly/moto.jpg", "normal/moto.jpg", "normal/moto2.jpg"}, {"anomaly/same.jpg"}]
OTHERS = [
    {"astronaut.png", "left.jpg", "right.jpg"},
    {"chelsea.png", HOSTILE, POSING},
    {"coffee.png", "mirrored.jpg"},
    {"scene.png", "crop.jpg"},
    {"burst.png", *(f"burst{number}.jpg" for number in range(13))},
]
DROPPED = 19
WITHIN = 20


def photograph(name: str) -> Image.Image:
    return Image.open(io.BytesIO(pictures.bundled(name))).convert("RGB")


def files() -> dict[str, bytes]:
    """A picture saved again, cropped a little and more, mirrored, in folders that disagree, and three others."""
    jpeg, scene = pictures.encoded, pictures.scene(3, (512, 384))
    chelsea, moto, coffee, astronaut = map(
        photograph, ("chelsea.png", "motorcycle_left.png", "coffee.png", "astronaut.png")
    )
    same = pictures.photo(5, (300, 200))
    return {
        **{name: pictures.bundled(name) for name in ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg")},
        HOSTILE: jpeg(chelsea, quality=40),
        POSING: jpeg(chelsea.resize((225, 150)), quality=85),
        "mirrored.jpg": jpeg(ImageOps.mirror(coffee), quality=90),
        "scene.png": jpeg(scene, "PNG"),
        "crop.jpg": jpeg(scene.crop((10, 8, 502, 376)), quality=90),
        "left.jpg": jpeg(astronaut.crop((4, 0, 512, 512)), quality=90),
        "right.jpg": jpeg(astronaut.crop((0, 0, 508, 512)), quality=90),
        "normal/moto.jpg": jpeg(moto, quality=90),
        "normal/moto2.jpg": jpeg(moto, quality=50),
        "anomaly/moto.jpg": jpeg(moto, quality=70),
        "normal/same.jpg": same,
        "anomaly/same.jpg": same,
        "burst.png": pictures.photo(9, (200, 150), "PNG"),
        **{f"burst{number}.jpg": pictures.photo(9, (200, 150), quality=60 + number) for number in range(13)},
        **{f"p{seed}.jpg": pictures.photo(seed + 100, (200, 150)) for seed in range(3)},
    }


@pytest.fixture(scope="module")
def other(models: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A version of another dataset that has a copy of the rocket."""
    dataset = Dataset.open(f"file://{tmp_path_factory.mktemp('eval')}")
    drop(dataset, {"held/rocket.jpg": pictures.encoded(photograph("rocket.jpg"), quality=80)})
    go(dataset, recipe(dataset, "ingest", "dedup"), models)
    return f"{dataset.url}@1"


@pytest.fixture(scope="module")
def dataset(models: Path, other: str, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Version 1 without dedup, version 2 with it."""
    dataset = Dataset.open(f"file://{tmp_path_factory.mktemp('cats')}")
    drop(dataset, files())
    go(dataset, recipe(dataset, "ingest"), models)
    go(dataset, recipe(dataset, "ingest", {"dedup": {"within": WITHIN, "against": [other], "variant": "drop"}}), models)
    return dataset


def dups(dataset: Dataset, *arguments: str) -> Any:
    return invoke("dups", dataset.url, *arguments)


def names(group: Mapping[str, Any]) -> set[str]:
    return {member["image"] for member in group["members"]}


def found(dataset: Dataset) -> Duplicates:
    return duplicates(dataset, dataset.version(2))


def group_of(dataset: Dataset, name: str) -> Group:
    (group,) = (group for group in found(dataset).groups if any(name in member.names for member in group.members))
    return group


def test_groups_are_what_was_dropped_flagged_and_disagreed_on(dataset: Dataset) -> None:
    said = dups(dataset, "--json")
    assert [names(group) for group in said["groups"][:2]] == CONFLICTS
    assert sorted(map(sorted, map(names, said["groups"][2:]))) == sorted(map(sorted, OTHERS))
    assert said["dedup"] is True
    assert said["certificate"]["search"]["copy"]["pairs"] > 0


def test_conflicts_come_first_then_the_most_doubtful_then_the_largest(dataset: Dataset) -> None:
    groups = dups(dataset, "--json")["groups"]
    order = [(not group["label_conflict"], -group["doubt"], -len(group["members"])) for group in groups]
    assert order == sorted(order)
    assert len({doubt for _, doubt, _ in order}) > 3
    for group in groups:
        shares = [m["distance"] / m["threshold"] for m in group["members"] if m.get("threshold")]
        shares += [pair["distance"] / pair["threshold"] for pair in group["alike"]]
        assert group["doubt"] == pytest.approx(max(shares, default=0), abs=1e-4)


def test_a_dropped_image_says_for_which_how_far_and_why(dataset: Dataset) -> None:
    (group,) = (group for group in dups(dataset, "--json")["groups"] if HOSTILE in names(group))
    kept, *dropped = group["members"]
    assert (kept["image"], kept["role"], kept["width"], kept["height"]) == ("chelsea.png", "unsplit", 451, 300)
    assert "kept" not in kept
    for member in dropped:
        lines = dataset.read(dataset.version(2), "rejected")
        (line,) = (sample for sample in lines if sample.key == member["sha256"])
        said = line.value("rejection")
        assert (member["kept"], member["tier"]) == (kept["sha256"], "copy")
        assert (member["distance"], member["threshold"]) == (said["measured"], WITHIN)
        assert member["because"] == "it holds more real pixels"
        assert member["reason"] == said["reason"]


def test_every_tier_is_told_in_its_own_unit(dataset: Dataset) -> None:
    crop = next(member for member in group_of(dataset, "crop.jpg").members if member.dropped)
    assert crop.dropped is not None
    assert crop.dropped.apart.tier == "variant"
    assert re.fullmatch(r"agreement 0\.9\d+ \(0\.95 or more\)", crop.dropped.apart.words)
    (pair,) = group_of(dataset, "mirrored.jpg").alike
    assert pair.apart.tier == "mirrored"
    assert re.fullmatch(rf"\d+ of {WITHIN} bits", pair.apart.words)


def test_likenesses_that_were_only_flagged_are_kept_both(dataset: Dataset) -> None:
    said = dups(dataset, "--tier", "mirrored")
    assert re.search(r"coffee\.png .* mirrored of mirrored\.jpg, \d+ of 20 bits .* kept both", said)
    assert "scene.png" not in said
    kept = [names(group) for group in dups(dataset, "--kept", "--json")["groups"]]
    assert kept == [CONFLICTS[0], {"coffee.png", "mirrored.jpg"}]


def test_images_that_people_put_into_different_classes_are_a_finding(dataset: Dataset) -> None:
    said = dups(dataset)
    assert "⚠ group 1 of 7: label conflict, people say anomaly and normal, 3 images" in said
    assert "⚠ group 2 of 7: label conflict, people say anomaly and normal, 1 image" in said
    assert said.count("kept both: people put them into different classes") == 2
    assert re.search(r"anomaly/same\.jpg .*\n.*normal/same\.jpg", said)  # one file under both names
    assert f"7 groups, {DROPPED} dropped, 2 label conflicts, 1 also in other datasets" in said
    assert dups(dataset, "--json")["label_conflicts"] == 2


def test_names_are_printed_as_they_are_and_obeyed_by_nothing(dataset: Dataset) -> None:
    said = dups(dataset)
    assert HOSTILE in said
    assert SHOWN_POSING in said
    assert POSING not in said


def test_an_image_of_another_dataset_is_named_with_that_dataset(dataset: Dataset, other: str, models: Path) -> None:
    (said,) = dups(dataset, "--json")["in_other_datasets"]
    assert (said["image"], said["in"], said["role"], said["threshold"]) == ("rocket.jpg", other, "rejected", WITHIN)
    assert said["distance"] <= WITHIN
    assert "also in other datasets" in dups(dataset, "--image", "rocket.jpg")


def test_an_image_of_another_dataset_that_is_only_flagged_is_told_too(
    dataset: Dataset, other: str, models: Path, tmp_path: Path
) -> None:
    step = {"dedup": {"against": [other], "contamination": "flag", "variant": "drop"}}
    copy = copied(dataset, tmp_path)
    go(copy, recipe(copy, "ingest", step), models)
    (said,) = dups(copy, "--json", "--kept")["in_other_datasets"]
    assert (said["image"], said["in"], said["role"]) == ("rocket.jpg", other, "unsplit")
    assert len(said["other"]) == 64


def copied(dataset: Dataset, folder: Path, *parts: str) -> Dataset:
    """The dataset, or only those folders of it, at another place."""
    source = Path(dataset.url.removeprefix("file://"))
    for part in parts or [path.name for path in source.iterdir()]:
        shutil.copytree(source / part, folder / part)
    return Dataset.open(f"file://{folder}")


def test_one_image_shows_all_that_was_measured_in_its_group(dataset: Dataset) -> None:
    said = dups(dataset, "--image", "right.jpg", "--json")
    (group,) = said["groups"]
    assert names(group) == {"astronaut.png", "left.jpg", "right.jpg"}
    called = {member["sha256"]: member["image"] for member in group["members"]}
    copies = [pair for pair in group["measured"] if pair["tier"] == "copy"]
    between = {frozenset(called[key] for key in pair["images"]): pair for pair in copies}
    assert len(between) == 3
    codes = {name: pdq(dataset, name) for name in called.values()}
    for pair, told in between.items():
        one, other = pair
        assert told["distance"] == (codes[one] ^ codes[other]).bit_count()
        assert told["counts"] == (told["distance"] <= WITHIN)
    assert between[frozenset({"left.jpg", "right.jpg"})]["counts"] is False  # remembered, though it did not count
    text = dups(dataset, "--image", "right.jpg")
    assert re.search(r"(left|right)\.jpg .* (left|right)\.jpg .* \d+ bits, more than 20 .* no", text)


def pdq(dataset: Dataset, name: str) -> int:
    return int(invoke("explain", dataset.url, name, "--json")["facts"]["hashes"]["pdq"], 16)


def test_an_image_like_no_other_is_said_to_be_so(dataset: Dataset) -> None:
    assert "nothing in version 2 is said to be like p1.jpg" in dups(dataset, "--image", "p1.jpg")
    with pytest.raises(VersionError, match=r"no image 'nobody\.png'"):
        dups(dataset, "--image", "nobody.png")


def test_a_tier_that_does_not_exist_is_refused_with_those_that_do(dataset: Dataset) -> None:
    with pytest.raises(VersionError, match="no tier 'cropped'; tiers are pixels, copy, variant, mirrored, semantic"):
        dups(dataset, "--tier", "cropped")


def test_of_a_large_group_some_are_shown_and_the_others_counted(dataset: Dataset) -> None:
    said = dups(dataset, "--tier", "copy")
    burst = group_of(dataset, "burst.png")
    assert f"… and 2 more; --image {burst.members[0].key[:12]} shows all" in said
    assert len(set(re.findall(r"burst\d+\.jpg", dups(dataset, "--image", "burst.png")))) == 13
    page = dataset.store.get(f"jobs/{dataset.version(2).job}/report.html").decode()
    (large,) = (part for part in page.split('<li class="pair">') if "Dropped, 13" in part)
    assert large.count('<li class="card"') == 1 + 8
    assert "and 5 more" in large


def test_what_an_earlier_version_dropped_is_told_without_the_step_too(
    dataset: Dataset, models: Path, tmp_path: Path
) -> None:
    copy = copied(dataset, tmp_path)
    go(copy, recipe(copy, "ingest"), models)
    said = dups(copy)
    assert "version 3 was made without a dedup step, so nothing was compared for it; what follows was found" in said
    assert re.search(r"crop\.jpg .* variant, agreement", said)
    assert "every pair" not in said


def test_a_limit_says_how_many_there_are(dataset: Dataset) -> None:
    said = dups(dataset, "--limit", "1")
    assert f"7 groups, {DROPPED} dropped, 2 label conflicts" in said
    assert "1 group shown, --limit shows more" in said
    assert "chelsea.png" not in said


def test_a_version_without_a_dedup_step_says_so_in_a_line(dataset: Dataset) -> None:
    (line,) = dups(dataset, "--version", "1").strip().splitlines()
    assert line.startswith("version 1 was made without a dedup step")
    assert "`- dedup: {}`" in line
    said = dups(dataset, "--version", "1", "--json")
    assert (said["dedup"], said["groups"], said["certificate"]) == (False, [], None)


def test_the_list_ends_with_the_certificate_and_how_to_overrule_it(
    dataset: Dataset, models: Path, tmp_path: Path
) -> None:
    said = dups(dataset, "--image", "crop.jpg")
    assert "copy: every pair up to 31 bits was compared (all with all)" in said
    both, instead = (yaml.safe_load(step) for step in re.findall(r"`(dedup: .*?\]\}|dedup: .*?\})`", said))
    for step in (both, instead):
        step["dedup"]["variant"] = "drop"
    copy = copied(dataset, tmp_path)
    assert roles(copy, copy.version(2))["crop.jpg"] == "rejected"
    overruled = roles(copy, go(copy, recipe(copy, "ingest", both), models).version)
    assert (overruled["scene.png"], overruled["crop.jpg"]) == ("unsplit", "unsplit")
    overruled = roles(copy, go(copy, recipe(copy, "ingest", instead), models).version)
    assert (overruled["scene.png"], overruled["crop.jpg"]) == ("rejected", "unsplit")


def test_groups_are_read_from_manifests_alone(dataset: Dataset, tmp_path: Path) -> None:
    assert duplicates(copied(dataset, tmp_path, "versions", "manifests"), dataset.version(2)) == found(dataset)
    assert len(found(dataset).groups) == len(CONFLICTS + OTHERS)


def test_the_report_shows_groups_side_by_side_findings_first(dataset: Dataset, other: str) -> None:
    page = dataset.store.get(f"jobs/{dataset.version(2).job}/report.html").decode()
    assert re.findall(r'class="part (\w+)"', page) == ["conflict", "foreign", "copies", "both"]
    said = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page))
    assert "anomaly or normal?" in said
    assert f"{other} copy" in said
    assert "the other is kept because it holds more real pixels" in said
    assert re.search(r"mirrored \d+ of 20 bits Kept both", said)
    assert "copy: every pair up to 31 bits was compared (all with all)" in said
    assert re.search(r"label conflicts 2 ", said)
    assert "cats/[red]&lt;b&gt;copy&lt;/b&gt;[/red].jpg" in page
    assert "<b>copy" not in page
    assert SHOWN_POSING in page


def test_the_chart_of_distances_has_copies_alone(dataset: Dataset) -> None:
    page = dataset.store.get(f"jobs/{dataset.version(2).job}/report.html").decode()
    copies = [
        member
        for group in found(dataset).groups
        for member in group.dropped
        if member.dropped is not None and member.dropped.apart.tier == "copy"
    ]
    assert 0 < len(copies) < sum(len(group.dropped) for group in found(dataset).groups)
    assert f"Hamming distances of {len(copies)} pairs" in page


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"labels": {"train": {"cat": 1204}, "test": {"cat": 61.5}}, "leaks": None, "note": "<i>none</i>"},
        {"images": 3, "labels": 4, "labels-not-told": "5", "tiers": [6], "pinned-apart": 7, "groups": None, "folds": 8},
        {"a": {"b": {"c": [{"d": [[], {}, None]}]}}, "e": [1, "two", {"three": 3}], "f": True},
    ],
    ids=["nothing", "counts", "shapes", "depths"],
)
def test_the_report_tells_what_the_split_certified_whatever_it_is(dataset: Dataset, said: dict[str, object]) -> None:
    version = dataset.version(2)
    told = version.model_copy(update={"certificates": {**version.certificates, "split": said}})
    page = report_of(dataset, told, Tally(), ()).decode()
    assert ('id="split"' in page) == bool(said)
    if "note" in said:
        assert "cat: train 1,204, test 61.50" in page
        assert "&lt;i&gt;none&lt;/i&gt;" in page


def line(key: str, **pairs: object) -> Sample:
    return Sample.of(f"s3://b/{key}.jpg", **{"content-sha256": key * 64}, **pairs)


def read(version: Version, lines: Mapping[Role, list[Sample]]) -> Duplicates:
    return gathered(version, lambda role: lines.get(role, []))


def test_likenesses_by_meaning_join_no_groups_and_come_last(dataset: Dataset) -> None:
    def like(*others: str) -> list[dict[str, object]]:
        return [{"sha256": other * 64, "tier": "semantic", "distance": 0.1} for other in others]

    dropped = {"step": "dedup", "check": "duplicate", "measured": 1, "threshold": 31, "kept": "a" * 64, "tier": "copy"}
    lines: dict[Role, list[Sample]] = {
        "train": [line("a", alike=like("b")), line("b", alike=like("a", "c")), line("c", alike=like("b"))],
        "rejected": [line("d", rejection=dropped)],
    }
    groups = read(dataset.version(2), lines).groups
    assert ["".join(member.key[0] for member in group.members) for group in groups] == ["ad", "ab", "bc"]


@pytest.mark.parametrize("tier", ["mirrored", "semantic"])
def test_a_likeness_with_an_image_that_is_gone_or_out_is_no_group(dataset: Dataset, tier: str) -> None:
    alike = [{"sha256": other * 64, "tier": tier, "distance": 0.1} for other in "bc"]
    gone = line("b", rejection={"step": "validate", "check": "min_side", "reason": "small"}, alike=alike)
    assert read(dataset.version(2), {"train": [line("a", alike=alike)], "rejected": [gone]}).groups == ()


def test_conflicts_that_the_certificate_counts_and_does_not_name_are_counted(dataset: Dataset) -> None:
    version = dataset.version(2)
    counted: Any = dict(version.certificates["dedup"])
    many = version.model_copy(update={"certificates": {"dedup": counted | {"label_conflicts": 31}}})
    assert duplicates(dataset, many).conflicts == 31
    assert duplicates(dataset, version).conflicts == 2


def test_a_rejection_of_an_older_release_is_read_as_a_copy(dataset: Dataset) -> None:
    said = {"step": "dedup", "check": "duplicate", "reason": "12 bits", "measured": 12, "threshold": 31}
    lines: dict[Role, list[Sample]] = {
        "unsplit": [line("a")],
        "rejected": [line("b", rejection=said | {"kept": "a" * 64})],
    }
    (group,) = read(dataset.version(1), lines).groups
    (member,) = group.dropped
    assert member.dropped is not None
    assert (member.dropped.apart, member.dropped.because) == (Apart("copy", 12, 31), "")


@pytest.mark.parametrize(
    ("apart", "words"),
    [
        (Apart("pixels", 0, 0), "equal pixels"),
        (Apart("copy", 12, 31), "12 of 31 bits"),
        (Apart("mirrored", 4, 31), "4 of 31 bits"),
        (Apart("copy", 24, 10), "24 bits, more than 10"),
        (Apart("variant", 0.0659, 0.1), "agreement 0.9341 (0.9 or more)"),
        (Apart("variant", 0.15, 0.1), "agreement 0.85, less than 0.9"),
        (Apart("semantic", 0.03, 0.1), "cosine 0.97 (0.9 or more)"),
    ],
)
def test_a_distance_is_told_in_the_unit_of_its_tier(apart: Apart, words: str) -> None:
    assert apart.words == words


EXACT = {"mode": "exact", "distance": 31, "exact_to": 33, "recall": {}, "sampled_pairs": 12, "sampled_found": 12}
BANDED = EXACT | {"mode": "banded", "exact_to": 15, "recall": {"16": 0.999, "31": 0.9712}, "sampled_found": 11}


@pytest.mark.parametrize(
    ("tier", "said", "words"),
    [
        ("pixels", {"images": 9}, "pixels: every pair was compared"),
        ("copy", EXACT, "copy: every pair up to 31 bits was compared (exact); 12 of 12 sampled pairs found"),
        (
            "copy",
            BANDED,
            "copy: every pair up to 15 bits was compared (banded), and up to 31 at least 97.1%; 11 of 12 sampled pairs "
            "found",
        ),
        (
            "copy",
            EXACT | {"mode": "all", "sampled_pairs": 0},
            "copy: every pair up to 31 bits was compared (all with all)",
        ),
    ],
)
def test_a_certificate_is_told_in_a_sentence_a_tier(tier: str, said: dict[str, object], words: str) -> None:
    assert promises({"search": {tier: said}}) == (words,)
