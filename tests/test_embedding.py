"""The embedding: one vector a picture, the same in any company, and a refusal for a model that is not as agreed."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from onnx import TensorProto
from PIL import Image

import pictures
from imageyard.manifests.errors import ModelError
from imageyard.manifests.store import Store
from imageyard.ray_jobs import facts
from imageyard.ray_jobs.canonical import Decoded, decode
from imageyard.ray_jobs.extractors.base import Row
from imageyard.ray_jobs.extractors.embedding import Embedding, vectors
from imageyard.ray_jobs.models import efficientnet, table
from imageyard.ray_jobs.models.files import EMBEDDER, digest, locate_any
from imageyard.ray_jobs.models.onnx_embedder import OnnxEmbedder
from imageyard.ray_jobs.work import Item, Shard
from imageyard.ray_jobs.worker import Place, Worker
from sentinel import build_embedder

EFFICIENTNET = "efficientnet-lite0-features"
CLIP = "clip-vit-b-32"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with `cells`."""
    folder = tmp_path_factory.mktemp("models")
    build_embedder(folder / "cells")
    return folder


@pytest.fixture(scope="module")
def real(models: Path) -> OnnxEmbedder:
    return Embedding.locate(EFFICIENTNET, folder=models).load(threads=1, gpu=False)


def loaded(folder: Path, *, batch: int | None = None, threads: int = 1) -> OnnxEmbedder:
    extractor = Embedding.locate(str(folder), folder=folder.parent)
    found = locate_any(str(folder), EMBEDDER, folder=folder.parent)
    return OnnxEmbedder(found, extractor.contract, batch=batch, threads=threads)


def decoded(image: Image.Image) -> Decoded:
    return decode(pictures.encoded(image, "PNG"))


def plain(colour: str, size: tuple[int, int] = (16, 16)) -> Decoded:
    return decode(pictures.flat(colour, size))


def cells(model: OnnxEmbedder, image: Decoded) -> list[list[float]]:
    """What the model of the tests saw: the worth of 4 x 4 cells, channel by channel."""
    found: list[list[float]] = model.vectors(model.prepare(image)[None]).reshape(3, 16).tolist()
    return found


def rows(model: OnnxEmbedder, *files: bytes) -> list[Row]:
    """A row a picture, in runs of the model's batch."""
    inputs = [model.prepare(decode(data)) for data in files]
    return [row for at in range(0, len(inputs), model.batch) for row in model.run(np.stack(inputs[at:][: model.batch]))]


def stored(*found: Row) -> list[bytes]:
    values = [row["vector"] for row in found]
    return [value for value in values if isinstance(value, bytes)]


# The vector


def test_a_vector_is_float16_little_endian_and_of_length_1(real: OnnxEmbedder) -> None:
    (value,) = stored(*rows(real, pictures.photo()))
    assert len(value) == 2 * 1280
    exact = real.vectors(real.prepare(decode(pictures.photo()))[None])[0].astype(np.float64)
    assert value == (exact / np.sqrt((exact**2).sum())).astype("<f2").tobytes()
    assert np.linalg.norm(np.frombuffer(value, "<f2").astype(float)) == pytest.approx(1, abs=1e-3)


def test_stored_vectors_are_read_as_float32_whose_products_are_cosines(real: OnnxEmbedder) -> None:
    found = vectors(stored(*rows(real, pictures.photo(0), pictures.photo(1))))
    assert found.dtype == np.float32
    assert found.shape == (2, 1280)
    assert np.diag(found @ found.T) == pytest.approx([1, 1], abs=1e-6)
    assert vectors([]).shape == (0, 0)


@pytest.mark.parametrize("data", [pictures.photo(0), pictures.bundled("chelsea.png"), pictures.bundled("coffee.png")])
def test_a_copy_that_was_saved_again_is_near_and_another_scene_is_not(real: OnnxEmbedder, data: bytes) -> None:
    copies = [pictures.recompressed(data, quality) for quality in (60, 80)]
    others = [pictures.photo(1), pictures.bundled("rocket.jpg")]
    original, *found = vectors(stored(*rows(real, data, *copies, *others)))
    cosines = [float(original @ other) for other in found]
    assert min(cosines[:2]) > 0.95
    assert max(cosines[2:]) < 0.85


