"""A search by embeddings: which images look like one."""

from pathlib import Path

import pytest

from command_line import invoke
from imageyard.manifests import Dataset
from imageyard.manifests.errors import VersionError
from imageyard.ray_jobs.analysis.similar import similar
from said import committed, key, sample

VECTORS = {"a.png": (1, 0, 0), "b.png": (0.9, 0.1, 0), "c.png": (0, 1, 0), "d.png": (0.9, 0.1, 0), "out.png": (1, 0, 0)}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Five images with embeddings, of which one is rejected, and one without."""
    dataset = Dataset.open(f"file://{tmp_path}")
    kept = [sample(name) for name in (*VECTORS, "plain.png") if name != "out.png"]
    committed(dataset, {"train": kept, "rejected": [sample("out.png")]}, vectors=VECTORS)
    return dataset


def test_the_likest_come_first_and_the_image_itself_and_rejected_ones_do_not(dataset: Dataset) -> None:
    version = dataset.newest()
    assert version is not None
    kept = list(dataset.read(version, "train"))
    found = similar(dataset, version, sample("a.png"), kept, most=10)
    assert [(one.name, one.similarity) for one in found] == [("b.png", 0.9939), ("d.png", 0.9939), ("c.png", 0.0)]
    assert similar(dataset, version, sample("a.png"), kept, most=1) == found[:1]
    assert similar(dataset, version, sample("out.png"), kept, most=1)[0].name == "a.png"


def test_without_an_embedding_it_is_said_what_measures_one(dataset: Dataset, tmp_path: Path) -> None:
    version = dataset.newest()
    assert version is not None
    with pytest.raises(VersionError, match=r"no embedding of plain\.png; a recipe with `dedup: {semantic"):
        similar(dataset, version, sample("plain.png"), [], most=1)
    other = Dataset.open(f"file://{tmp_path}/other")
    version = committed(other, {"train": [sample("a.png")]})
    with pytest.raises(VersionError, match="no embedding"):
        similar(other, version, sample("a.png"), [], most=1)


def test_the_command_tells_names_and_similarities(dataset: Dataset) -> None:
    found = invoke("similar", dataset.url, "a.png", "--most", "2", "--where", "not name == b.png", "--json")
    assert found["similar"] == [
        {"key": key("d.png"), "name": "d.png", "similarity": 0.9939},
        {"key": key("c.png"), "name": "c.png", "similarity": 0.0},
    ]
    assert "like a.png, of version 1" in invoke("similar", dataset.url, "a.png")
