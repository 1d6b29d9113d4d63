"""The tagger: the right pixels in, the right scores out, the right files, and a refusal for everything else."""

from __future__ import annotations

import importlib.util
import io
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from PIL import Image

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.canonical import Decoded, decode
from imageyard.ray_jobs.extractors.tagger import Tagger
from imageyard.ray_jobs.models import efficientnet, table
from imageyard.ray_jobs.models.files import digest, locate
from imageyard.ray_jobs.models.onnx_tagger import OnnxTagger
from pictures import noise
from sentinel import ROWS, build_sentinel

EFFICIENTNET = "efficientnet-lite0"


def picture(colour: object, size: tuple[int, int] = (448, 448), mode: str = "RGB") -> Decoded:
    return decoded(Image.new(mode, size, colour))  # type: ignore[arg-type]  # Pillow's colours are many types


def decoded(image: Image.Image) -> Decoded:
    file = io.BytesIO()
    image.save(file, "PNG")
    return decode(file.getvalue())


def sample_picture(name: str) -> Decoded:
    spec = importlib.util.find_spec("skimage")
    assert spec
    assert spec.origin
    return decode((Path(spec.origin).parent / "data" / name).read_bytes())


def run_one(tagger: OnnxTagger, image: Decoded) -> dict[str, Any]:
    (row,) = tagger.run(tagger.prepare(image)[None])
    return row


def scores_by_tag(row: dict[str, Any]) -> dict[str, float]:
    return dict(zip(row["tag"], row["score"], strict=True))


def general_tags(row: dict[str, Any], threshold: float = 0.5) -> list[str]:
    found = zip(row["tag"], row["category"], row["score"], strict=True)
    return [tag for tag, category, score in found if category == 0 and score >= threshold]


@pytest.fixture(scope="session")
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sentinel(tmp_path_factory.mktemp("sentinel") / "sentinel")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def real(models: Path) -> OnnxTagger:
    return Tagger.locate(EFFICIENTNET, folder=models).load(threads=1, gpu=False)


def loaded(folder: Path, **options: Any) -> OnnxTagger:
    return OnnxTagger(locate(str(folder), folder=folder.parent), **options)


# Pixels


@pytest.mark.parametrize(
    ("colour", "tags"),
    [
        ((255, 0, 0), {"red", "flat"}),
        ((0, 255, 0), {"green", "flat"}),
        ((0, 0, 255), {"blue", "flat"}),
        ((255, 255, 255), {"bright", "flat"}),
        ((0, 0, 0), {"dark", "flat"}),
        ((128, 128, 128), {"flat"}),
    ],
)
def test_the_model_sees_blue_green_red_from_0_to_255(sentinel: Path, colour: object, tags: set[str]) -> None:
    assert set(general_tags(run_one(loaded(sentinel), picture(colour)))) == tags


def test_a_noisy_picture_has_high_contrast(sentinel: Path) -> None:
    assert general_tags(run_one(loaded(sentinel), decoded(noise(1)))) == ["high_contrast"]


def test_a_transparent_picture_scores_as_white(sentinel: Path) -> None:
    tagger = loaded(sentinel)
    assert run_one(tagger, picture((0, 0, 0, 0), mode="RGBA")) == run_one(tagger, picture("white"))


def test_padding_is_white(sentinel: Path) -> None:
    assert general_tags(run_one(loaded(sentinel), picture("black", (448, 224)))) == ["high_contrast"]


@pytest.mark.parametrize(
    ("size", "black_columns", "black_rows"),
    [((3, 8), (2, 5), (0, 8)), ((8, 3), (0, 8), (2, 5)), ((8, 8), (0, 8), (0, 8)), ((1, 8), (3, 4), (0, 8))],
)
def test_a_picture_lies_in_the_middle_and_an_odd_pixel_is_right_or_below(
    tmp_path: Path, size: tuple[int, int], black_columns: tuple[int, int], black_rows: tuple[int, int]
) -> None:
    tagger = loaded(build_sentinel(tmp_path / "small", side=8))
    expected = np.full((8, 8, 3), 255, np.uint8)
    expected[slice(*black_rows), slice(*black_columns)] = 0
    assert np.array_equal(tagger.prepare(picture("black", size)), expected)


