"""What a person says of an image: a commit of its own, which stands whatever recipe runs after it."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from command_line import invoke
from cuts import FailingStore, PowerCut
from imageyard.manifests import Dataset, Sample, Store, Version
from imageyard.manifests.chunks import Chunks
from imageyard.manifests.diff import diff
from imageyard.manifests.errors import (
    CommitError,
    ImageyardError,
    SampleError,
    StaleError,
    StoreError,
    VersionError,
)
from imageyard.manifests.version import ROLES, Role
from imageyard.ray_jobs import job
from imageyard.ray_jobs.actions import MOST_SAMPLES, Actions
from imageyard.ray_jobs.statistics import statistics
from imageyard.ray_jobs.undoing import undo
from imageyard.ray_jobs.verdicts import Acted, Acting, act
from imageyard.service.cli import app
from jobs import by_name, drop, go, job_events, manifests, newest, reason, recipe, roles
from pictures import corrupt, photo, recompressed

NOW = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)
SHARP = photo(1, (400, 400))
PICTURES = {
    "normal/a.jpg": SHARP,
    "normal/a-again.jpg": recompressed(SHARP),
    "normal/b.jpg": photo(2, (300, 300)),
    "normal/c.jpg": photo(3, (320, 300)),
    "anomaly/d.jpg": photo(4, (300, 340)),
    "anomaly/small.jpg": photo(5, (100, 100)),
    "e.jpg": photo(6, (300, 300)),
    "broken.jpg": corrupt(),
}


def steps(models: Path, **more: Any) -> list[dict[str, Any] | str]:
    return [
        {"ingest": {}},
        {"validate": {"min_side": 200}},
        {"dedup": {"variant": "off", "mirrored": "off"}},
        {"tag": {"model": str(models / "sentinel"), **more}},
        {"split": {"test": 0.25}},
    ]


@pytest.fixture
def dataset(tmp_path: Path, models: Path) -> Dataset:
    made = Dataset.open(f"file://{tmp_path}/cats")
    drop(made, {**PICTURES, "normal/b.txt": b"a cat on a sofa"})
    go(made, recipe(made, *steps(models)), models)
    return made


def at(dataset: Dataset, name: str) -> tuple[str, Sample]:
    return by_name(dataset, newest(dataset))[name]


def said(dataset: Dataset, *actions: dict[str, Any], comment: str | None = None) -> Actions:
    """Actions whose `samples` are names under which images were dropped."""
    keys = {name: sample.key for name, (_, sample) in by_name(dataset, newest(dataset)).items()}
    plain = [{**one, "samples": [keys.get(name, name) for name in one["samples"]]} for one in actions]
    return Actions.model_validate_json(json.dumps({"actions": plain, "comment": comment}))


def done(dataset: Dataset, *actions: dict[str, Any], comment: str | None = None, **more: Any) -> Acted:
    acting = Acting(by="lab/anna", clock=lambda: NOW, chunks=Chunks())
    return act(dataset, said(dataset, *actions, comment=comment), acting, **more)


def again(dataset: Dataset, models: Path, **more: Any) -> None:
    """The recipe runs once more, and once more with another threshold, and one without most of its steps."""
    go(dataset, recipe(dataset, *steps(models, **more)), models)
    go(dataset, recipe(dataset, *steps(models, threshold=0.9)), models)
    go(dataset, recipe(dataset, {"ingest": {}}, {"split": {"test": 0.5, "salt": "other"}}), models)
    go(dataset, recipe(dataset, *steps(models)), models)


def test_a_restored_image_stands_and_no_run_rejects_it_again(dataset: Dataset, models: Path) -> None:
    before = newest(dataset)
    assert roles(dataset, before)["anomaly/small.jpg"] == "rejected"
    acted = done(dataset, {"action": "restore", "samples": ["anomaly/small.jpg"]}, comment="the only one of its kind")
    assert acted.version.number == before.number + 1
    role, sample = at(dataset, "anomaly/small.jpg")
    assert role == "unsplit"
    assert sample.value("rejection") is None
    told = sample.metadata("verdict")
    assert told is not None
    assert (sample.value("verdict"), told["by"], told["comment"]) == ("keep", "lab/anna", "the only one of its kind")
    assert (told["human-annotated"], told["type"]) == ("yes", "groundtruth/custom")
    assert told["creation-date"] == "2026-02-01T12:00:00.000000"
    assert told["overrules"]["check"] == "min_side"
    again(dataset, models)
    role, sample = at(dataset, "anomaly/small.jpg")
    assert role in ("train", "test")
    assert sample.value("tags") is not None
    assert sample.value("verdict") == "keep"


def test_a_restored_copy_stands_beside_the_better_one(dataset: Dataset, models: Path) -> None:
    assert reason(at(dataset, "normal/a-again.jpg")[1]).startswith("duplicate:")
    done(dataset, {"action": "restore", "samples": ["normal/a-again.jpg"]})
    again(dataset, models)
    both = [at(dataset, name)[0] for name in ("normal/a.jpg", "normal/a-again.jpg")]
    assert "rejected" not in both
    assert both[0] == both[1], "copies are on one side of the split"


def test_the_witness_of_a_restored_copy_is_not_dropped_for_it(dataset: Dataset, models: Path) -> None:
    """The restored one has a person's word, and words rank before pixels: it must not push the better picture out."""
    done(
        dataset,
        {"action": "restore", "samples": ["normal/a-again.jpg"]},
        {"action": "caption", "samples": ["normal/a-again.jpg"], "text": "the one with the caption"},
    )
    go(dataset, recipe(dataset, {"ingest": {}}, {"dedup": {"rank": ["pixels", "quality"]}}), models)
    assert at(dataset, "normal/a.jpg")[0] != "rejected"
    assert at(dataset, "normal/a-again.jpg")[0] != "rejected"


