"""The main job on real photographs and the manifests that came with them."""

import os
from pathlib import Path

import pytest

from imageyard.manifests import Dataset
from imageyard.manifests.lines import parse
from jobs import by_name, go, recipe

DATA = Path(os.environ.get("IMAGEYARD_TEST_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the real pictures are not beside this checkout")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def dropped(tmp_path: Path, folder: str, pattern: str = "*") -> Dataset:
    """A dataset with the pictures of one folder in its drop folder."""
    dataset = Dataset.open(f"memory://{tmp_path.name}")
    for path in sorted((DATA / folder).rglob(pattern)):
        if path.suffix in (".jpg", ".png") and "mask" not in str(path.relative_to(DATA / folder)):
            dataset.store.create(f"drop/{path.relative_to(DATA / folder).as_posix()}", path.read_bytes())
    return dataset


def test_photographs_of_five_things_are_tagged_as_what_they_are(tmp_path: Path, models: Path) -> None:
    dataset = dropped(tmp_path, "dreambooth")
    tag = {"tag": {"model": "efficientnet-lite0", "threshold": 0.3}}
    outcome = go(dataset, recipe(dataset, {"ingest": {"labels": "folder"}}, "dedup", tag), models)
    samples = by_name(dataset, outcome.version)
    assert {role for role, _ in samples.values()} == {"unsplit"}  # different photographs are no copies
    for thing, tags in {"cat": {"cat"}, "dog": {"dog"}, "clock": {"analog clock", "stopwatch", "wall clock"}}.items():
        own = [sample for name, (_, sample) in samples.items() if name.startswith(f"{thing}/")]
        found = [set((sample.metadata("tags") or {})["class-map"].values()) & tags for sample in own]
        assert sum(map(bool, found)) >= len(own) / 2, thing


def test_a_defect_set_keeps_its_labels_and_its_split_is_stratified(tmp_path: Path, models: Path) -> None:
    dataset = dropped(tmp_path, "lookout-aliens")
    outcome = go(dataset, recipe(dataset, "ingest", "dedup", {"split": {"test": 0.1}}), models)
    samples = by_name(dataset, outcome.version)
    assert len(samples) == 118
    for name, (role, sample) in samples.items():
        metadata = sample.metadata("anomaly-label") or {}
        assert metadata["class-name"] == name.split("/")[0]
        if role == "rejected":  # never a defect for a sound part's copy, nor the other way round
            kept = sample.value("rejection")["kept"]
            (witness,) = {n for n, (_, other) in samples.items() if other.key == kept}
            assert witness.split("/")[0] == name.split("/")[0]
    for kind in ("normal", "anomaly"):
        kept = [role for name, (role, _) in samples.items() if name.startswith(kind) and role != "rejected"]
        assert abs(kept.count("test") - 0.1 * len(kept)) <= 1


def test_photographs_that_say_where_they_were_taken_are_known_to(tmp_path: Path, models: Path) -> None:
    dataset = dropped(tmp_path, "lookout-cookies", "*.jpg")
    outcome = go(dataset, recipe(dataset, "ingest", {"validate": {"min_side": 576}}), models)
    assert outcome.version is not None
    assert outcome.version.counts.get("unsplit", 0) == outcome.version.counts["found"] > 60
    from imageyard.ray_jobs import facts

    keys = [sample.key for _, sample in by_name(dataset, outcome.version).values()]
    table = facts.read(dataset.store, outcome.version.extractors["probe"], keys, ["gps", "width", "height"])
    assert any(table.column("gps").to_pylist())
    assert set(zip(table.column("width").to_pylist(), table.column("height").to_pylist(), strict=True)) == {(576, 768)}


@pytest.mark.parametrize("name", ["template", "train_class", "train_segmentation"])
def test_manifests_of_a_service_that_is_gone_are_read_whole(name: str) -> None:
    path = DATA / "lookout-cookies" / "manifests" / f"{name}.manifest"
    samples = list(parse([path.read_bytes()], name=path.name))
    assert len(samples) == 63
    assert b"".join(sample.line + b"\n" for sample in samples) == path.read_bytes()
    assert all("anomaly-label" in sample.label_names for sample in samples)