def test_a_picture_of_the_models_size_is_not_resampled(sentinel: Path) -> None:
    image = noise(2)
    assert np.array_equal(loaded(sentinel).prepare(decoded(image)), np.asarray(image)[:, :, ::-1])


def test_a_larger_picture_is_padded_and_then_shrunk_with_pillows_bicubic(sentinel: Path) -> None:
    image = noise(3, (900, 500))
    square = Image.new("RGB", (900, 900), "white")
    square.paste(image, (0, 200))
    expected = np.asarray(square.resize((448, 448), Image.Resampling.BICUBIC))[:, :, ::-1]
    assert np.array_equal(loaded(sentinel).prepare(decoded(image)), expected)


# Rows


def test_a_row_has_every_score_from_the_floor_up_by_falling_score_and_all_ratings(sentinel: Path) -> None:
    row = run_one(loaded(sentinel, floor=0.2), picture("red"))
    assert [*zip(row["tag"], row["category"], row["score"], strict=True)] == [
        ("red", 0, 0.9997),
        ("flat", 0, 0.982),
        ("saber_(fate)", 4, 0.982),
        ("general", 9, 0.9526),
        ("^_^", 0, 0.2689),
        ("sensitive", 9, 0.0474),
        ("questionable", 9, 0.0067),
        ("explicit", 9, 0.0025),
    ]
    assert row["index"] == [[name for name, *_ in ROWS].index(tag) for tag in row["tag"]]


def test_equal_scores_stand_in_the_order_of_the_labels(sentinel: Path) -> None:
    row = run_one(loaded(sentinel, floor=0.9), picture("red"))
    assert row["tag"][1:3] == ["flat", "saber_(fate)"]


def test_names_with_quotes_commas_and_unknown_categories_are_kept_as_they_are(sentinel: Path) -> None:
    row = run_one(loaded(sentinel, floor=0.0), picture("red"))
    assert {'don\'t_say_"lazy",_please', "^_^", "somebody"} <= set(row["tag"])
    assert row["category"][row["tag"].index("somebody")] == 1


def test_a_row_fits_the_columns_of_its_extractor(sentinel: Path) -> None:
    tagger = Tagger.locate(str(sentinel), folder=sentinel.parent)
    row = run_one(tagger.load(threads=1, gpu=False), picture("red"))
    written = pa.Table.from_pylist([row], schema=pa.schema(tagger.columns())).to_pylist()[0]
    assert written["tag"] == row["tag"]
    assert written["score"] == pytest.approx(row["score"], abs=1e-6)


def test_a_picture_without_a_score_has_an_error_and_its_neighbour_has_none(tmp_path: Path) -> None:
    tagger = loaded(build_sentinel(tmp_path / "spoiled", output="no-number-for-black"))
    black, white = tagger.run(np.stack([tagger.prepare(picture(colour)) for colour in ("black", "white")]))
    assert str(black["error"]).startswith("not-a-number: ")
    assert "error" not in white


# Batches


@pytest.mark.parametrize(
    ("fixed", "asked", "batch"), [(1, None, 1), (4, None, 4), (4, 8, 4), (None, 8, 8), (None, 3, 3)]
)
def test_a_fixed_batch_is_the_models_and_a_dynamic_one_is_ours(
    tmp_path: Path, fixed: int | None, asked: int | None, batch: int
) -> None:
    tagger = loaded(build_sentinel(tmp_path / "sized", batch=fixed), batch=asked)
    assert tagger.batch == batch
    rows = tagger.run(np.stack([tagger.prepare(picture("red"))] * batch))
    assert len(rows) == batch
    assert rows[0] == run_one(tagger, picture("red"))


@pytest.mark.parametrize("batch", [2, 8])
@pytest.mark.parametrize("model", ["sentinel", EFFICIENTNET])
def test_a_score_depends_on_neither_place_nor_neighbours(sentinel: Path, models: Path, model: str, batch: int) -> None:
    found = locate(str(sentinel) if model == "sentinel" else model, folder=models)
    tagger = OnnxTagger(found, batch=batch)
    names = ("chelsea.png", "coffee.png", "camera.png", "astronaut.png", "rocket.jpg")
    pictures = np.stack([*(tagger.prepare(sample_picture(name)) for name in names), tagger.prepare(decoded(noise(4)))])
    alone = np.concatenate([tagger.scores(one[None]) for one in pictures])
    shuffle = np.random.default_rng(5)
    for _ in range(6):
        order = shuffle.permutation(len(pictures))[:batch]
        together = tagger.scores(pictures[order])
        assert np.array_equal(together.view(np.uint32), alone[order].view(np.uint32))