def test_two_restored_copies_both_stand(dataset: Dataset, models: Path) -> None:
    done(dataset, {"action": "restore", "samples": ["normal/a-again.jpg", "normal/a.jpg"]})
    again(dataset, models)
    assert "rejected" not in {at(dataset, "normal/a.jpg")[0], at(dataset, "normal/a-again.jpg")[0]}


def test_what_cannot_be_read_cannot_be_restored(dataset: Dataset) -> None:
    before = newest(dataset)
    jobs = job.ids(dataset.store)
    with pytest.raises(SampleError, match=r"broken\.jpg .* cannot be restored, for it cannot be read"):
        done(dataset, {"action": "restore", "samples": ["normal/a-again.jpg", "broken.jpg"]})
    assert newest(dataset) == before
    assert job.ids(dataset.store) == jobs


def test_a_restored_image_that_is_lost_is_rejected_all_the_same(dataset: Dataset, models: Path) -> None:
    done(dataset, {"action": "restore", "samples": ["anomaly/small.jpg"]})
    _, sample = at(dataset, "anomaly/small.jpg")
    key = dataset.store.key_of(sample.source_ref)
    assert key is not None
    dataset.store.remove(dataset.store.head(key))
    done_steps: list[dict[str, Any] | str] = [{"ingest": {"thumbnail": 64}}, {"dedup": {}}, {"split": {}}]
    for entry in list(dataset.store.list("facts")):
        dataset.store.remove(entry)
    go(dataset, recipe(dataset, *done_steps), models)
    assert reason(at(dataset, "anomaly/small.jpg")[1]).startswith("missing:")
    go(dataset, recipe(dataset, {"split": {"test": 1}}), models)
    assert at(dataset, "anomaly/small.jpg")[0] == "rejected"


def test_a_rejected_image_stays_rejected_with_the_persons_reason(dataset: Dataset, models: Path) -> None:
    done(dataset, {"action": "reject", "samples": ["normal/c.jpg"], "reason": "a finger before the lens"})
    for _ in range(2):
        role, sample = at(dataset, "normal/c.jpg")
        assert role == "rejected"
        assert sample.value("rejection") == {"step": "person", "check": "person", "reason": "a finger before the lens"}
        assert newest(dataset).counts["rejected-person"] == 1
        again(dataset, models)
    drop(dataset, {"another/name.jpg": PICTURES["normal/c.jpg"]})
    go(dataset, recipe(dataset, *steps(models)), models)
    assert at(dataset, "another/name.jpg")[0] == "rejected"


