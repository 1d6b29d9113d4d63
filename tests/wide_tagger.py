"""Taggers of the WD14 contract, with names that trip naive code: one has random weights, one always says the same."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, CELLS = 448, 8
RATINGS = ("general", "sensitive", "questionable", "explicit")
KAOMOJI = (
    *("0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^"),
    *("o_o", "u_u", "x_x", "|_|", "||_||"),
)
GENERAL = (
    *("1girl", "solo", "2girls", "1boy", "multiple_girls", "6+girls", "smile", "grin", "blush", "upper_body"),
    *("hair", "long_hair", "very_long_hair", "absurdly_long_hair", "chair", "wet_hair", "hair_over_one_eye", "bangs"),
    *("blue_eyes", "closed_eyes", "glowing_eyes", "blonde_hair", "cat_ears", "animal_ears", "hand_in_own_hair"),
    *("shirt", "white_shirt", "no_shirt", "shirt_lift", "t-shirt", "hat", "baseball_cap", "hair_ribbon", "jewelry"),
    *("hairband", "hairbands", "earrings", "day", "night", "sky", "night_sky", "outdoors", "indoors"),
    *(";d", ";)", ";o", ";p", ";q", ";3", "\\m/", "\\o/", "\\n/", "\\||/", 'don\'t_say_"lazy"', ">:(", ">:)", ":)"),
    *("?", "!", "!!", "!?", "...", "^^^", "+++", ":3", ":/", "3", "v", "w", "x"),
    *("star_(symbol)", "watercolor_(medium)", "bow_(weapon)", "excalibur_(fate/stay_night)"),
    *("shimakaze_(kancolle)_(cosplay)", "on_the_line", *KAOMOJI),
)
CHARACTERS = (
    *("saber_(fate)", "rin_(fate)", "hatsune_miku", "saber_(swimsuit)_(fate)", "hu_tao_(genshin_impact)"),
    *("skadi_(arknights)", "2b_(nier:automata)", "somebody's_cat", "d.va_(overwatch)", "artoria_pendragon_(fate)"),
)

LINE = 0.45
"""The score of `on_the_line`, whatever the picture, but for the last bits of 32, which are below."""

Row = tuple[str, int, float]
"""Name, category, score."""
GOLDEN: Sequence[Row] = (
    ("general", 9, 0.90),
    ("sensitive", 9, 0.10),
    ("questionable", 9, 0.02),
    ("explicit", 9, 0.01),
    ("1girl", 0, 0.99),
    ("solo", 0, 0.95),
    ("long_hair", 0, 0.40),
    ("smile", 0, 0.36),
    ("blush", 0, 0.34),
    ("^_^", 0, 0.50),
    ("(o)_(o)", 0, 0.60),
    ("\\m/", 0, 0.55),
    (":)", 0, 0.52),
    ('don\'t_say_"lazy"', 0, 0.45),
    ("star_(symbol)", 0, 0.44),
    ("hair", 0, 0.38),
    ("chair", 0, 0.37),
    ("hairband", 0, 0.43),
    ("hairbands", 0, 0.42),
    ("wet_hair", 0, 0.41),
    ("saber_(fate)", 4, 0.90),
    ("rin_(fate)", 4, 0.86),
    ("hatsune_miku", 4, 0.30),
    ("ganyu_(genshin_impact)", 4, 0.02),
)
"""The reference's example of scores, with more names."""


def build_wide(
    folder: Path, *, seed: int = 0, batch: int | None = None, characters: Sequence[str] = CHARACTERS
) -> Path:
    """Write model.onnx and selected_tags.csv into `folder`, which is made, and return it.

    Scores hang on the means and the spreads of each channel in 8 x 8 cells, so that pictures get different tags, and
    a resampling that keeps less detail other scores. `batch` is fixed in the graph if it is given.
    """
    random = np.random.default_rng(seed)
    names = [*RATINGS, *GENERAL, *characters]
    features = CELLS * CELLS * 3
    sure = np.where(np.isin(names, characters), 3.0, 1.0)  # most pictures have no character or one
    means = random.normal(0, 0.35, (features, len(names))) * sure
    spreads = random.normal(0, 1.5, (features, len(names))) * sure
    weights = np.concatenate([means, spreads]).astype(np.float32)
    biases = random.normal(-0.6, 0.6, len(names)) - means.sum(0) * 0.5 - 2 * (sure - 1)
    weights[:, names.index("on_the_line")] = 0
    biases[names.index("on_the_line")] = math.log(LINE / (1 - LINE)) - 2e-7
    cells = {"kernel_shape": [SIDE // CELLS] * 2, "strides": [SIDE // CELLS] * 2}
    nodes = [
        helper.make_node("Div", ["input", "white"], ["x"]),
        helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["means"], **cells),
        helper.make_node("Mul", ["planes", "planes"], ["squares"]),
        helper.make_node("AveragePool", ["squares"], ["mean_squares"], **cells),
        helper.make_node("Mul", ["means", "means"], ["squared_means"]),
        helper.make_node("Sub", ["mean_squares", "squared_means"], ["spreads"]),
        helper.make_node("Flatten", ["means"], ["flat_means"]),
        helper.make_node("Flatten", ["spreads"], ["flat_spreads"]),
        helper.make_node("Concat", ["flat_means", "flat_spreads"], ["features"], axis=1),
        helper.make_node("Gemm", ["features", "weights", "biases"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["output"]),
    ]
    constants = {"white": np.array(255, np.float32), "weights": weights, "biases": biases.astype(np.float32)}
    categories = [9] * len(RATINGS) + [0] * len(GENERAL) + [4] * len(characters)
    return _written(folder, nodes, constants, list(zip(names, categories, strict=True)), batch)


def build_constant(folder: Path, rows: Sequence[Row], *, batch: int | None = None) -> Path:
    """The same for a tagger that gives every picture the scores of `rows`."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("Gemm", ["means", "nothing", "biases"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["output"]),
    ]
    biases = np.array([math.log(score / (1 - score)) for _, _, score in rows], np.float32)
    constants = {"nothing": np.zeros((3, len(rows)), np.float32), "biases": biases}
    return _written(folder, nodes, constants, [row[:2] for row in rows], batch)


def _written(
    folder: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    labels: Sequence[tuple[str, int]],
    batch: int | None,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    count: int | str = "batch_size" if batch is None else batch
    graph = helper.make_graph(
        nodes,
        folder.name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [count, SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [count, len(labels)])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, folder / "model.onnx")
    with (folder / "selected_tags.csv").open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(["tag_id", "name", "category", "count"])
        lines.writerows([number, name, category, 0] for number, (name, category) in enumerate(labels))
    return folder