def test_bytes_score_bit_for_bit_like_floats(models: Path, real: OnnxTagger) -> None:
    plain = onnxruntime.InferenceSession(str(locate(EFFICIENTNET, folder=models).onnx))
    batch = np.stack([real.prepare(decoded(noise(seed))) for seed in range(real.batch)])
    (expected,) = plain.run(None, {"input": batch.astype(np.float32)})
    assert np.array_equal(real.scores(batch).view(np.uint32), expected.view(np.uint32))


def test_weights_in_a_file_beside_the_graph_score_the_same_and_count_in_the_digest(
    tmp_path: Path, sentinel: Path
) -> None:
    beside = build_sentinel(tmp_path / "beside", weights_beside=True)
    assert run_one(loaded(beside), picture("red")) == run_one(loaded(sentinel), picture("red"))
    assert set(digest(locate(str(beside), folder=tmp_path))) == {"model.onnx", "model.onnx.data", "selected_tags.csv"}


# Refusals


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ({"output": "logits"}, "without the sigmoid"),
        ({"output": "twice"}, "applied twice"),
        ({"channels_first": True}, "channels last"),
    ],
)
def test_a_model_that_breaks_the_contract_is_refused(tmp_path: Path, variant: dict[str, Any], said: str) -> None:
    folder = build_sentinel(tmp_path / "broken", **variant)
    with pytest.raises(ModelError, match=said):
        loaded(folder)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("tag_id,name,category,count\n1,red,0,9\n", "1 labels for an output of shape \\(16,\\)"),
        ("tag_id,name\n1,red\n", "no column category"),
        ("name,category\nred,0\nblue,general\n", "line 3: category 'general'"),
        ("", "no column category and no column name"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, labels: str, said: str) -> None:
    folder = build_sentinel(tmp_path / "mislabelled")
    (folder / "selected_tags.csv").write_text(labels, encoding="utf-8")
    with pytest.raises(ModelError, match=said):
        loaded(folder)


def test_other_columns_other_orders_a_byte_order_mark_and_empty_lines_do_not_matter(
    tmp_path: Path, sentinel: Path
) -> None:
    folder = build_sentinel(tmp_path / "forked")
    lines = (folder / "selected_tags.csv").read_text(encoding="utf-8").splitlines()
    turned = [",".join([f"{number}", line]) for number, line in enumerate(lines[1:])]
    text = "\n".join(["id," + lines[0], *turned, ",,,,", ""])
    (folder / "selected_tags.csv").write_text(text, encoding="utf-8-sig")
    assert run_one(loaded(folder), picture("red")) == run_one(loaded(sentinel), picture("red"))


@pytest.mark.parametrize(
    "content", [b"version https://git-lfs.github.com/spec/v1\noid sha256:35f2\nsize 378536310\n", b""]
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = build_sentinel(tmp_path / "pointer")
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"pointer[/\\]model\.onnx"):
        loaded(folder)


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="it has CUDA")
def test_a_gpu_that_cannot_be_had_is_an_error_and_never_a_quiet_cpu(sentinel: Path) -> None:
    with pytest.raises(ModelError, match="built without CUDA"):
        loaded(sentinel, gpu=True)


# Files


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("vit-v3", "vit-v3"),
        ("wd-vit-tagger-v3", "vit-v3"),
        ("SmilingWolf/wd-vit-tagger-v3", "vit-v3"),
        ("wd14-vit-v2", "vit-v2"),
        ("wd-v1-4-vit-tagger-v2", "vit-v2"),
        ("wd14-convnext-v3", "convnext-v3"),
        ("WD-EVA02-Large-Tagger-v3", "eva02-large-v3"),
        (EFFICIENTNET, EFFICIENTNET),
    ],
)
def test_a_model_goes_by_several_names(said: str, name: str) -> None:
    found = table.find(said)
    assert found
    assert found.name == name