def test_a_rejected_image_can_be_restored_and_the_other_way_round(dataset: Dataset, models: Path) -> None:
    done(dataset, {"action": "reject", "samples": ["normal/c.jpg"], "reason": "no"})
    done(dataset, {"action": "restore", "samples": ["normal/c.jpg"]})
    again(dataset, models)
    assert at(dataset, "normal/c.jpg")[0] in ("train", "test")
    done(dataset, {"action": "reject", "samples": ["normal/c.jpg"], "reason": "after all"})
    again(dataset, models)
    assert reason(at(dataset, "normal/c.jpg")[1]) == "person: after all"


@pytest.mark.parametrize("to", ["train", "validation", "test", "unsplit"])
def test_a_split_that_a_person_says_stays(dataset: Dataset, models: Path, to: str) -> None:
    done(dataset, {"action": "split", "samples": ["normal/b.jpg", "e.jpg"], "to": to})
    assert {at(dataset, name)[0] for name in ("normal/b.jpg", "e.jpg")} == {to}
    again(dataset, models)
    assert {at(dataset, name)[0] for name in ("normal/b.jpg", "e.jpg")} == {to}
    metadata = at(dataset, "e.jpg")[1].metadata("split")
    assert metadata is not None
    assert (metadata["human-annotated"], metadata["by"]) == ("yes", "lab/anna")


def test_the_split_of_a_rejected_image_is_remembered(dataset: Dataset, models: Path) -> None:
    done(dataset, {"action": "split", "samples": ["anomaly/small.jpg"], "to": "validation"})
    assert at(dataset, "anomaly/small.jpg")[0] == "rejected"
    done(dataset, {"action": "restore", "samples": ["anomaly/small.jpg"]})
    assert at(dataset, "anomaly/small.jpg")[0] == "validation"
    again(dataset, models)
    assert at(dataset, "anomaly/small.jpg")[0] == "validation"


def test_pins_that_tear_copies_apart_are_told_in_the_certificate(dataset: Dataset, models: Path) -> None:
    done(
        dataset,
        {"action": "restore", "samples": ["normal/a-again.jpg"]},
        {"action": "split", "samples": ["normal/a-again.jpg"], "to": "train"},
        {"action": "split", "samples": ["normal/a.jpg"], "to": "test"},
    )
    go(dataset, recipe(dataset, *steps(models)), models)
    assert (at(dataset, "normal/a.jpg")[0], at(dataset, "normal/a-again.jpg")[0]) == ("test", "train")
    told: Any = newest(dataset).certificates["split"]["pinned-apart"]
    assert [one["tier"] for one in told] == ["copy"]
    keys = {at(dataset, name)[1].key for name in ("normal/a.jpg", "normal/a-again.jpg")}
    assert set(told[0]["images"]) == keys


def test_a_class_and_a_caption_of_a_person_are_never_written_over(dataset: Dataset, models: Path) -> None:
    done(
        dataset,
        {"action": "label", "samples": ["e.jpg", "normal/c.jpg"], "attribute": "anomaly-label", "class": "anomaly"},
        {"action": "caption", "samples": ["normal/b.jpg", "e.jpg"], "text": "a dog, asleep"},
    )
    again(dataset, models)
    drop(dataset, {"normal/b.txt": b"another text by file", "e.txt": b"a late text"})
    outcome = go(dataset, recipe(dataset, *steps(models)), models)
    assert [why for _, why in outcome.waiting] == ["a caption, but the image has the caption of a person"] * 2
    for name in ("e.jpg", "normal/c.jpg"):
        _, sample = at(dataset, name)
        assert (sample.value("anomaly-label"), (sample.metadata("anomaly-label") or {})["class-name"]) == (1, "anomaly")
    for name in ("normal/b.jpg", "e.jpg"):
        _, sample = at(dataset, name)
        metadata = sample.metadata("caption")
        assert metadata is not None
        assert (sample.value("caption"), metadata["human-annotated"]) == ("a dog, asleep", "yes")


