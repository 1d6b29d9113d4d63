"""Taggers of every kind: the contract that a folder or the table says, its label tables, its pixels, its memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import pictures
from imageyard.manifests import Dataset
from imageyard.manifests.errors import ModelError
from imageyard.manifests.store import Store
from imageyard.ray_jobs.canonical import Decoded, decode
from imageyard.ray_jobs.extractors.embedding import Embedding
from imageyard.ray_jobs.extractors.tagger import Tagger
from imageyard.ray_jobs.models import table
from imageyard.ray_jobs.models.contract import Contract, TaggerContract
from imageyard.ray_jobs.models.files import locate
from imageyard.ray_jobs.models.onnx_session import OnnxSession
from imageyard.ray_jobs.models.onnx_tagger import OnnxTagger, sigmoid
from imageyard.ray_jobs.tag_categories import CATEGORIES, UNKNOWN
from jobs import drop, go, recipe, samples_of
from pictures import noise
from sentinel import CL_STYLE, ROWS, build_embedder, build_sentinel

DIGESTS = (("model.onnx", "1" * 64), ("selected_tags.csv", "2" * 64))


def decoded(image: Image.Image) -> Decoded:
    return decode(pictures.encoded(image, "PNG"))


def plain(colour: Any, size: tuple[int, int] = (448, 448), mode: str = "RGB") -> Decoded:
    return decoded(Image.new(mode, size, colour))


def loaded(folder: Path, **options: Any) -> OnnxTagger:
    return OnnxTagger(locate(str(folder), folder=folder.parent), **options)


def run_one(tagger: OnnxTagger, image: Decoded) -> dict[str, Any]:
    (row,) = tagger.run([tagger.prepare(image)])
    return row


def tags(scores: np.ndarray) -> set[str]:
    """The general tags of the sentinel that score a half or more."""
    return {row[0] for row, score in zip(ROWS, scores, strict=True) if row[1] == 0 and score >= 0.5}


@pytest.fixture(scope="module")
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sentinel(tmp_path_factory.mktemp("wd14") / "sentinel")


@pytest.fixture(scope="module")
def cl_style(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sentinel(tmp_path_factory.mktemp("cl") / "like-cl", **CL_STYLE)


# A wrongly prepared picture has other tags


def given_rgb(right: np.ndarray) -> np.ndarray:
    return right[:, :, ::-1]


def given_levels_to_1(right: np.ndarray) -> np.ndarray:
    return right / np.float32(255)


def given_planes(right: np.ndarray) -> np.ndarray:
    return right.transpose(2, 0, 1).reshape(right.shape)


def given_black_padding(right: np.ndarray) -> np.ndarray:
    return np.where((right == 255).all(axis=2, keepdims=True), 0, right)


@pytest.mark.parametrize(
    ("wrongly", "picture", "right", "wrong"),
    [
        (given_rgb, plain("red"), {"red", "flat"}, {"blue", "flat"}),
        (given_levels_to_1, plain("white"), {"bright", "flat"}, {"dark", "flat"}),
        (given_planes, plain("red"), {"red", "flat"}, {"high_contrast"}),
        (given_black_padding, plain("black", (448, 224)), {"high_contrast"}, {"dark", "flat"}),
    ],
)
def test_a_wrongly_prepared_picture_has_other_tags(
    sentinel: Path,
    wrongly: Callable[[np.ndarray], np.ndarray],
    picture: Decoded,
    right: set[str],
    wrong: set[str],
) -> None:
    tagger = loaded(sentinel)
    array = tagger.prepare(picture)
    session = onnxruntime.InferenceSession(str(sentinel / "model.onnx"))
    (scores,) = session.run(None, {"input": wrongly(array).astype(np.float32)[None]})
    assert tags(tagger.scores(array[None])[0]) == right
    assert tags(scores[0]) == wrong


@pytest.mark.parametrize(
    ("colour", "seen"),
    [
        ((255, 0, 0, 128), (255, 127, 127)),
        ((255, 0, 0, 0), (255, 255, 255)),
        ((10, 20, 30, 200), (63, 71, 79)),
        ((0, 0, 0, 1), (254, 254, 254)),
    ],
)
def test_what_is_transparent_is_seen_over_white(sentinel: Path, colour: Any, seen: tuple[int, int, int]) -> None:
    assert loaded(sentinel).prepare(plain(colour, mode="RGBA"))[0, 0].tolist() == [*reversed(seen)]


def palette(transparent: int) -> Image.Image:
    """Left half red, right half green; one of both is transparent."""
    image = Image.new("P", (448, 448))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(1, (224, 0, 448, 448))
    image.info["transparency"] = transparent
    return image


@pytest.mark.parametrize(
    ("image", "left", "right"),
    [
        (palette(0), (255, 255, 255), (0, 255, 0)),
        (palette(1), (255, 0, 0), (255, 255, 255)),
        (Image.new("LA", (448, 448), (0, 0)), (255, 255, 255), (255, 255, 255)),
        (Image.fromarray(np.full((448, 448), 256, np.uint16)), (1, 1, 1), (1, 1, 1)),
        (Image.fromarray(np.full((448, 448), 32768, np.uint16)), (128, 128, 128), (128, 128, 128)),
        (Image.fromarray(np.full((448, 448), 65535, np.uint16)), (255, 255, 255), (255, 255, 255)),
    ],
)
def test_palettes_grey_with_alpha_and_sixteen_bits_are_seen_as_they_look(
    sentinel: Path, image: Image.Image, left: tuple[int, int, int], right: tuple[int, int, int]
) -> None:
    array = loaded(sentinel).prepare(decoded(image))
    assert (array[0, 0, ::-1].tolist(), array[0, -1, ::-1].tolist()) == ([*left], [*right])


# A tagger like cl_tagger: planes, levels from -1 to 1, no sigmoid, tag_mapping.json


@pytest.mark.parametrize("picture", [plain("red"), plain("blue"), decoded(noise(1)), plain("black", (448, 224))])
def test_a_tagger_of_another_contract_says_the_same_of_a_picture(
    sentinel: Path, cl_style: Path, picture: Decoded
) -> None:
    one, other = (run_one(loaded(folder, floor=0.0), picture) for folder in (sentinel, cl_style))
    assert [*zip(one["index"], one["tag"], one["category"], strict=True)] == [
        *zip(other["index"], other["tag"], other["category"], strict=True)
    ]
    assert one["score"] == pytest.approx(other["score"], abs=2e-4)


@pytest.mark.parametrize("fixed", [1, 4])
def test_a_fixed_batch_is_filled_up_whatever_the_contract(tmp_path: Path, cl_style: Path, fixed: int) -> None:
    tagger = loaded(build_sentinel(tmp_path / "fixed", batch=fixed, **CL_STYLE))
    assert tagger.batch == fixed
    assert run_one(tagger, plain("red")) == run_one(loaded(cl_style), plain("red"))


def test_planes_of_bytes_score_bit_for_bit_like_scaled_floats(cl_style: Path) -> None:
    tagger = loaded(cl_style, batch=2)
    batch = np.stack([tagger.prepare(decoded(noise(seed))) for seed in range(2)])
    gain, shift = np.float32(1 / (255 * 0.5)), np.float32(1)
    session = onnxruntime.InferenceSession(str(cl_style / "model.onnx"))
    (logits,) = session.run(None, {"input": batch.astype(np.float32) * gain - shift})
    assert np.array_equal(tagger.scores(batch).view(np.uint32), sigmoid(logits).view(np.uint32))


def test_the_sigmoid_overflows_for_no_number() -> None:
    found = sigmoid(np.array([-3e38, -100, 0, 100, 3e38, np.nan], np.float32))
    assert found[:5].tolist() == pytest.approx([0, 0, 0.5, 1, 1], abs=1e-30)
    assert np.isnan(found[5])


def test_a_run_takes_a_list_of_pictures_or_a_stack(cl_style: Path) -> None:
    tagger = loaded(cl_style, batch=2)
    arrays = [tagger.prepare(plain(colour)) for colour in ("red", "blue")]
    assert tagger.run(arrays) == tagger.run(np.stack(arrays))  # type: ignore[arg-type]  # numpy does not say that a stack is a sequence


def test_squashed_pictures_are_resampled_as_the_contract_says(tmp_path: Path) -> None:
    said: dict[str, Any] = {"channels": "rgb", "resize": "squash", "resample": "bilinear"}
    tagger = loaded(build_sentinel(tmp_path / "squashed", rgb=True, **said))
    image = noise(3, (2000, 500))  # so large that blocks of pixels could be averaged first, and are not
    expected = np.asarray(image.resize((448, 448), Image.Resampling.BILINEAR))
    assert np.array_equal(tagger.prepare(decoded(image)), expected)
    assert "red" in run_one(tagger, plain("red", (900, 500)))["tag"][:2]


@pytest.mark.parametrize("output", ["output", 0])
def test_the_scores_are_of_the_output_that_the_contract_names(tmp_path: Path, output: str | int) -> None:
    folder = build_sentinel(tmp_path / "named")
    (folder / "tagger.json").write_text(json.dumps({"output": output}))
    assert "red" in run_one(loaded(folder), plain("red"))["tag"]


# Label tables


def relabelled(tmp_path: Path, kind: str, name: str, text: str) -> Path:
    folder = build_sentinel(tmp_path / "relabelled", **CL_STYLE)
    (folder / "tag_mapping.json").unlink()
    said = {key: CL_STYLE[key] for key in ("layout", "mean", "std", "logits")}
    (folder / "tagger.json").write_text(json.dumps(said | {"labels": kind}))
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def named_categories(*names: str) -> str:
    said = [*names, *["General"] * (len(ROWS) - len(names))]
    return json.dumps({str(at): {"tag": f"tag_{at}", "category": name} for at, name in enumerate(said)})


def test_categories_of_a_tag_mapping_get_their_codes_and_an_unknown_one_is_kept(tmp_path: Path) -> None:
    names = ("Rating", "General", "Character", "Copyright", "Artist", "Meta", "Quality", "Model", "Species")
    folder = relabelled(tmp_path, "tag_mapping", "tag_mapping.json", named_categories(*names))
    row = run_one(loaded(folder, floor=0.0), plain("red"))
    by_tag = dict(zip(row["tag"], row["category"], strict=True))
    assert [by_tag[f"tag_{at}"] for at in range(len(names))] == [9, 0, 4, 3, 1, 5, 11, 12, UNKNOWN]
    assert len(set(CATEGORIES.values())) == len(CATEGORIES)


def test_a_number_that_is_no_category_is_kept_as_it_is(tmp_path: Path, sentinel: Path) -> None:
    folder = build_sentinel(tmp_path / "odd")
    table_of = folder / "selected_tags.csv"
    table_of.write_text(table_of.read_text().replace("somebody,1,", "somebody,77,"))
    row = run_one(loaded(folder, floor=0.0), plain("red"))
    assert row["category"][row["tag"].index("somebody")] == 77


def test_a_tag_mapping_may_be_two_tables(tmp_path: Path, cl_style: Path) -> None:
    mapping = json.loads((cl_style / "tag_mapping.json").read_text())
    said = {
        "idx_to_tag": {number: entry["tag"] for number, entry in mapping.items()},
        "tag_to_category": {entry["tag"]: entry["category"] for entry in mapping.values()},
    }
    folder = relabelled(tmp_path, "tag_mapping", "tag_mapping.json", json.dumps(said))
    assert run_one(loaded(folder), plain("red")) == run_one(loaded(cl_style), plain("red"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tags.txt", "\n".join(f"tag_{at}" for at in range(16)) + "\n\n"),
        ("tags.txt", "\ufeff" + "\r\n".join(f"tag_{at}" for at in range(16))),
        ("classes.json", json.dumps([f"tag_{at}" for at in range(16)])),
    ],
)
def test_plain_names_are_general_tags(tmp_path: Path, name: str, text: str) -> None:
    row = run_one(loaded(relabelled(tmp_path, "names", name, text), floor=0.0), plain("red"))
    assert sorted(row["tag"]) == sorted(f"tag_{at}" for at in range(16))
    assert set(row["category"]) == {0}


@pytest.mark.parametrize(
    ("kind", "name", "text", "said"),
    [
        ("tag_mapping", "tag_mapping.json", '{"0": {"tag": "a", "category": "General"}}', "1 labels for an output"),
        ("tag_mapping", "tag_mapping.json", '{"1": {"tag": "a", "category": "General"}}', "none of number 0"),
        ("tag_mapping", "tag_mapping.json", '{"0": {"tag": "a"}}', "entry 0 has no `tag` and `category`"),
        ("tag_mapping", "tag_mapping.json", '{"0": "a"}', "entry 0 has no `tag` and `category`"),
        ("tag_mapping", "tag_mapping.json", '["a"]', "not a table of tags by number"),
        ("tag_mapping", "tag_mapping.json", "{", "cannot be read"),
        ("names", "classes.json", '{"a": 1}', "not a list of names"),
        ("names", "tags.txt", "a\nb\n", "2 labels for an output"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, kind: str, name: str, text: str, said: str) -> None:
    with pytest.raises(ModelError, match=re.escape(name)) as caught:
        loaded(relabelled(tmp_path, kind, name, text))
    assert said in str(caught.value)


# What a folder says


@pytest.mark.parametrize(
    ("variant", "card", "said"),
    [
        ({}, {"logits": True}, "applied twice; it gives probabilities, so leave `logits` out"),
        ({"output": "logits"}, {}, 'say so with "logits": true'),
        ({}, {"output": "prediction"}, "no output 'prediction'; the tagger.json beside it may name one of output"),
        ({}, {"output": 3}, "no output 3"),
        ({}, {"layout": "NCHW"}, r"where its contract says (images, 3, side, side), channels first"),
        ({}, {"layout": "NCHW", "mean": [0.5] * 3, "std": [0.5] * 3}, "is `layout` right"),
        ({}, {"side": 224}, "where its contract says (images, 224, 224, 3)"),
        ({}, {"mean": [0.5, 0.5, 0.5]}, "mean and std stand together"),
        ({}, {"colours": "rgb"}, "`colours`: Extra inputs are not permitted"),
        ({}, {"thresholds": {"generl": 0.3}}, "'generl' is no category; there are general"),
        ({}, {"thresholds": {"general": -0.3}}, "general: -0.3 is below 0"),
    ],
)
def test_a_contract_that_the_model_does_not_keep_is_refused(
    tmp_path: Path, variant: dict[str, Any], card: dict[str, Any], said: str
) -> None:
    folder = build_sentinel(tmp_path / "other", **variant)
    (folder / "tagger.json").write_text(json.dumps(card))
    with pytest.raises(ModelError) as caught:
        loaded(folder)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_the_table_that_its_contract_names_says_which(tmp_path: Path) -> None:
    folder = build_sentinel(tmp_path / "bare", **CL_STYLE)
    (folder / "tag_mapping.json").unlink()
    with pytest.raises(ModelError, match=r"no tag_mapping\.json"):
        locate(str(folder), folder=tmp_path)


def test_thresholds_are_a_folders_own_and_shape_no_score(tmp_path: Path) -> None:
    def located(name: str, thresholds: dict[str, float]) -> Tagger:
        folder = build_sentinel(tmp_path / name / "own", **CL_STYLE, thresholds=thresholds)
        return Tagger.locate(str(folder), folder=tmp_path)

    one, other = located("a", {"general": 0.5, "artist": 0.2}), located("b", {})
    assert one.default_thresholds == {"general": 0.5, "character": 0.85, "artist": 0.2}
    assert other.default_thresholds == {"general": 0.35, "character": 0.85}
    assert one.identity() == other.identity()


# Identities


def test_identities_of_wd14_taggers_and_embedders_are_what_they_were_before_there_were_contracts() -> None:
    """Facts in existing datasets lie under these names."""
    place: dict[str, Any] = {"source": "", "folder": Path()}
    names = {
        Tagger(model="sentinel", digests=DIGESTS, **place).identity(),
        Tagger(model="sentinel", digests=DIGESTS, preprocess=TaggerContract().pixels, **place).identity(),
        Tagger(model="sentinel", digests=DIGESTS, contract=None, thresholds=(("general", 0.5),), **place).identity(),
    }
    assert names == {"tags-88c8e540a32fa6c1"}
    contract = Contract(side=16, layout="NCHW", channels="rgb", resize="squash", dimensions=48)
    assert (
        Embedding(model="cells", contract=contract, digests=DIGESTS, **place).identity() == "embedding-6f3a9986d48052f2"
    )


def test_a_contract_is_part_of_an_identity_unless_it_is_wd14s(tmp_path: Path) -> None:
    def identity(name: str, **said: Any) -> str:
        folder = build_sentinel(tmp_path / name / "own")
        if said:
            (folder / "tagger.json").write_text(json.dumps(said))
        return Tagger.locate(str(folder), folder=tmp_path).identity()

    bare, same = identity("bare"), identity("same", layout="NHWC", channels="bgr", resize="pad")
    others = {identity("a", channels="rgb"), identity("b", resize="squash"), identity("c", logits=True)}
    assert bare == same
    assert len(others | {bare}) == 4


def test_what_was_planned_is_loaded_whatever_a_tagger_json_says_later(tmp_path: Path) -> None:
    folder = build_sentinel(tmp_path / "own")
    tagger = Tagger.locate(str(folder), folder=tmp_path)
    (folder / "tagger.json").write_text(json.dumps({"channels": "rgb"}))
    assert "red" in run_one(tagger.load(threads=1, gpu=False), plain("red"))["tag"][:2]


# The table


def test_every_revision_and_digest_of_the_table_is_a_whole_one() -> None:
    for entry in table.TAGGERS:
        assert entry.repo is None or re.fullmatch("[0-9a-f]{40}", entry.revision or "")
        assert all(known is None or re.fullmatch("[0-9a-f]{64}", known) for known in entry.sha256)
        assert entry.balanced is None or abs(entry.balanced - entry.general) < 0.05


@pytest.mark.parametrize("asked", ["cl-tagger", "cl_tagger", "cella110n/cl_tagger", "cl_tagger_1_02"])
def test_a_tagger_of_the_table_is_found_by_its_own_files_with_its_own_contract(tmp_path: Path, asked: str) -> None:
    style: dict[str, Any] = {key: CL_STYLE[key] for key in ("channels_first", "levels", "output", "labels")}
    build_sentinel(tmp_path / "cl-tagger", graph_name="model_optimized.onnx", **style)
    tagger = Tagger.locate(asked, folder=tmp_path)
    assert (tagger.model, set(tagger.files())) == ("cl-tagger", {"model_optimized.onnx", "tag_mapping.json"})
    assert tagger.contract
    assert tagger.contract.logits
    assert tags(np.array(loaded(tmp_path / "cl-tagger").scores(np.zeros((1, 3, 448, 448), np.uint8))[0])) == {
        "dark",
        "flat",
    }


def test_what_the_table_says_of_a_tagger_can_be_said_otherwise_beside_it(tmp_path: Path) -> None:
    folder = build_sentinel(tmp_path / "pixai-v0.9")
    with pytest.raises(ModelError, match="is `layout` right"):
        loaded(folder)
    (folder / "tagger.json").write_text("{}")
    tagger = Tagger.locate("pixai-tagger-v0.9", folder=tmp_path)
    assert (tagger.contract, tagger.default_thresholds["general"]) == (None, 0.3)
    assert "red" in run_one(tagger.load(threads=1, gpu=False), plain("red"))["tag"]


def test_a_graph_keeps_the_name_that_it_was_published_under(tmp_path: Path) -> None:
    style: dict[str, Any] = {
        "channels_first": True,
        "levels": "0…1",
        "rgb": True,
        "output": "logits",
        "labels": "names",
    }
    build_sentinel(tmp_path / "ml-danbooru", graph_name="ml_caformer_m36_dec-5-97527.onnx", **style)
    tagger = Tagger.locate("mld-caformer", folder=tmp_path)
    assert "red" in run_one(tagger.load(threads=1, gpu=False), plain("red"))["tag"]
    assert (tagger.default_thresholds["general"], tagger.has_rating) == (0.7, False)


# In a store


@pytest.mark.server
def test_a_tagger_in_a_bucket_is_named_copied_and_run(tmp_path: Path, bucket: str, sentinel: Path) -> None:
    url = f"s3://{bucket}/models/sentinel"
    store = Store.open(url)
    for path in sentinel.iterdir():
        store.create(path.name, path.read_bytes())
    store.create("README.md", b"not needed")
    tagger = Tagger.locate(url, folder=tmp_path / "models")
    assert tagger.model == "sentinel"
    assert tagger.identity() == Tagger.locate(str(sentinel), folder=tmp_path).identity()
    assert "red" in run_one(tagger.load(threads=1, gpu=False), plain("red"))["tag"]
    (place,) = (tmp_path / "models").iterdir()
    assert not (place / "README.md").exists()


def test_a_recipe_may_name_a_tagger_in_a_store(tmp_path: Path) -> None:
    folder = build_sentinel(tmp_path / "store" / "like-cl", **CL_STYLE)
    dataset = Dataset.open((tmp_path / "set").as_uri())
    drop(dataset, {"red.png": pictures.flat("red", (64, 64))})
    done = recipe(dataset, "ingest", {"tag": {"model": folder.as_uri()}})
    (sample,) = samples_of(dataset, go(dataset, done, tmp_path / "models").version)
    said = sample.value("tags-metadata")
    assert said["model"] == "like-cl"
    assert set(said["class-map"].values()) == {"red", "flat", "saber (fate)"}


def test_a_model_that_changes_in_its_store_is_another_and_a_job_begun_with_the_first_says_so(tmp_path: Path) -> None:
    folder = build_sentinel(tmp_path / "store" / "vit-v3")
    before = Tagger.locate(folder.as_uri(), folder=tmp_path / "models")
    assert (before.model, before.default_thresholds["general"]) == ("vit-v3", 0.25)
    build_sentinel(folder, batch=1)
    after = Tagger.locate(folder.as_uri(), folder=tmp_path / "models")
    assert after.identity() != before.identity()
    with pytest.raises(ModelError, match="where the job was planned with"):
        before.load(threads=1, gpu=False)


def test_a_folder_of_a_store_that_lacks_a_file_is_named_with_it(tmp_path: Path) -> None:
    folder = build_sentinel(tmp_path / "store" / "half")
    (folder / "selected_tags.csv").unlink()
    with pytest.raises(ModelError) as caught:
        Tagger.locate(folder.as_uri(), folder=tmp_path / "models")
    assert str(caught.value) == f"{folder.as_uri()}: there is no selected_tags.csv in it; put it there"


def test_an_embedding_model_may_lie_in_a_store_too(tmp_path: Path) -> None:
    folder = build_embedder(tmp_path / "store" / "cells")
    found = Embedding.locate(folder.as_uri(), folder=tmp_path / "models")
    assert (found.model, found.identity()) == ("cells", Embedding.locate(str(folder), folder=tmp_path).identity())
    assert found.load(threads=1, gpu=False).batch > 0


# Out of memory


def test_a_batch_that_does_not_fit_is_halved_and_the_size_is_remembered(tmp_path: Path) -> None:
    found = locate(str(build_sentinel(tmp_path / "hungry", side=8, fits=2.5)), folder=tmp_path)
    session = OnnxSession(found, batch=8)
    images = np.concatenate([np.zeros((8, 8, 8, 3), np.uint8), np.full((3, 8, 8, 3), 255, np.uint8)])
    alone = np.concatenate([session.run(one[None]) for one in images])
    assert session.at_once == 8
    assert session.run(images) == pytest.approx(alone, abs=1e-6)
    assert session.at_once == 2
    session.run(images[-1:])
    assert (session.at_once, session.batch) == (2, 8)


def test_threads_that_run_out_of_memory_at_once_lose_no_image(tmp_path: Path) -> None:
    found = locate(str(build_sentinel(tmp_path / "hungry", side=8, fits=1.5)), folder=tmp_path)
    session = OnnxSession(found, batch=4, threads=2)
    images = np.zeros((8, 8, 8, 3), np.uint8)
    images[::2] = 255
    given = session.run(images)
    assert given.shape == (8, len(ROWS))
    assert given[::2] == pytest.approx(np.repeat(given[:1], 4, axis=0), abs=1e-6)
    assert given[1::2] == pytest.approx(np.repeat(given[1:2], 4, axis=0), abs=1e-6)


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ({"fits": 0.9}, "one image alone does not fit into memory"),
        ({"fits": 2.5, "batch": 4}, "the 4 images that its graph always takes do not fit into memory"),
    ],
)
def test_what_cannot_be_halved_is_an_error_of_memory(tmp_path: Path, variant: dict[str, Any], said: str) -> None:
    tagger = loaded(build_sentinel(tmp_path / "hungry", side=8, **variant))
    with pytest.raises(MemoryError, match=said) as caught:
        tagger.run([tagger.prepare(plain("black", (8, 8)))] * 4)
    assert "hungry" in str(caught.value)


def test_a_model_that_takes_not_even_one_grey_image_fails_as_it_is_loaded(tmp_path: Path) -> None:
    folder = build_sentinel(tmp_path / "hungry", side=8, fits=0.1)
    with pytest.raises(ModelError, match=r"hungry[/\\]model\.onnx: .*does not fit into memory"):
        loaded(folder)