@pytest.mark.parametrize(
    ("asked", "published"),
    [
        ("wd14-vit-v3", ("SmilingWolf/wd-vit-tagger-v3", "7f6b584d0bd3f55c4531f14ba3d4761b2bccdc0f")),
        ("vit-v3@main", ("SmilingWolf/wd-vit-tagger-v3", "main")),
        (EFFICIENTNET, None),
        ("/models/vit-v3", None),
    ],
)
def test_of_a_model_it_is_told_where_it_is_published(asked: str, published: tuple[str, str] | None) -> None:
    wanted = {"repo": published[0], "revision": published[1]} if published else {}
    assert table.published(asked, table.TAGGERS) == wanted


def test_no_two_models_share_a_name() -> None:
    names = [name.lower() for entry in table.TAGGERS for name in entry.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("place", "asked", "name"),
    [
        ("vit-v3", "wd14-vit-v3", "vit-v3"),
        ("wd-vit-tagger-v3", "vit-v3", "vit-v3"),
        ("vit-v3@7f6b584d", "vit-v3@7f6b584d", "vit-v3"),
        ("my-own", "my-own", "my-own"),
    ],
)
def test_a_model_in_the_models_folder_is_found_there(tmp_path: Path, place: str, asked: str, name: str) -> None:
    folder = build_sentinel(tmp_path / place)
    found = locate(asked, folder=tmp_path)
    assert (found.name, found.onnx.parent) == (name, folder)
    assert found.entry == table.find(name)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("vit-v9", "did you mean vit-v3"),
        ("", "efficientnet-lite0"),
        ("./nowhere", "no model.onnx and no selected_tags.csv"),
        ("half", "no selected_tags.csv"),
        ("vit-v3@../../etc", "not a revision"),
        (f"{EFFICIENTNET}@main", "has no revisions"),
    ],
)
def test_a_model_that_is_not_there_is_said_to_be_missing(tmp_path: Path, asked: str, said: str) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "model.onnx").touch()
    with pytest.raises(ModelError, match=said) as caught:
        locate(asked, folder=tmp_path)
    assert "\n" not in str(caught.value)


def locate_offline(model: str, models: Path, cache: Path) -> str:
    """What another process, kept from the network, says of `model`: its graph's path, or the error."""
    code = (
        "import sys; from pathlib import Path\n"
        "from imageyard.manifests.errors import ModelError\n"
        "from imageyard.ray_jobs.models.files import locate\n"
        "try: print(locate(sys.argv[1], folder=Path(sys.argv[2])).onnx)\n"
        "except ModelError as error: print(error)\n"
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(cache), "HF_HUB_CACHE": str(cache / "hub")}
    command = [sys.executable, "-c", code, model, str(models)]
    return subprocess.run(command, env=offline, capture_output=True, text=True, check=True).stdout


def test_a_model_that_cannot_be_downloaded_says_where_to_put_it(tmp_path: Path) -> None:
    said = locate_offline("vit-v3", tmp_path, tmp_path / "cache")
    assert said.count("\n") == 1
    assert f"vit-v3: not in {tmp_path / 'vit-v3'}" in said
    assert "put model.onnx and selected_tags.csv into that folder" in said