@pytest.mark.server
def test_a_caption_file_that_comes_again_is_known_though_a_person_has_replaced_its_text(
    bucket: str, models: Path
) -> None:
    dataset = Dataset.open(f"s3://{bucket}/cats")
    only: list[dict[str, Any] | str] = [{"ingest": {}}]
    drop(dataset, {"b.jpg": PICTURES["normal/b.jpg"], "b.txt": b"a cat on a sofa"})
    go(dataset, recipe(dataset, *only), models)
    done(dataset, {"action": "caption", "samples": ["b.jpg"], "text": "a dog"})
    done(dataset, {"action": "caption", "samples": ["b.jpg"], "text": "a dog, asleep"})
    go(dataset, recipe(dataset, *only), models)
    drop(dataset, {"b.txt": b"a cat on a sofa"})
    outcome = go(dataset, recipe(dataset, *only), models)
    assert outcome.waiting == ()
    assert at(dataset, "b.jpg")[1].value("caption") == "a dog, asleep"


def test_classes_are_those_that_the_dataset_has_or_are_said_to_be_new(dataset: Dataset) -> None:
    label = {"action": "label", "attribute": "quality", "samples": ["e.jpg"]}
    with pytest.raises(SampleError, match=r"quality has no class 'good' \(it has none yet\); say that it is new"):
        done(dataset, {**label, "class": "good"})
    done(dataset, {**label, "class": "good", "new": True})
    done(dataset, {**label, "class": "bad", "new": True, "samples": ["normal/b.jpg"]})
    done(dataset, {**label, "class": "good", "samples": ["normal/c.jpg"]})
    assert [at(dataset, name)[1].value("quality") for name in ("e.jpg", "normal/b.jpg", "normal/c.jpg")] == [0, 1, 0]
    with pytest.raises(SampleError, match="it has bad, good"):
        done(dataset, {**label, "class": "goood"})
    with pytest.raises(SampleError, match="has the classes normal and anomaly, not 'odd'"):
        done(dataset, {**label, "attribute": "anomaly-label", "class": "odd", "new": True})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"action": "reject", "reason": " "}, "is empty"),
    ({"action": "reject", "reason": "x" * 501}, "at most 500"),
    ({"action": "reject", "reason": "two\nlines"}, "several lines"),
    ({"action": "reject", "reason": "\x1b[31m"}, "U+001B"),
    ({"action": "reject"}, "Field required"),
    ({"action": "restore", "reason": "x"}, "Extra inputs"),
    ({"action": "delete"}, "'restore', 'reject', 'label', 'caption', 'split'"),
    ({"action": "caption", "text": ""}, "is empty"),
    ({"action": "caption", "text": "x" * 10_001}, "at most 10000"),
    ({"action": "caption", "text": "a\x00b"}, "U+0000"),
    ({"action": "split", "to": "rejected"}, "'train', 'validation', 'test' or 'unsplit'"),
    ({"action": "split", "to": "../train"}, "'train', 'validation', 'test' or 'unsplit'"),
    ({"action": "label", "attribute": "label", "class": ""}, "is empty"),
    ({"action": "label", "attribute": "label-metadata", "class": "x"}, "no attribute of a class"),
    ({"action": "label", "attribute": "rejection", "class": "x"}, "no attribute of a class"),
    ({"action": "label", "attribute": "source-ref", "class": "x"}, "no attribute of a class"),
    ({"action": "label", "attribute": "a b", "class": "x"}, "pattern"),
]