@pytest.mark.parametrize(
    ("data", "variant", "reason"),
    [
        (pictures.flat("black"), {}, "no-direction: "),
        (pictures.flat("black"), {"divided": True}, "not-a-number: "),
    ],
)
def test_a_picture_without_a_vector_has_an_error_and_its_neighbour_has_none(
    tmp_path: Path, data: bytes, variant: dict[str, Any], reason: str
) -> None:
    model = loaded(build_embedder(tmp_path / "cells", **variant))
    black, white = rows(model, data, pictures.flat("white"))
    assert str(black["error"]).startswith(reason)
    assert set(white) == {"vector"}


def test_efficientnets_features_are_those_that_torch_gives(real: OnnxEmbedder) -> None:
    import torch

    pixels = real.prepare(decode(pictures.bundled("coffee.png")))
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (efficientnet.MEAN, efficientnet.STD))
    with torch.no_grad():
        expected = efficientnet._trained().extract_features((torch.tensor(pixels)[None] / 255 - mean) / std)
    np.testing.assert_allclose(real.vectors(pixels[None]), expected.mean((2, 3)).numpy(), atol=1e-4)


# Batches


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [2, 8])
@pytest.mark.parametrize("name", ["cells", EFFICIENTNET])
def test_a_picture_has_the_same_bytes_whatever_its_place_and_neighbours(
    models: Path, real: OnnxEmbedder, name: str, batch: int, threads: int
) -> None:
    model = loaded(models / name, batch=batch, threads=threads)
    files = [*(pictures.photo(seed, (96, 64)) for seed in range(5)), pictures.bundled("chelsea.png")]
    alone = [stored(*rows(model, data))[0] for data in files]
    assert len(set(alone)) == len(files)
    shuffle = np.random.default_rng(5)
    for _ in range(4):
        order = shuffle.permutation(len(files))
        assert stored(*rows(model, *(files[at] for at in order))) == [alone[at] for at in order]


@pytest.mark.parametrize(("fixed", "asked", "batch"), [(1, None, 1), (4, 8, 4), (None, 8, 8), (None, None, 2)])
def test_a_fixed_batch_is_the_models_and_a_dynamic_one_is_ours(
    tmp_path: Path, fixed: int | None, asked: int | None, batch: int
) -> None:
    model = loaded(build_embedder(tmp_path / "sized", batch=fixed), batch=asked)
    assert model.batch == batch
    assert rows(model, *[pictures.photo()] * batch) == rows(model, pictures.photo()) * batch


# Pixels