def test_a_model_in_hugging_faces_cache_needs_no_network(tmp_path: Path) -> None:
    commit = "7f6b584d" * 5
    repository = tmp_path / "hub" / "models--SmilingWolf--wd-vit-tagger-v3"
    build_sentinel(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    for asked in ("vit-v3@main", f"wd-vit-tagger-v3@{commit}"):
        said = locate_offline(asked, tmp_path, tmp_path).strip()
        assert said == str(repository / "snapshots" / commit / "model.onnx")


def test_a_download_that_is_not_what_the_table_knows_is_refused(tmp_path: Path) -> None:
    entry = table.find("vit-v3")
    assert entry
    assert entry.revision
    place = tmp_path / "hub" / "models--SmilingWolf--wd-vit-tagger-v3" / "snapshots" / entry.revision
    build_sentinel(place)
    said = locate_offline("vit-v3", tmp_path, tmp_path)
    assert said.count("\n") == 1
    assert f"{place / 'model.onnx'} has sha256" in said
    assert f"SmilingWolf/wd-vit-tagger-v3 has {entry.sha256[0]}" in said


# The extractor


def test_where_a_model_lies_is_no_part_of_its_identity_and_its_files_are(tmp_path: Path) -> None:
    here, there = (Tagger.locate("own", folder=build_sentinel(tmp_path / at / "own").parent) for at in ("a", "b"))
    assert here.identity() == there.identity()
    assert here.identity().startswith("tags-")
    with (tmp_path / "b" / "own" / "selected_tags.csv").open("a") as stream:
        stream.write("\n")
    assert Tagger.locate("own", folder=tmp_path / "b").identity() != here.identity()


def test_a_tagger_travels_to_a_worker(sentinel: Path) -> None:
    tagger = Tagger.locate(str(sentinel), folder=sentinel.parent)
    arrived = pickle.loads(pickle.dumps(tagger))  # noqa: S301
    assert arrived == tagger
    assert arrived.identity() == tagger.identity()
    assert general_tags(run_one(arrived.load(threads=1, gpu=False), picture("red"))) == ["red", "flat"]


def test_a_worker_whose_files_are_not_those_of_the_plan_refuses_to_load(tmp_path: Path) -> None:
    tagger = Tagger.locate("own", folder=build_sentinel(tmp_path / "own").parent)
    build_sentinel(tmp_path / "own", batch=1)
    with pytest.raises(ModelError, match="put the same file on every machine"):
        tagger.load(threads=1, gpu=False)


@pytest.mark.parametrize(
    ("name", "threshold", "rating"),
    [("vit-v2", 0.35, True), ("vit-v3", 0.25, True), ("eva02-large-v3", 0.52, True), ("own", 0.35, True)],
)
def test_defaults_are_the_models_own(tmp_path: Path, name: str, threshold: float, rating: bool) -> None:
    tagger = Tagger.locate(name, folder=build_sentinel(tmp_path / name).parent)
    assert tagger.default_thresholds == {"general": threshold, "character": 0.85}
    assert tagger.has_rating == rating


def test_naming_a_tagger_loads_no_runtime() -> None:
    code = (
        "import sys, imageyard.ray_jobs.extractors.tagger\n"
        "print(sorted({'numpy', 'PIL', 'onnx', 'onnxruntime', 'torch', 'pyarrow'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


# A real one


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("chelsea.png", {"cat", "animal", "egyptian_cat"}),
        ("coffee.png", {"espresso"}),
        ("camera.png", {"tripod"}),
        ("motorcycle_left.png", {"moped"}),
        ("page.png", {"web_site"}),
    ],
)
def test_efficientnet_says_what_is_in_a_picture(real: OnnxTagger, name: str, tags: set[str]) -> None:
    assert tags <= set(general_tags(run_one(real, sample_picture(name)), 0.35))


def test_efficientnet_scores_as_torch_does(real: OnnxTagger) -> None:
    import torch

    pixels = real.prepare(sample_picture("coffee.png"))
    rgb = torch.tensor(pixels[:, :, ::-1].copy()).permute(2, 0, 1)[None] / 255
    halved = torch.nn.functional.avg_pool2d(rgb, 2)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (efficientnet.MEAN, efficientnet.STD))
    with torch.no_grad():
        expected = efficientnet._trained()((halved - mean) / std).softmax(1).numpy()
    scores = real.scores(pixels[None])
    np.testing.assert_allclose(scores[:, 4:1004], expected, atol=2e-6)
    cats = scores[0, 4 + 281 : 4 + 286].sum()
    assert scores[0, 1004 + [*efficientnet.GROUPS].index("cat")] == pytest.approx(cats, abs=1e-6)


def test_efficientnet_has_no_ratings_to_speak_of(models: Path, real: OnnxTagger) -> None:
    assert not Tagger.locate(EFFICIENTNET, folder=models).has_rating
    assert scores_by_tag(run_one(real, sample_picture("coffee.png")))["general"] == 1.0


def test_efficientnet_is_the_same_bytes_whoever_builds_it(tmp_path: Path, models: Path, real: OnnxTagger) -> None:
    again = locate(EFFICIENTNET, folder=tmp_path)
    assert digest(again) == digest(locate(EFFICIENTNET, folder=models))


def test_two_that_build_efficientnet_at_once_get_one_folder_and_leave_nothing_behind(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        built = list(pool.map(lambda _: efficientnet.build(tmp_path / EFFICIENTNET), range(2)))
    assert built == [tmp_path / EFFICIENTNET] * 2
    assert [path.name for path in tmp_path.iterdir()] == [EFFICIENTNET]
