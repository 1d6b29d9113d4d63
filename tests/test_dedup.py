"""Dedup: which of several is kept, what it takes over, who may overrule it, and that the audit would notice."""

import hashlib
import io
import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imageyard.manifests import Dataset, Sample, Store
from imageyard.manifests.errors import JobError, RecipeError
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.canonical import decode
from imageyard.ray_jobs.extractors.base import Extractor
from imageyard.ray_jobs.extractors.hashes import Hashes
from imageyard.ray_jobs.extractors.probe import Probe
from imageyard.ray_jobs.matching.base import Look
from imageyard.ray_jobs.matching.index import updated
from imageyard.ray_jobs.state import Rejection, Stamp, State, World
from imageyard.ray_jobs.steps.dedup import Dedup
from imageyard.ray_jobs.steps.merging import merged, unmerged
from jobs import by_name, drop, go, job_events, reason, recipe, roles
from pictures import bundled, encoded, photo, recompressed, scene, upscaled

STAMP = Stamp("imageyard/test", "2026-01-15T09:30:00.000000")
HASHES, PROBE = Hashes(), Probe()
EXTRACTORS: dict[str, Extractor] = {"hashes": HASHES, "probe": PROBE}


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def sample(number: int, label: str | None = None, **members: Any) -> Sample:
    one = Sample.of(f"s3://b/{number}.jpg", **{"content-sha256": key(number), **members})
    if label:
        said = {"class-name": label, "human-annotated": "yes", "type": "groundtruth/image-classification"}
        one = one.with_label("label", 0, said)
    return one


def compared(step: Dedup, rows: Sequence[Mapping[str, Any]]) -> World:
    """A world in which images 0, 1, … have these facts, and the step's matchers have compared them."""
    store = Store.open(f"memory://{uuid.uuid4().hex}")
    keys = [key(number) for number in range(len(rows))]
    blank = {"turned": bytes(224), "gray": bytes(1024), "pdq_quality": 100, "phash": 0, "dhash": 0}
    hashes = {k: {**blank, "pixels": k[:32].encode(), **row} for k, row in zip(keys, rows, strict=True)}
    facts.write(store, HASHES.identity(), HASHES.columns(), hashes)
    sizes = {k: {"width": 100 + n * 7 % 5, "height": 100, "detail": 1.0} for n, k in enumerate(keys)}
    facts.write(store, PROBE.identity(), PROBE.columns(), sizes)

    def table(extractor: str, keys: Sequence[str], columns: Sequence[str]) -> Any:
        return facts.read(store, EXTRACTORS[extractor].identity(), keys, columns)

    indexes = {
        matcher.tier: updated(store, matcher, matcher.identity(EXTRACTORS), (), keys, Look(table, None))
        for matcher in step.matchers()
    }
    return World(store, STAMP, EXTRACTORS, indexes)


def state_of(samples: Sequence[Sample]) -> State:
    by_key = {one.key: one for one in samples}
    keys = sorted(by_key)
    return State(keys, [by_key[k] for k in keys], [None] * len(keys), range(len(keys)))


codes_st = st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 255), max_size=24)), min_size=1, max_size=24)


def codes_of(drawn: Sequence[tuple[int, set[int]]]) -> np.ndarray:
    """256-bit codes, each some bits away from one of four centres: chains and clumps."""
    centres = np.random.default_rng(5).integers(0, 2, (4, 256), dtype=np.uint8)
    rows = []
    for centre, flips in drawn:
        bits = centres[centre].copy()
        bits[list(flips)] ^= 1
        rows.append(np.packbits(bits))
    return np.array(rows, dtype=np.uint8)


def distance(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.unpackbits(one ^ other).sum())