@pytest.mark.parametrize(("action", "why"), REFUSED)
def test_what_makes_no_sense_is_refused_before_anything_is_read(action: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Actions.model_validate({"actions": [{**action, "samples": ["0" * 64]}]})
    assert why in str(caught.value)


@pytest.mark.parametrize("key", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "../" + "0" * 61, "0" * 63 + "\n"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        Actions.model_validate({"actions": [{"action": "restore", "samples": [key]}]})


def test_no_more_samples_than_one_commit_may_change() -> None:
    keys = [f"{number:064x}" for number in range(MOST_SAMPLES + 1)]
    half = len(keys) // 2
    both = [{"action": "restore", "samples": keys[:half]}, {"action": "restore", "samples": keys[half:]}]
    with pytest.raises(ValidationError, match="1,001 samples; one commit changes at most 1,000"):
        Actions.model_validate({"actions": both})


def test_a_sample_that_is_not_there_is_named_and_nothing_is_committed(dataset: Dataset) -> None:
    before = newest(dataset)
    with pytest.raises(SampleError, match=f"has no sample {'f' * 64}; nothing was committed"):
        done(dataset, {"action": "reject", "samples": ["e.jpg", "f" * 64], "reason": "x"})
    assert newest(dataset) == before


def test_a_dataset_without_a_version_has_nothing_to_speak_of(tmp_path: Path) -> None:
    actions = Actions.model_validate({"actions": [{"action": "restore", "samples": ["0" * 64]}]})
    with pytest.raises(VersionError, match="has no version yet"):
        act(Dataset.open(f"file://{tmp_path}"), actions, Acting("cli", lambda: NOW, Chunks()))


def test_saying_what_is_said_already_commits_nothing(dataset: Dataset) -> None:
    actions = [
        {"action": "reject", "samples": ["e.jpg"], "reason": "dark"},
        {"action": "restore", "samples": ["anomaly/small.jpg"]},
        {"action": "caption", "samples": ["normal/b.jpg"], "text": "a cat"},
        {"action": "label", "samples": ["normal/b.jpg"], "attribute": "anomaly-label", "class": "normal"},
        {"action": "split", "samples": ["normal/c.jpg"], "to": "test"},
    ]
    first = done(dataset, *actions)
    second = done(dataset, *actions)
    assert second == Acted(first.version, ())
    assert len(first.changed) == 4


def test_only_the_newest_version_that_was_seen_is_acted_on(dataset: Dataset) -> None:
    number = newest(dataset).number
    done(dataset, {"action": "reject", "samples": ["e.jpg"], "reason": "x"}, expected=number)
    with pytest.raises(StaleError, match=f"version {number + 1} is the newest, not {number}"):
        done(dataset, {"action": "restore", "samples": ["e.jpg"]}, expected=number)
    assert newest(dataset).number == number + 1


def test_actions_at_once_are_all_committed_one_after_the_other(dataset: Dataset) -> None:
    start = newest(dataset).number
    names = ["normal/a.jpg", "normal/b.jpg", "normal/c.jpg", "anomaly/d.jpg", "e.jpg"]
    actions = [said(dataset, {"action": "reject", "samples": [name], "reason": name}) for name in names]
    found: list[Acted] = []

    def go_on(one: Actions) -> None:
        found.append(act(dataset, one, Acting("lab/anna", lambda: NOW, Chunks())))

    threads = [threading.Thread(target=go_on, args=(one,)) for one in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.version.number for one in found) == list(range(start + 1, start + 1 + len(names)))
    for name in names:
        assert reason(at(dataset, name)[1]) == f"person: {name}"


def test_an_undone_verdict_is_taken_back(dataset: Dataset, models: Path) -> None:
    before = manifests(dataset, newest(dataset))
    done(
        dataset,
        {"action": "reject", "samples": ["e.jpg"], "reason": "x"},
        {"action": "restore", "samples": ["anomaly/small.jpg"]},
        {"action": "split", "samples": ["normal/b.jpg"], "to": "validation"},
    )
    undo(dataset, None, clock=lambda: NOW)
    assert manifests(dataset, newest(dataset)) == before
    again(dataset, models)
    assert roles(dataset, newest(dataset))["anomaly/small.jpg"] == "rejected"
    assert roles(dataset, newest(dataset))["e.jpg"] != "rejected"


def test_a_verdict_stopped_at_any_change_is_said_again_and_no_job_of_it_runs_for_ever(
    tmp_path: Path, models: Path
) -> None:
    def fresh(name: str) -> tuple[Dataset, FailingStore]:
        store = FailingStore(Store.open(f"memory://{name}")._backend, "memory://the-dataset")
        made = Dataset(store)
        drop(made, {"e.jpg": PICTURES["e.jpg"], "small.jpg": PICTURES["anomaly/small.jpg"]})
        go(made, recipe(made, {"ingest": {}}, {"validate": {"min_side": 200}}), models)
        return made, store

    made, store = fresh(f"{tmp_path.name}-undisturbed")
    before, word = store.changes, {"action": "restore", "samples": ["small.jpg"]}
    done(made, word)
    expected = manifests(made, newest(made))
    for at in range(1, store.changes - before + 1):
        made, store = fresh(f"{tmp_path.name}-{at}")
        store.left, store.after = at, bool(at % 2)
        with pytest.raises(PowerCut):
            done(made, word)
        store.left = 10**9
        done(made, word)
        assert manifests(made, newest(made)) == expected, f"stopped at change {at}"
        assert made.numbers() == [1, 2], f"stopped at change {at}"
        assert job.describe(store, newest(made).job).state == "committed", f"stopped at change {at}"
        assert job.describe(store, newest(made).job).version == 2


class LosesReplies(Store):
    """A real store whose answers to what makes a version are lost, and then every answer about versions."""

    away = False

    def create(self, key: str, data: bytes) -> None:
        super().create(key, data)
        if key.startswith("versions/"):
            self.away = True
            raise StoreError("the answer was lost")

    def get(self, key: str, *, etag: str | None = None) -> bytes:
        if self.away and key.startswith("versions/"):
            raise StoreError("away")
        return super().get(key, etag=etag)


@pytest.mark.parametrize("what", ["act", "undo"])
def test_what_was_committed_has_not_failed_though_no_answer_came(dataset: Dataset, models: Path, what: str) -> None:
    if what == "undo":
        done(dataset, {"action": "restore", "samples": ["anomaly/small.jpg"]})
    before = newest(dataset).number
    poor = Dataset(LosesReplies(dataset.store._backend, dataset.url))
    word = said(dataset, {"action": "reject", "samples": ["e.jpg"], "reason": "x"})
    acting = Acting(by="lab/anna", clock=lambda: NOW, chunks=Chunks())
    commits: dict[str, Callable[[], object]] = {
        "act": lambda: act(poor, word, acting),
        "undo": lambda: undo(poor, None, clock=lambda: NOW),
    }
    with pytest.raises(CommitError):
        commits[what]()
    assert newest(dataset).number == before + 1
    assert job.describe(dataset.store, newest(dataset).job).state == "committed"


def test_an_undo_that_another_was_faster_than_is_one_job(dataset: Dataset, models: Path) -> None:
    done(dataset, {"action": "restore", "samples": ["anomaly/small.jpg"]})
    first = dataset.version(1)

    class Late(Dataset):
        late = False

        def read(self, version: Version, role: Role, *, threads: int = 4) -> Iterator[Sample]:
            if not self.late:
                self.late = True
                done(dataset, {"action": "reject", "samples": ["e.jpg"], "reason": "x"})
            return super().read(version, role, threads=threads)

    undone = undo(Late(dataset.store), 1, clock=lambda: NOW)
    assert undone.number == 4
    assert manifests(dataset, undone) == manifests(dataset, first)
    assert {job.describe(dataset.store, name).state for name in job.ids(dataset.store)} == {"committed"}


def test_a_label_reads_no_more_versions_however_many_people_have_made(dataset: Dataset) -> None:
    label = {"action": "label", "attribute": "quality", "samples": ["e.jpg"]}
    for number in range(12):
        done(dataset, {**label, "class": f"class {number}", "new": True})
    looks = Looks(dataset.store._backend, dataset.url)
    word = said(dataset, {**label, "class": "class 3"})
    acted = act(Dataset(looks), word, Acting(by="lab/anna", clock=lambda: NOW, chunks=Chunks()))
    assert sum(key.startswith("versions/") for key in looks.gets) <= 4
    assert at(dataset, "e.jpg")[1].value("quality") == 3
    assert acted.version.number == 14
    undo(dataset, 6, clock=lambda: NOW)
    done(dataset, {**label, "class": "class 1"})
    with pytest.raises(SampleError, match="has no class 'class 9'"):
        done(dataset, {**label, "class": "class 9"})


class Looks(Store):
    """A real store that remembers what was read."""

    def __init__(self, backend: Any, url: str) -> None:
        super().__init__(backend, url)
        self.gets: list[str] = []

    def get(self, key: str, *, etag: str | None = None) -> bytes:
        self.gets.append(key)
        return super().get(key, etag=etag)


def test_a_verdict_is_a_version_with_a_job_whose_recipe_is_the_parents(dataset: Dataset) -> None:
    parent = newest(dataset)
    version = done(dataset, {"action": "reject", "samples": ["e.jpg"], "reason": "x"}).version
    assert (version.parent, version.parent_sha256) == (parent.number, parent.sha256)
    assert version.recipe == parent.recipe
    assert version.index == parent.index
    assert version.fingerprint != parent.fingerprint
    assert version.consumed == parent.consumed
    assert version.certificates["person"] == {
        "by": "lab/anna",
        "actions": {"reject": 1},
        "changed": 1,
        "certified": parent.number,
    }
    status = job.describe(dataset.store, version.job)
    assert (status.state, status.version) == ("committed", version.number)
    assert [event["kind"] for event in job_events(dataset, version.job)] == ["running", "committed"]
    assert job.read(dataset.store, version.job).recipe["by"] == "lab/anna"
    changes = list(diff(dataset, parent, version))
    assert [(one.before, one.after) for one in changes] == [(at_role(dataset, parent, "e.jpg"), "rejected")]


def at_role(dataset: Dataset, version: Version, name: str) -> str:
    return roles(dataset, version)[name]


def test_the_counts_are_those_of_the_version(dataset: Dataset) -> None:
    version = done(
        dataset,
        {"action": "reject", "samples": ["e.jpg", "normal/b.jpg"], "reason": "x"},
        {"action": "restore", "samples": ["anomaly/small.jpg", "normal/a-again.jpg"]},
        {"action": "caption", "samples": ["normal/c.jpg"], "text": "a cat"},
    ).version
    numbers = statistics(dataset, version)
    told = {name: count for name, count in version.counts.items() if name in ROLES}
    assert told == numbers.roles
    assert version.counts["tags"] == numbers.tags.total
    assert version.counts["captions"] == numbers.captions.images
    assert {k: v for k, v in version.counts.items() if k.startswith("rejected-")} == {
        f"rejected-{check}": count for check, count in numbers.rejected.items()
    }
    assert numbers.verdicts == {"keep": 2, "reject": 2}


action_st = st.sampled_from(
    [
        ("restore", {}),
        ("reject", {"reason": "no"}),
        ("split", {"to": "train"}),
        ("split", {"to": "test"}),
        ("split", {"to": "unsplit"}),
        ("caption", {"text": "said by a person"}),
        ("label", {"attribute": "anomaly-label", "class": "anomaly"}),
    ]
)
recipes_st = st.sampled_from(
    [
        lambda models: steps(models),
        lambda models: steps(models, threshold=0.8),
        lambda models: [{"validate": {"min_side": 310}}],
        lambda models: [{"ingest": {"labels": "none"}}, {"dedup": {"within": 100}}, {"split": {"validation": 0.5}}],
        lambda models: [{"split": {"test": 0.5, "salt": "x", "release": ["test"]}}],
        lambda models: [{"trigger": "mychar"}],
    ]
)
NAMES = [name for name in PICTURES if name != "broken.jpg"]


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), action_st), min_size=1, max_size=5),
    st.lists(recipes_st, min_size=1, max_size=3),
)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_whatever_a_person_says_stands_after_whatever_recipe(
    dataset: Dataset,
    models: Path,
    actions: list[tuple[str, tuple[str, dict[str, Any]]]],
    recipes: list[Callable[[Path], list[dict[str, Any] | str]]],
) -> None:
    done(dataset, *({"action": kind, "samples": [name], **more} for name, (kind, more) in actions))
    wanted = {(name, kind): more for name, (kind, more) in actions}
    last = {name: kind for name, (kind, _) in actions if kind in ("restore", "reject")}
    for steps_of in recipes:
        go(dataset, recipe(dataset, *steps_of(models)), models)
    now = by_name(dataset, newest(dataset))
    for (name, kind), more in wanted.items():
        role, sample = now[name]
        if kind in ("restore", "reject"):
            assert (role == "rejected") == (last[name] == "reject")
        if kind == "split" and role != "rejected":
            assert role == more["to"]
        if kind == "caption":
            assert "said by a person" in str(sample.value("caption"))
        if kind == "label":
            assert (sample.metadata("anomaly-label") or {})["class-name"] == "anomaly"