@pytest.mark.parametrize(
    ("said", "red", "green"),
    [
        ({}, 255.0, 0.0),
        ({"channels": "bgr"}, 0.0, 0.0),
        ({"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 0.5]}, 2.0, -1.0),
        ({"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}, 1.0, 0.0),
    ],
)
@pytest.mark.parametrize("takes", [TensorProto.FLOAT, TensorProto.FLOAT16])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_model_gets_the_levels_channels_and_axes_that_its_contract_says(
    tmp_path: Path, layout: Any, takes: int, said: dict[str, Any], red: float, green: float
) -> None:
    model = loaded(build_embedder(tmp_path / "cells", layout=layout, takes=takes, **said))
    first, second, _ = cells(model, plain("red"))
    assert first == [red] * 16
    assert second == [green] * 16


def test_a_model_of_bytes_gets_bytes(tmp_path: Path) -> None:
    model = loaded(build_embedder(tmp_path / "cells", takes=TensorProto.UINT8))
    assert cells(model, plain("red"))[0] == [255.0] * 16


def test_mean_and_std_are_in_the_order_of_the_channels(tmp_path: Path) -> None:
    said: dict[str, Any] = {"channels": "bgr", "mean": [0.0, 0.0, 0.5], "std": [1.0, 1.0, 0.25]}
    model = loaded(build_embedder(tmp_path / "cells", **said))
    assert [channel[0] for channel in cells(model, plain("red"))] == [0, 0, 2]


@pytest.mark.parametrize(
    ("rule", "seen"),
    [
        ("squash", [[0, 0, 255, 255]] * 4),
        ("crop", [[0, 0, 255, 255]] * 4),
        ("pad", [[255] * 4, [0, 0, 255, 255], [0, 0, 255, 255], [255] * 4]),
    ],
)
def test_a_wide_picture_becomes_a_square_by_the_rule(tmp_path: Path, rule: str, seen: list[list[int]]) -> None:
    image = Image.new("RGB", (32, 16), "black")
    image.paste("white", (16, 0, 32, 16))
    model = loaded(build_embedder(tmp_path / "cells", resize=rule))
    found = np.array(cells(model, decoded(image))[0]).reshape(4, 4)
    assert np.abs(found - seen).max() < 16  # bicubic rings a little at an edge


def test_crop_takes_the_middle_and_squash_takes_it_all(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 16), "red")
    image.paste("lime", (24, 0, 40, 16))
    seen = {}
    for rule in ("crop", "squash"):
        red, green, _ = cells(loaded(build_embedder(tmp_path / rule, resize=rule)), decoded(image))
        seen[rule] = (round(np.mean(red)), round(np.mean(green)))
    assert seen["crop"] == (0, 255)
    assert seen["squash"] == pytest.approx((191, 64), abs=4)


def test_a_picture_of_the_models_size_is_not_resampled(tmp_path: Path) -> None:
    image = pictures.scene(3, (16, 16))
    for rule in ("squash", "crop", "pad"):
        model = loaded(build_embedder(tmp_path / rule, layout="NHWC", resize=rule))
        assert np.array_equal(model.prepare(decoded(image)), np.asarray(image))


# Outputs


def test_an_output_may_be_named_and_the_first_of_a_sequence_taken(tmp_path: Path) -> None:
    said: dict[str, Any] = {"output": "tokens", "take": "first", "dimensions": 3}
    model = loaded(build_embedder(tmp_path / "cells", **said))
    found = model.vectors(np.stack([model.prepare(plain(colour)) for colour in ("red", "blue")]))
    assert found.tolist() == [[255, 0, 0], [0, 0, 255]]


@pytest.mark.parametrize("said", [{}, {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}])
def test_weights_in_a_file_beside_the_graph_give_the_same_bytes_and_count_in_the_digest(
    tmp_path: Path, said: dict[str, Any]
) -> None:
    inside, beside = (
        build_embedder(tmp_path / name, weights_beside=apart, **said) for name, apart in (("in", False), ("out", True))
    )
    assert rows(loaded(beside), pictures.photo()) == rows(loaded(inside), pictures.photo())
    assert set(digest(locate_any(str(beside), EMBEDDER, folder=tmp_path))) == {
        "embedding.json",
        "model.onnx",
        "model.onnx.data",
    }


# Refusals


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ({"dimensions": 64}, "48 numbers an image, where embedding.json says 64 dimensions"),
        (
            {"output": "tokens", "dimensions": 3},
            "'tokens' has shape \\[1, 16, 3\\], 48 numbers.*the first of a sequence",
        ),
        ({"output": "pooled"}, "no output 'pooled'; embedding.json may name one of cells, tokens, apart"),
        ({"output": "apart"}, "'apart' has shape \\[3\\] for 2 images; it must have a row an image"),
        ({"layout": "NHWC", "side": 16, "batch": 1, "channels": "RGB"}, "`channels`: Input should be 'rgb' or 'bgr'"),
        ({"takes": TensorProto.UINT8, "mean": [0.5] * 3, "std": [0.5] * 3}, "takes bytes.*leave mean and std out"),
        ({"takes": TensorProto.INT64, "weights_beside": True}, "its input is a tensor\\(int64\\)"),
    ],
)
def test_a_model_that_does_not_do_as_its_contract_says_is_refused(
    tmp_path: Path, variant: dict[str, Any], said: str
) -> None:
    folder = build_embedder(tmp_path / "wrong", **variant)
    with pytest.raises(ModelError, match=said) as caught:
        loaded(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "any_side", "said"),
    [
        ({"side": 24}, False, "shape \\['batch_size', 3, 16, 16\\], where embedding.json says side 24"),
        ({"layout": "NHWC"}, False, "layout NHWC; write what the model takes"),
        ({"side": 32}, True, "fails on an image of shape \\(3, 32, 32\\).*is the side right"),
    ],
)
def test_a_model_of_another_side_or_layout_is_refused(
    tmp_path: Path, changed: dict[str, Any], any_side: bool, said: str
) -> None:
    folder = build_embedder(tmp_path / "wrong", any_side=any_side)
    card = json.loads((folder / "embedding.json").read_text()) | changed
    (folder / "embedding.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=said):
        loaded(folder)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"dimensions": None}, "`dimensions`: Field required; it looks like "),
        ({"dimensions": "48"}, "`dimensions`: Input should be a valid integer"),
        ({"side": 0}, "`side`: Input should be greater than or equal to 8"),
        ({"mean": [0.5, 0.5, 0.5]}, "mean and std stand together"),
        ({"mean": [0.5] * 3, "std": [0.5, 0.5, 0.0]}, "is not above 0"),
        ({"mean": [0.5], "std": [0.5]}, "`mean.1`"),
        ({"resise": "pad"}, "`resise`: Extra inputs are not permitted"),
    ],
)
def test_a_contract_that_says_too_little_or_too_much_is_refused(
    tmp_path: Path, said: dict[str, Any], fault: str
) -> None:
    folder = build_embedder(tmp_path / "odd")
    card = json.loads((folder / "embedding.json").read_text()) | said
    (folder / "embedding.json").write_text(
        json.dumps({name: value for name, value in card.items() if value is not None})
    )
    with pytest.raises(ModelError, match=fault) as caught:
        Embedding.locate("odd", folder=tmp_path)
    assert str(folder / "embedding.json") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("embedding.json", b"{", "Invalid JSON"),
        ("embedding.json", b"\xff\xfe", "it looks like"),
        (
            "model.onnx",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:35f2\nsize 88\n",
            "fetch the file itself",
        ),
        ("model.onnx", b"", "embedding model|one input"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    folder = build_embedder(tmp_path / "broken")
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=said) as caught:
        loaded(folder)
    assert str(folder / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("efficientnet-lite0-feature", "did you mean efficientnet-lite0-features"),
        ("dino", "no model of the table and no folder in .* there are efficientnet-lite0-features, clip-vit-b-32"),
        ("./nowhere", "no model.onnx and no embedding.json in .*put both files there, such as {"),
        ("half", 'no embedding.json in .*half; put it there, such as {"side": 224'),
        (f"{EFFICIENTNET}@main", "has no revisions"),
    ],
)
def test_a_model_that_is_not_there_is_said_to_be_missing(tmp_path: Path, asked: str, said: str) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "model.onnx").touch()
    with pytest.raises(ModelError, match=said) as caught:
        Embedding.locate(asked, folder=tmp_path)
    assert "\n" not in str(caught.value)