@given(codes_st, st.integers(0, 48), st.data())
@settings(deadline=None, max_examples=60)
def test_every_dropped_image_has_a_kept_witness_and_no_two_kept_are_copies(
    drawn: list[tuple[int, set[int]]], within: int, data: st.DataObject
) -> None:
    codes = codes_of(drawn)
    labels = data.draw(st.lists(st.sampled_from([None, "a", "b"]), min_size=len(codes), max_size=len(codes)))
    step = Dedup(within=within, variant="off", mirrored="off")
    world = compared(step, [{"pdq": code.tobytes()} for code in codes])
    state = step.decide(state_of([sample(n, label) for n, label in enumerate(labels)]), world)
    number = {key(n): n for n in range(len(codes))}
    kept = [state.keys[row] for row in state.standing]
    for k, rejection in zip(state.keys, state.rejections, strict=True):
        if rejection is not None:
            witness = rejection.evidence["kept"]
            apart = distance(codes[number[k]], codes[number[witness]])
            assert witness in kept
            assert rejection.evidence["measured"] == apart <= within
            one, other = labels[number[k]], labels[number[witness]]
            assert one == other or None in (one, other)
    for one, other in itertools.combinations(kept, 2):
        a, b = number[one], number[other]
        differ = labels[a] is not None and labels[b] is not None and labels[a] != labels[b]
        assert differ or distance(codes[a], codes[b]) > within
    certificate = step.certify(state, world)
    assert certificate["dropped"] == certificate["witnessed"] == len(codes) - len(kept)


def test_a_featureless_image_is_nobodys_copy_unless_its_pixels_are_equal() -> None:
    step = Dedup()
    rows = [{"pdq": bytes(32), "pdq_quality": quality} for quality in (0, 49, 49, 49)]
    rows[3]["pixels"] = rows[2]["pixels"] = b"p" * 32
    world = compared(step, rows)
    state = step.decide(state_of([sample(n) for n in range(4)]), world)
    dropped = [said for said in state.rejections if said is not None]
    assert [said.evidence["tier"] for said in dropped] == ["pixels"]
    assert "the same pixels as" in dropped[0].reason


def chain() -> tuple[Dedup, World, State]:
    """Three images in a row, 20 bits from one to the next and 40 from end to end; decided on."""
    step = Dedup(variant="off", mirrored="off")
    bits = np.random.default_rng(1).integers(0, 2, 256).astype(np.uint8)
    rows = []
    for flipped in (0, 20, 40):
        row = bits.copy()
        row[:flipped] ^= 1
        rows.append({"pdq": np.packbits(row).tobytes()})
    world = compared(step, rows)
    return step, world, step.decide(state_of([sample(n) for n in range(3)]), world)


def test_the_audit_notices_a_witness_that_is_not_kept() -> None:
    step, world, state = chain()
    (row,) = [row for row, said in enumerate(state.rejections) if said]
    assert step.certify(state, world)["dropped"] == 1
    witness = state.keys.index(str(state.rejections[row].evidence["kept"]))  # type: ignore[union-attr]
    rejections = list(state.rejections)
    rejections[witness] = Rejection("validate", "min_side", "too small")
    with pytest.raises(JobError, match="not kept"):
        step.certify(replace(state, rejections=rejections), world)


def test_the_audit_notices_two_copies_that_are_kept() -> None:
    step, world, state = chain()
    with pytest.raises(JobError, match="are both kept"):
        step.certify(replace(state, rejections=[None] * 3), world)


def test_the_audit_notices_a_distance_that_is_not_so() -> None:
    step, world, state = chain()
    rejections = [
        said and replace(said, evidence={**said.evidence, "measured": 3, "tier": "copy"}) for said in state.rejections
    ]
    with pytest.raises(JobError, match="20 bits from"):
        step.certify(replace(state, rejections=rejections), world)


STEPS = ({"ingest": {}},)


@pytest.fixture
def dataset() -> Dataset:
    return Dataset.open(f"memory://{uuid.uuid4().hex}")


def cropped(seed: int, share: float) -> bytes:
    image = scene(seed)
    edge = round(share * image.width / 2)
    return encoded(image.crop((edge, edge, image.width - edge, image.height - edge)), quality=80)