def test_the_command_line_acts_and_tells_the_numbers(dataset: Dataset) -> None:
    one, other = at(dataset, "e.jpg")[1].key, at(dataset, "normal/b.jpg")[1].key
    told = invoke("act", dataset.url, "reject", one, other, "--reason", "dark", "--json")
    assert told == {"dataset": dataset.url, "version": 2, "changed": sorted([one, other])}
    assert "says so already" in invoke("act", dataset.url, "reject", one, "--reason", "dark")
    label = ("act", dataset.url, "label", one, "--attribute", "quality", "--class", "good", "--new")
    assert "committed version 3" in invoke(*label)
    assert at(dataset, "e.jpg")[1].metadata("quality") is not None
    numbers = invoke("show", dataset.url, "--statistics", "--json")
    assert numbers["labels"]["quality"]["images"] == 1
    assert "quality" in invoke("show", dataset.url, "--statistics")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("reject",), "reason: Field required"),
        (("restore", "--reason", "x"), "reason: Extra inputs are not permitted"),
        (("split", "--to", "nowhere"), "to: Input should be"),
        (("erase",), "erase: Input tag 'erase'"),
        (("restore", "--if-version", "9"), "version 1 is the newest, not 9"),
    ],
)
def test_the_command_line_says_what_an_action_lacks(dataset: Dataset, arguments: tuple[str, ...], why: str) -> None:
    action, *options = arguments
    with pytest.raises(ImageyardError) as caught:
        CliRunner().invoke(app, ["act", dataset.url, action, "0" * 64, *options], catch_exceptions=False)
    assert str(caught.value).startswith(why) or why in str(caught.value)


