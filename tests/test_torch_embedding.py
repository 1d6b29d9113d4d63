"""Image towers of transformers as embedding models: their own vectors, the same for a picture in any company."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pictures
import tiny
from imageyard.manifests.errors import ModelError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.canonical import Decoded, decode
from imageyard.ray_jobs.extractors.embedding import Embedding, vectors
from imageyard.ray_jobs.models import snapshots, table, towers
from imageyard.ray_jobs.models.onnx_embedder import OnnxEmbedder
from imageyard.ray_jobs.models.torch_embedder import TorchEmbedder
from imageyard.ray_jobs.work import Item, Shard
from imageyard.ray_jobs.worker import Place, Worker
from sentinel import build_embedder
from tiny import changed

BUILDS: dict[str, Callable[[Path], Path]] = {
    "clip": tiny.build_clip,
    "siglip": tiny.build_siglip,
    "dinov2": tiny.build_dinov2,
    "dinov3": tiny.build_dinov3,
    "vit": tiny.build_vit,
}
WIDTHS = {"clip": 24, "siglip": 32, "dinov2": 32, "dinov3": 32, "vit": 32}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with one tower of each kind, `tiny-clip` and so on."""
    folder = tmp_path_factory.mktemp("towers")
    for name, build in BUILDS.items():
        build(folder / f"tiny-{name}")
    return folder


@cache
def loaded(shelf: Path, name: str, batch: int | None = None) -> TorchEmbedder:
    found = snapshots.locate_snapshot(f"tiny-{name}", towers.TOWER_ENTRIES, folder=shelf)
    return TorchEmbedder(found, towers.contract_of(found), batch=batch)


def some(count: int = 5) -> list[Decoded]:
    return [*(decode(pictures.photo(seed, (90, 70))) for seed in range(count - 1)), decode(pictures.flat("red"))]


def by_transformers(shelf: Path, name: str, image: Decoded) -> np.ndarray:
    """As the model's card says to use it."""
    from transformers import AutoImageProcessor, AutoModel, CLIPModel, SiglipModel, ViTImageProcessorPil

    folder = shelf / f"tiny-{name}"
    processor: Any = ViTImageProcessorPil if name == "dinov3" else AutoImageProcessor
    inputs = processor.from_pretrained(folder).preprocess(image.rgb, return_tensors="pt")
    with torch.no_grad():
        if name in ("clip", "siglip"):
            whole: Any = {"clip": CLIPModel, "siglip": SiglipModel}[name].from_pretrained(folder).eval()
            found = whole.get_image_features(pixel_values=inputs["pixel_values"], return_dict=True).pooler_output
        else:
            model: Any = AutoModel.from_pretrained(folder).eval()
            found = model(pixel_values=inputs["pixel_values"]).last_hidden_state[:, 0]
    return np.asarray(found[0].numpy())


@pytest.mark.parametrize("name", BUILDS)
def test_vectors_are_those_of_transformers_own_processor_and_model(shelf: Path, name: str) -> None:
    model, image = loaded(shelf, name), some()[0]
    (vector,) = model.vectors([model.prepare(image)])
    expected = by_transformers(shelf, name, image)
    assert vector.shape == (WIDTHS[name],)
    np.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-5)
    (row,) = model.run([model.prepare(image)])
    assert isinstance(row["vector"], bytes)
    unit = expected.astype(np.float64) / np.linalg.norm(expected.astype(np.float64))
    np.testing.assert_allclose(np.frombuffer(row["vector"], "<f2"), unit, atol=1e-3)


@pytest.mark.parametrize("name", BUILDS)
def test_different_pictures_point_different_ways(shelf: Path, name: str) -> None:
    model = loaded(shelf, name)
    found = vectors([row["vector"] for row in model.run([model.prepare(image) for image in some()])])  # type: ignore[misc]
    cosines = found @ found.T
    assert np.diag(cosines) == pytest.approx([1] * 5, abs=1e-6)
    assert cosines[~np.eye(5, dtype=bool)].max() < 0.98


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", BUILDS)
def test_a_picture_has_the_same_bytes_whatever_its_place_and_neighbours(shelf: Path, name: str, batch: int) -> None:
    model = loaded(shelf, name, batch)
    inputs = [model.prepare(image) for image in some(6)]
    alone = [model.run([one])[0] for one in inputs]
    shuffle = np.random.default_rng(5)
    for count in (2, 4, 6):
        order = shuffle.permutation(len(inputs))[:count]
        assert model.run([inputs[at] for at in order]) == [alone[at] for at in order]
    assert model.run(np.stack(inputs)) == alone


def test_an_extractor_says_what_its_vectors_are(shelf: Path) -> None:
    found = Embedding.locate("tiny-clip", folder=shelf)
    assert (found.model, found.dimensions) == ("tiny-clip", 24)
    assert found.contract == towers.TowerContract(tower="clip", dimensions=24)
    assert set(found.files()) == {"config.json", "model.safetensors", "preprocessor_config.json"}
    arrived = pickle.loads(pickle.dumps(found))  # noqa: S301
    assert (arrived, arrived.identity()) == (found, found.identity())
    assert len({Embedding.locate(f"tiny-{name}", folder=shelf).identity() for name in BUILDS}) == len(BUILDS)


def test_what_its_config_leaves_out_is_the_classs_own() -> None:
    """As google/siglip2-base-patch16-224 says nothing of its width."""
    for kind, tower in towers.TOWERS.items():
        config: dict[str, Any] = {"model_type": kind, "vision_config": {"model_type": "siglip_vision_model"}}
        snapshot = snapshots.Snapshot("x", Path("x"), None, config, ("model.safetensors",))
        assert towers.contract_of(snapshot).dimensions == own_width(kind, tower)