def test_tiers_do_what_the_recipe_says(dataset: Dataset, models: Path) -> None:
    mirrored = encoded(scene(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT), quality=90)
    pixels = encoded(scene(4), "PNG")
    again = encoded(scene(4), "PNG", compress_level=1)
    files = {"a.jpg": photo(1), "a60.jpg": recompressed(photo(1)), "b.jpg": photo(2), "b-crop.jpg": cropped(2, 0.05)}
    drop(dataset, {**files, "c.jpg": photo(3), "c-flip.jpg": mirrored, "d.png": pixels, "d2.png": again})
    first = go(dataset, recipe(dataset, *STEPS, {"dedup": {"variant": "drop"}}, {"split": {"test": 0.5}}), models)
    found = by_name(dataset, first.version)
    assert reason(found["a60.jpg"][1]).startswith("duplicate: ")
    assert reason(found["b-crop.jpg"][1]).startswith("variant: ")
    assert {found["d.png"][0], found["d2.png"][0]} & {"rejected"} == {"rejected"}
    one, other = found["c.jpg"], found["c-flip.jpg"]
    assert one[0] == other[0] != "rejected"  # flagged, kept, and in one split
    assert [near["sha256"] for near in one[1].value("alike")] == [other[1].key]
    assert other[1].value("alike")[0]["tier"] == "mirrored"
    second = go(dataset, recipe(dataset, *STEPS, {"dedup": {"variant": "off", "mirrored": "drop"}}), models)
    found = by_name(dataset, second.version)
    assert found["b-crop.jpg"][0] != "rejected"
    (out,) = [sample for sample in (found["c.jpg"][1], found["c-flip.jpg"][1]) if sample.value("rejection")]
    assert reason(out).startswith("mirrored: ")
    assert all(sample.value("alike") is None for _, sample in found.values())


def test_the_kept_one_says_why_and_the_recipe_may_rank_otherwise(dataset: Dataset, models: Path) -> None:
    drop(
        dataset,
        {
            "small.jpg": photo(1, (512, 512)),
            "large.jpg": upscaled(1, (512, 512)),
            "worse.jpg": recompressed(photo(1), 80),
        },
    )
    outcome = go(dataset, recipe(dataset, *STEPS, {"dedup": {}}), models)
    found = by_name(dataset, outcome.version)
    assert found["small.jpg"][0] == "unsplit"
    assert found["large.jpg"][1].value("rejection")["because"] == "pixels"
    assert "kept because it holds more real pixels" in reason(found["large.jpg"][1])
    assert found["worse.jpg"][1].value("rejection")["because"] == "quality"
    turned = go(dataset, recipe(dataset, *STEPS, {"dedup": {"rank": ["-quality"]}}), models)
    assert roles(dataset, turned.version)["worse.jpg"] == "unsplit"


def test_what_a_person_says_wins(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"one.jpg": photo(1), "two.jpg": recompressed(photo(1), 80), "three.jpg": recompressed(photo(1), 40)})
    go(dataset, recipe(dataset, *STEPS, {"dedup": {}}), models)
    said = {"prefer": ["three.jpg"], "keep_both": [["three.jpg", "one.jpg"]]}
    outcome = go(dataset, recipe(dataset, *STEPS, {"dedup": said}), models)
    assert roles(dataset, outcome.version) == {"one.jpg": "unsplit", "two.jpg": "rejected", "three.jpg": "unsplit"}
    assert outcome.tally.read == 0
    with pytest.raises(JobError, match=r"'four\.jpg', which is the name of no image"):
        go(dataset, recipe(dataset, *STEPS, {"dedup": {"prefer": ["four.jpg"]}}), models)


def test_a_caption_of_a_dropped_copy_is_taken_over_and_given_back(dataset: Dataset, models: Path) -> None:
    files = {
        "one.jpg": photo(1),
        "two.jpg": recompressed(photo(1), 60),
        "two.txt": b"a blue hill",
        "cat/x.jpg": photo(2),
    }
    drop(dataset, files)
    first = recipe(dataset, *STEPS, {"dedup": {"rank": ["quality"]}})
    outcome = go(dataset, first, models)
    kept = by_name(dataset, outcome.version)["one.jpg"]
    assert kept[0] == "unsplit"
    assert kept[1].value("caption") == "a blue hill"
    assert kept[1].metadata("caption")["merged-from"] == [by_name(dataset, outcome.version)["two.jpg"][1].key]  # type: ignore[index]
    outcome = go(dataset, recipe(dataset, *STEPS, {"dedup": {"within": 0, "variant": "off"}}), models)
    both = by_name(dataset, outcome.version)
    assert both["one.jpg"][1].value("caption") is None
    assert both["two.jpg"][1].value("caption") == "a blue hill"