# Files


def test_where_a_model_lies_is_no_part_of_its_identity_and_each_of_its_files_is(tmp_path: Path) -> None:
    for at in ("a", "b", "c"):
        build_embedder(tmp_path / at / "own")
    (tmp_path / "b" / "own" / "model.onnx").write_bytes(
        (build_embedder(tmp_path / "other", divided=True) / "model.onnx").read_bytes()
    )
    with (tmp_path / "c" / "own" / "embedding.json").open("a") as stream:
        stream.write("\n")
    first, graph, card = (Embedding.locate("own", folder=tmp_path / at).identity() for at in ("a", "b", "c"))
    assert Embedding.locate(str(tmp_path / "a" / "own"), folder=tmp_path).identity() == first
    assert len({first, graph, card}) == 3
    assert first.startswith("embedding-")


def test_a_worker_whose_files_are_not_those_of_the_plan_refuses_to_load(tmp_path: Path) -> None:
    extractor = Embedding.locate("own", folder=build_embedder(tmp_path / "own").parent)
    build_embedder(tmp_path / "own", batch=1)
    with pytest.raises(ModelError, match=r"model\.onnx has sha256 .*put the same files on every machine"):
        extractor.load(threads=1, gpu=False)


def test_an_embedding_travels_to_a_worker_whose_facts_are_its_vectors(tmp_path: Path, models: Path) -> None:
    extractor = pickle.loads(pickle.dumps(Embedding.locate("cells", folder=models)))  # noqa: S301
    store = Store.open(f"memory://{tmp_path.name}")
    files = [pictures.photo(0), pictures.text(), pictures.photo(1)]
    keys = [hashlib.sha256(data).hexdigest() for data in files]
    for key, data in zip(keys, files, strict=True):
        store.create(f"images/{key}", data)
    items = tuple(Item(f"images/{key}", len(data), sha256=key) for key, data in zip(keys, files, strict=True))
    worker = Worker(store, Place())
    tally = worker.process(Shard(items, (extractor,)))
    worker.close()
    assert (tally.model_images, tally.unreadable) == (2, 1)
    found = facts.read(store, extractor.identity(), keys, ["vector"])
    assert found.column("vector").type == pa.binary()
    expected = stored(*rows(loaded(models / "cells"), files[0], files[2]))
    assert found.column("vector").to_pylist() == [expected[0], None, expected[1]]
    assert found.column("error").is_null().to_pylist() == [True, False, True]