def own_width(kind: str, tower: towers.Tower) -> int:
    from transformers import CONFIG_MAPPING

    found: Any = CONFIG_MAPPING[kind]()
    for name in tower.width:
        found = getattr(found, name)
    assert isinstance(found, int)
    return found


def test_what_lies_in_a_folder_decides_and_not_its_name(shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(shelf / "tiny-clip", tmp_path / "clip-vit-b-32")  # which the table has as an ONNX graph
    assert isinstance(Embedding.locate("clip-vit-b-32", folder=tmp_path).load(threads=1, gpu=False), TorchEmbedder)
    build_embedder(tmp_path / "dinov2-base")  # which it has as a tower
    assert isinstance(Embedding.locate("dinov2-base", folder=tmp_path).load(threads=1, gpu=False), OnnxEmbedder)
    shutil.copytree(shelf / "tiny-vit", tmp_path / "both")
    build_embedder(tmp_path / "both")
    assert isinstance(
        Embedding.locate(str(tmp_path / "both"), folder=tmp_path).load(threads=1, gpu=False), OnnxEmbedder
    )


def test_a_tower_in_a_bucket_is_copied_and_found(shelf: Path, tmp_path: Path) -> None:
    found = Embedding.locate(f"file://{shelf / 'tiny-clip'}", folder=tmp_path)
    assert found.identity() == Embedding.locate("tiny-clip", folder=shelf).identity()
    model, image = found.load(threads=1, gpu=False), some()[0]
    assert model.run([model.prepare(image)]) == loaded(shelf, "clip").run([loaded(shelf, "clip").prepare(image)])


def test_no_two_embedding_models_share_a_name() -> None:
    entries: tuple[table.Origin, ...] = (*table.EMBEDDERS, *towers.TOWER_ENTRIES)
    names = [name for entry in entries for name in {said.lower() for said in entry.names}]
    assert len(names) == len(set(names))
    assert tuple(entry for entry in towers.TOWER_ENTRIES if entry.repo) == towers.TOWER_ENTRIES


def test_a_tower_that_is_not_here_says_where_to_put_it(tmp_path: Path) -> None:
    if os.environ.get("HF_HUB_OFFLINE"):
        with pytest.raises(ModelError, match=r"put config\.json, model\.safetensors"):
            Embedding.locate("dinov2-base", folder=tmp_path)
    with pytest.raises(ModelError, match=r"no model\.onnx and no embedding\.json"):
        Embedding.locate("./nowhere", folder=tmp_path)


def without_projection(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "visual_projection" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: changed(folder, "config.json", model_type="siglip2"), "'siglip2', which is no embedding model"),
        (lambda folder: changed(folder, "config.json", model_type="siglip"), "architecture|cannot be loaded"),
        (lambda folder: changed(folder, "config.json", projection_dim=48), "gives 24 numbers a picture, .* says 48"),
        (lambda folder: changed(folder, "config.json", projection_dim="wide"), "projection_dim is 'wide'"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "cannot be loaded"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), "cannot be loaded"),
        (without_projection, r"model\.safetensors: lacks 1 of the weights of CLIPVision"),
    ],
)
def test_a_tower_that_cannot_run_is_refused_before_any_work(
    shelf: Path, tmp_path: Path, damage: Callable[[Path], None], complaint: str
) -> None:
    damage(Path(shutil.copytree(shelf / "tiny-clip", tmp_path / "tiny-clip")))
    with pytest.raises(ModelError, match=complaint) as caught:
        Embedding.locate("tiny-clip", folder=tmp_path).load(threads=1, gpu=False)
    assert "\n" not in str(caught.value)


def test_a_worker_whose_files_are_not_those_of_the_plan_refuses_to_load(shelf: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shelf / "tiny-vit", tmp_path / "tiny-vit"))
    found = Embedding.locate("tiny-vit", folder=tmp_path)
    tiny.build_vit(folder, seed=1)
    with pytest.raises(ModelError, match=r"model\.safetensors has sha256 .*put the same files on every machine"):
        found.load(threads=1, gpu=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="it has a GPU")
def test_a_gpu_that_cannot_be_had_is_an_error_and_never_a_quiet_cpu(shelf: Path) -> None:
    with pytest.raises(ModelError, match="a GPU was asked for, and torch"):
        Embedding.locate("tiny-vit", folder=shelf).load(threads=1, gpu=True)


def test_facts_of_a_worker_are_the_towers_vectors(shelf: Path, tmp_path: Path) -> None:
    extractor = Embedding.locate("tiny-dinov2", folder=shelf)
    store = Store.open(f"memory://{tmp_path.name}")
    data = [pictures.photo(0), pictures.photo(1), pictures.photo(2)]
    keys = [hashlib.sha256(one).hexdigest() for one in data]
    for key, one in zip(keys, data, strict=True):
        store.create(f"images/{key}", one)
    items = tuple(Item(f"images/{key}", len(one), sha256=key) for key, one in zip(keys, data, strict=True))
    worker = Worker(store, Place())
    worker.process(Shard(items, (extractor,)))
    worker.close()
    model = loaded(shelf, "dinov2")
    found = facts.read(store, extractor.identity(), keys, ["vector"]).column("vector").to_pylist()
    assert found == [row["vector"] for row in model.run([model.prepare(decode(one)) for one in data])]