classes_st = st.dictionaries(st.integers(0, 5), st.just(1.0), max_size=4)


@given(st.lists(st.tuples(classes_st, st.booleans(), st.text(max_size=5)), min_size=1, max_size=4))
def test_what_is_merged_can_be_taken_back(drawn: list[tuple[dict[int, float], bool, str]]) -> None:
    """Union of people's tags, the longest caption; and without a trace undone."""
    samples = []
    for number, (tags, person, caption) in enumerate(drawn):
        by = {"human-annotated": "yes" if person else "no"}
        names = {
            "class-map": {str(tag): f"t{tag}" for tag in tags},
            "confidence-map": {str(t): s for t, s in tags.items()},
        }
        one = sample(number).with_label(
            "marks", sorted(tags), {"type": "groundtruth/image-classification-multilabel", **names, **by}
        )
        samples.append(one.with_label("caption", caption, {"type": "groundtruth/custom", **by}))
    whole = merged(samples[0], samples[1:], ("caption", "labels", "tags"))
    people = [tags for tags, person, _ in drawn[1:] if person]
    mine = set(drawn[0][0])
    if people:
        assert set(whole.value("marks")) == set().union(*people, mine if drawn[0][1] else set()) or not set().union(
            *people
        )
    else:
        assert whole.line == samples[0].line
    back = unmerged(whole)
    assert back.value("marks") == samples[0].value("marks")
    assert back.metadata("marks") == samples[0].metadata("marks")
    assert back.value("caption") == samples[0].value("caption")