def test_clip_in_the_models_folder_needs_no_embedding_json_and_one_that_is_there_comes_first(tmp_path: Path) -> None:
    folder = build_embedder(tmp_path / CLIP)
    own = Embedding.locate(CLIP, folder=tmp_path)
    assert own.dimensions == 48
    (folder / "embedding.json").unlink()
    for asked in (CLIP, "Qdrant/clip-ViT-B-32-vision", str(folder)):
        found = Embedding.locate(asked, folder=tmp_path)
        assert (found.model, found.dimensions, found.contract.resize) == (CLIP, 512, "crop")
        assert set(found.files()) == {"model.onnx"}
        assert found.identity() != own.identity()


def locate_offline(model: str, models: Path, cache: Path) -> str:
    """What another process, kept from the network, says of `model`: its name and dimensions, or the error."""
    code = (
        "import sys; from pathlib import Path\n"
        "from imageyard.manifests.errors import ModelError\n"
        "from imageyard.ray_jobs.extractors.embedding import Embedding\n"
        "try: found = Embedding.locate(sys.argv[1], folder=Path(sys.argv[2])); print(found.model, found.dimensions)\n"
        "except ModelError as error: print(error)\n"
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(cache), "HF_HUB_CACHE": str(cache / "hub")}
    command = [sys.executable, "-c", code, model, str(models)]
    return subprocess.run(command, env=offline, capture_output=True, text=True, check=True).stdout


def test_clip_that_cannot_be_downloaded_says_where_to_put_its_one_file(tmp_path: Path) -> None:
    said = locate_offline(CLIP, tmp_path, tmp_path / "cache")
    assert said.count("\n") == 1
    assert f"{CLIP}: not in {tmp_path / CLIP}" in said
    assert "put model.onnx into that folder" in said


def test_clip_in_hugging_faces_cache_needs_no_network(tmp_path: Path) -> None:
    entry = table.named(CLIP, table.EMBEDDERS)
    assert entry is not None
    assert entry.revision is not None
    repository = tmp_path / "hub" / "models--Qdrant--clip-ViT-B-32-vision"
    (build_embedder(repository / "snapshots" / entry.revision) / "embedding.json").unlink()
    assert locate_offline(CLIP, tmp_path, tmp_path).strip() == f"{CLIP} 512"


def test_no_two_models_share_a_name() -> None:
    names = [name.lower() for entry in (*table.EMBEDDERS, *table.TAGGERS) for name in entry.names]
    assert len(names) == len(set(names))


def test_efficientnets_features_are_the_same_bytes_whoever_builds_them(tmp_path: Path, models: Path) -> None:
    built = [Embedding.locate(EFFICIENTNET, folder=folder) for folder in (tmp_path, models)]
    assert built[0].identity() == built[1].identity()
    assert set(built[0].files()) == {"embedding.json", "model.onnx"}
    assert [path.name for path in tmp_path.iterdir()] == [EFFICIENTNET]


def test_naming_an_embedding_loads_no_runtime() -> None:
    code = (
        "import sys, imageyard.ray_jobs.extractors.embedding\n"
        "print(sorted({'numpy', 'PIL', 'onnx', 'onnxruntime', 'torch', 'pyarrow'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