def test_a_superseded_image_that_a_person_restores_stands_beside_its_successor(dataset: Dataset, models: Path) -> None:
    drop(dataset, {"e.jpg": photo(9, (300, 300))})
    go(dataset, recipe(dataset, *steps(models)), models)
    (old,) = [one for one in dataset.read(newest(dataset), "rejected") if reason(one).startswith("superseded:")]
    done(dataset, {"action": "restore", "samples": [old.key]})
    again(dataset, models)
    stands = {sample.key for role in ("train", "test") for sample in dataset.read(newest(dataset), role)}
    assert {old.key, at(dataset, "e.jpg")[1].key} <= stands


def test_a_person_rejects_a_superseded_image_for_a_reason_that_outlives_its_return(
    dataset: Dataset, models: Path
) -> None:
    first = PICTURES["e.jpg"]
    key = at(dataset, "e.jpg")[1].key
    drop(dataset, {"e.jpg": photo(9, (300, 300))})
    go(dataset, recipe(dataset, *steps(models)), models)
    done(dataset, {"action": "reject", "samples": [key], "reason": "a finger before the lens"})
    drop(dataset, {"other.jpg": first})
    go(dataset, recipe(dataset, *steps(models)), models)
    assert at(dataset, "other.jpg")[0] == "rejected"
    assert reason(at(dataset, "other.jpg")[1]) == "person: a finger before the lens"