def test_what_is_in_an_evaluation_set_is_removed_or_flagged(dataset: Dataset, models: Path) -> None:
    exam = Dataset.open(f"memory://exam-{uuid.uuid4().hex}")
    drop(exam, {"q.jpg": photo(1), "r.jpg": photo(2)})
    go(exam, recipe(exam, *STEPS, {"dedup": {}}), models)
    drop(dataset, {"same.jpg": photo(1), "copy.jpg": recompressed(photo(2)), "own.jpg": photo(3)})
    url = f"{exam.url}@1"
    outcome = go(dataset, recipe(dataset, *STEPS, {"dedup": {"against": [url]}}), models)
    found = by_name(dataset, outcome.version)
    assert {name: role for name, (role, _) in found.items()} == {
        "same.jpg": "rejected",
        "copy.jpg": "rejected",
        "own.jpg": "unsplit",
    }
    assert reason(found["copy.jpg"][1]).startswith("contamination: ")
    assert found["copy.jpg"][1].value("rejection")["in"] == url
    flagged = go(dataset, recipe(dataset, *STEPS, {"dedup": {"against": [url], "contamination": "flag"}}), models)
    found = by_name(dataset, flagged.version)
    assert found["same.jpg"][0] == "unsplit"
    assert found["same.jpg"][1].value("alike")[0]["in"] == url
    bare = Dataset.open(f"memory://bare-{uuid.uuid4().hex}")
    drop(bare, {"q.jpg": photo(1)})
    go(bare, recipe(bare, *STEPS), models)
    with pytest.raises(JobError, match="1 of its 1 images have no hashes"):
        go(dataset, recipe(dataset, *STEPS, {"dedup": {"against": [f"{bare.url}@1"]}}), models)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"against": ["s3://bucket/eval"]}, "names no version"),
        ({"rank": ["pixels", "-pixels"]}, "rank names pixels twice"),
        ({"rank": ["beauty"]}, "beauty"),
        ({"keep_both": [["a.jpg"]]}, "keep_both"),
        ({"variant": "dorp"}, "dorp"),
    ],
)
def test_a_mistake_in_the_recipe_is_named(dataset: Dataset, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(dataset, *STEPS, {"dedup": parameters})


def test_copies_that_people_put_into_different_classes_are_a_finding(dataset: Dataset, models: Path) -> None:
    drop(
        dataset,
        {
            "normal/a.jpg": photo(1),
            "anomaly/b.jpg": recompressed(photo(1)),
            "normal/c.jpg": photo(2),
            "anomaly/c.jpg": photo(2),
        },
    )
    outcome = go(dataset, recipe(dataset, *STEPS, {"dedup": {}}), models)
    assert outcome.version is not None
    certificate: Any = outcome.version.certificates["dedup"]
    assert certificate["label_conflicts"] == 2
    assert set(roles(dataset, outcome.version).values()) == {"unsplit"}


def test_the_record_of_a_version_says_what_the_search_promises(dataset: Dataset, models: Path) -> None:
    drop(dataset, {f"{seed}.jpg": photo(seed, (128, 128)) for seed in range(6)})
    outcome = go(dataset, recipe(dataset, *STEPS, {"dedup": {"search": "exact"}}), models)
    assert outcome.version is not None
    search: Any = outcome.version.certificates["dedup"]["search"]
    assert search["copy"]["exact_to"] == 31
    assert search["copy"]["mode"] == "exact"
    assert search["copy"]["images"] == 6
    told = [event for event in job_events(dataset, outcome.version.job) if event["kind"] == "compared"]
    assert [event["tier"] for event in told] == ["pixels", "copy", "variant", "mirrored"]
    assert told[1]["searches"][0]["sampled_found"] == told[1]["searches"][0]["sampled_pairs"]


def test_a_drop_is_compared_with_what_is_there_and_only_that(dataset: Dataset, models: Path) -> None:
    """The index grows by a run; its pairs are those of a dataset that took everything in at once."""
    whole = Dataset.open(f"memory://whole-{uuid.uuid4().hex}")
    files = {f"{seed}.jpg": photo(seed, (128, 128)) for seed in range(5)}
    more = {f"{seed}-again.jpg": recompressed(photo(seed, (128, 128)), 80) for seed in range(3)}
    done = recipe(dataset, *STEPS, {"dedup": {}})
    drop(dataset, files)
    go(dataset, done, models)
    drop(dataset, more)
    grown = go(dataset, done, models)
    drop(whole, {**files, **more})
    at_once = go(whole, recipe(whole, *STEPS, {"dedup": {}}), models)
    assert roles(dataset, grown.version) == roles(whole, at_once.version)
    assert grown.version is not None
    (runs,) = {len(runs) for name, runs in grown.version.index.items() if name.startswith("copy")}
    assert runs == 2
    told = [event for event in job_events(dataset, grown.version.job) if event["kind"] == "compared"]
    assert all(search["fresh"] <= 3 for event in told if event["tier"] == "copy" for search in event["searches"][1:])


def test_likenesses_are_said_and_never_dropped(dataset: Dataset, models: Path) -> None:
    drop(
        dataset,
        {"coffee.png": bundled("coffee.png"), "cat.png": bundled("chelsea.png"), "crop.jpg": crop_of("chelsea.png")},
    )
    said = {"semantic": "efficientnet-lite0-features", "similarity": 0.8, "variant": "off"}
    outcome = go(dataset, recipe(dataset, *STEPS, {"dedup": said}, {"split": {"test": 0.5}}), models)
    found = by_name(dataset, outcome.version)
    assert {role for role, _ in found.values()} <= {"train", "test"}
    (near,) = found["crop.jpg"][1].value("alike")
    assert (near["sha256"], near["tier"]) == (found["cat.png"][1].key, "semantic")
    assert found["coffee.png"][1].value("alike") is None
    again = go(
        dataset, recipe(dataset, *STEPS, {"dedup": {**said, "similarity": 0.999}}, {"split": {"test": 0.5}}), models
    )
    assert again.tally.model_runs == 0
    assert by_name(dataset, again.version)["crop.jpg"][1].value("alike") is None


def crop_of(name: str) -> bytes:
    image = Image.open(io.BytesIO(bundled(name))).convert("RGB")
    return encoded(image.crop((30, 20, image.width - 30, image.height - 20)), quality=80)


def test_a_recipe_without_the_step_leaves_what_was_taken_over_and_lines_do_not_change(
    dataset: Dataset, models: Path
) -> None:
    drop(dataset, {"one.jpg": photo(1), "two.jpg": recompressed(photo(1), 60), "two.txt": b"a blue hill"})
    full = recipe(dataset, *STEPS, {"dedup": {"rank": ["quality"]}}, {"split": {}})
    first = by_name(dataset, go(dataset, full, models).version)["one.jpg"][1]
    assert first.value("caption") == "a blue hill"
    drop(dataset, {"three.jpg": photo(3)})
    second = by_name(dataset, go(dataset, full, models).version)["one.jpg"][1]
    assert second.line == first.line
    drop(dataset, {"four.jpg": photo(4)})
    third = by_name(dataset, go(dataset, recipe(dataset, *STEPS), models).version)
    assert third["one.jpg"][1].value("caption") == "a blue hill"
    assert third["two.jpg"][0] == "rejected"
    drop(dataset, {"one.txt": b"my own words"})
    fourth = go(dataset, recipe(dataset, *STEPS), models)
    assert by_name(dataset, fourth.version)["one.jpg"][1].value("caption") == "my own words"
    assert fourth.waiting == ()


def test_copies_of_two_classes_are_never_both_dropped_for_one_without(dataset: Dataset, models: Path) -> None:
    drop(
        dataset,
        {
            "eval/a.png": photo(1, kind="PNG"),
            "normal/b.jpg": recompressed(photo(1)),
            "anomaly/c.jpg": recompressed(photo(1), 75),
        },
    )
    outcome = go(dataset, recipe(dataset, *STEPS, {"dedup": {}}), models)
    found = by_name(dataset, outcome.version)
    kept = {name for name, (role, _) in found.items() if role != "rejected"}
    assert len(kept) == 2
    classes = {(found[name][1].metadata("anomaly-label") or {})["class-name"] for name in kept}
    assert classes == {"normal", "anomaly"}


@pytest.mark.parametrize("order", [("o.jpg", "m.jpg"), ("m.jpg", "o.jpg"), ()])
def test_a_mirrored_pair_is_as_far_apart_whichever_came_first(
    dataset: Dataset, models: Path, order: tuple[str, ...]
) -> None:
    mirror = encoded(scene(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT), quality=90)
    files = {"o.jpg": photo(3), "m.jpg": mirror}
    done = recipe(dataset, *STEPS, {"dedup": {"variant": "off"}})
    for names in [[name] for name in order] or [list(files)]:
        drop(dataset, {name: files[name] for name in names})
        outcome = go(dataset, done, models)
    one, other = (HASHES.measure(decode(data)) for data in files.values())
    turned = [np.frombuffer(row["turned"], np.uint8).reshape(7, 32) for row in (one, other)]
    upright = [np.frombuffer(row["pdq"], np.uint8) for row in (one, other)]
    nearest = min(int(np.bitwise_count(turned[at] ^ upright[1 - at]).sum(axis=1).min()) for at in (0, 1))
    assert by_name(dataset, outcome.version)["o.jpg"][1].value("alike")[0]["distance"] == nearest


def test_a_tighter_threshold_for_copies_leaves_the_pair_a_variant(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"a.jpg": photo(1), "b.jpg": recompressed(photo(1), 10)})
    go(dataset, recipe(dataset, *STEPS, {"dedup": {"agreement": 0.8}}), models)
    steps = {"dedup": {"within": 0, "agreement": 0.8}}, {"split": {"test": 0.5}}
    outcome = go(dataset, recipe(dataset, *STEPS, *steps), models)
    found = by_name(dataset, outcome.version)
    assert found["a.jpg"][1].value("alike")[0]["tier"] == "variant"
    assert found["a.jpg"][0] == found["b.jpg"][0]
