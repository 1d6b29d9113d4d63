"""A tagger of the WD14 contract and an embedding model, made in a moment, that say what their pixels were.

The tagger's tags: `red`, `green`, `blue`: that channel stands out. `bright`, `dark`: the mean. `flat`,
`high_contrast`: the variance. So RGB fed for BGR swaps `red` and `blue`, 0…1 fed for 0…255 makes everything `dark`,
and black padding makes a wide black picture `dark`, which with white padding is neither.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from imageyard.ray_jobs.models.contract import Table

Output = Literal["sigmoid", "twice", "logits", "no-number-for-black"]
Levels = Literal["0…255", "0…1", "-1…1"]

ROWS: tuple[tuple[str, int, float, tuple[float, float, float], float], ...] = (
    # name, category, bias, weights of the means of B, G and R (0 to 1), weight of the sum of their variances
    ("general", 9, 3.0, (0, 0, 0), -16),
    ("sensitive", 9, -3.0, (0, 0, 0), 16),
    ("questionable", 9, -5.0, (0, 0, 0), 0),
    ("explicit", 9, -6.0, (0, 0, 0), 0),
    ("red", 0, -8.0, (-8, -8, 16), 0),
    ("green", 0, -8.0, (-8, 16, -8), 0),
    ("blue", 0, -8.0, (16, -8, -8), 0),
    ("bright", 0, -16.0, (6.67, 6.67, 6.67), 0),
    ("dark", 0, 4.0, (-6.67, -6.67, -6.67), 0),
    ("flat", 0, 4.0, (0, 0, 0), -400),
    ("high_contrast", 0, -8.0, (0, 0, 0), 60),
    ("^_^", 0, -1.0, (0, 0, 0), 0),
    ('don\'t_say_"lazy",_please', 0, -2.0, (0, 0, 0), 0),
    ("saber_(fate)", 4, -6.0, (-5, -5, 10), 0),
    ("hatsune_miku", 4, -6.0, (5, 5, -10), 0),
    ("somebody", 1, -6.0, (0, 0, 0), 0),
)

NAMED = {0: "General", 1: "Artist", 4: "Character", 9: "Rating"}
CL_STYLE: dict[str, Any] = {
    "channels_first": True,
    "levels": "-1…1",
    "output": "logits",
    "labels": "tag_mapping",
    "layout": "NCHW",
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "logits": True,
}
"""Of a sentinel that is like cl_tagger, and says so in its tagger.json."""


def build_sentinel(
    folder: Path,
    *,
    batch: int | None = None,
    side: int = 448,
    output: Output = "sigmoid",
    channels_first: bool = False,
    weights_beside: bool = False,
    levels: Levels = "0…255",
    rgb: bool = False,
    labels: Table = "selected_tags",
    graph_name: str = "model.onnx",
    fits: float | None = None,
    **said: Any,
) -> Path:
    """Write a graph and a table of labels into `folder`, which is made, and return it.

    `batch` is fixed in the graph if it is given. `weights_beside` puts the weights into a file of their own. `levels`
    and `rgb` are what the graph takes. `fits`: a run whose images are together darker than so many black ones asks
    for more memory than any machine has; white ones, with which a run is filled up, ask for none. `said` is for a
    tagger.json, which is written if there is any.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = ["batch_size" if batch is None else batch, side, side, 3]
    if channels_first:
        shape = [shape[0], 3, side, side]
    axes = [2, 3] if channels_first else [1, 2]
    weights = np.array(
        [[*(means[::-1] if rgb else means), *[spread] * 3] for _, _, _, means, spread in ROWS], np.float32
    ).T
    black, white = {"0…255": (0, 255), "0…1": (0, 1), "-1…1": (-1, 1)}[levels]
    nodes = [
        *([helper.make_node("Sub", ["input", "black"], ["above_black"])] if black else []),
        helper.make_node("Div", ["above_black" if black else "input", "white"], ["x"]),
        helper.make_node("ReduceMean", ["x"], ["means"], axes=axes, keepdims=0),
        helper.make_node("Mul", ["x", "x"], ["squares"]),
        helper.make_node("ReduceMean", ["squares"], ["mean_squares"], axes=axes, keepdims=0),
        helper.make_node("Mul", ["means", "means"], ["squared_means"]),
        helper.make_node("Sub", ["mean_squares", "squared_means"], ["variances"]),
        helper.make_node("Concat", ["means", "variances"], ["features"], axis=1),
        helper.make_node("Gemm", ["features", "weights", "biases"], ["sated" if fits is not None else "logits"]),
        *(_hunger() if fits is not None else []),
        *_ending(output),
    ]
    graph = helper.make_graph(
        nodes,
        "sentinel",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [shape[0], len(ROWS)])],
        [
            numpy_helper.from_array(np.array(white - black, np.float32), "white"),
            *([numpy_helper.from_array(np.array(black, np.float32), "black")] if black else []),
            *([numpy_helper.from_array(np.array([fits], np.float32), "fits")] if fits is not None else []),
            numpy_helper.from_array(np.array(0, np.float32), "nothing"),
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([row[2] for row in ROWS], np.float32), "biases"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(
        model,
        folder / graph_name,
        save_as_external_data=weights_beside,
        location=f"{graph_name}.data" if weights_beside else None,
        size_threshold=0,
    )
    if said:
        (folder / "tagger.json").write_text(json.dumps(said | {"labels": labels}), encoding="utf-8")
    if labels == "names":
        (folder / "tags.txt").write_text("\n".join(row[0] for row in ROWS) + "\n", encoding="utf-8")
        return folder
    if labels == "tag_mapping":
        mapping = {str(number): {"tag": row[0], "category": NAMED[row[1]]} for number, row in enumerate(ROWS)}
        (folder / "tag_mapping.json").write_text(json.dumps(mapping), encoding="utf-8")
        return folder
    with (folder / "selected_tags.csv").open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(["tag_id", "name", "category", "count"])
        lines.writerows([number, row[0], row[1], 100 - number] for number, row in enumerate(ROWS))
    return folder


def _ending(output: Output) -> list[onnx.NodeProto]:
    if output == "logits":
        return [helper.make_node("Identity", ["logits"], ["output"])]
    if output == "twice":
        return [helper.make_node("Sigmoid", ["logits"], ["once"]), helper.make_node("Sigmoid", ["once"], ["output"])]
    if output == "sigmoid":
        return [helper.make_node("Sigmoid", ["logits"], ["output"])]
    return [  # 0 * log(0) is no number
        helper.make_node("Sigmoid", ["logits"], ["once"]),
        helper.make_node("ReduceMean", ["means"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Log", ["mean"], ["log"]),
        helper.make_node("Mul", ["log", "nothing"], ["spoiler"]),
        helper.make_node("Add", ["once", "spoiler"], ["output"]),
    ]


def _hunger() -> list[onnx.NodeProto]:
    """Nodes from `sated` to `logits`, the same, which ask for 2^48 numbers if the images are darker than `fits`."""
    return [
        helper.make_node("ReduceMean", ["x"], ["light"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Constant", [], ["all_light"], value=numpy_helper.from_array(np.array(1, np.float32))),
        helper.make_node("Sub", ["all_light", "light"], ["darkness"]),
        helper.make_node("ReduceSum", ["darkness"], ["total"], keepdims=1),
        helper.make_node("Greater", ["total", "fits"], ["too_much"]),
        helper.make_node("Constant", [], ["huge"], value_ints=[2**48]),
        helper.make_node("Constant", [], ["one"], value_ints=[1]),
        helper.make_node("Where", ["too_much", "huge", "one"], ["asked"]),
        helper.make_node("Constant", [], ["zero"], value=numpy_helper.from_array(np.zeros(1, np.float32))),
        helper.make_node("Expand", ["zero", "asked"], ["taken"]),
        helper.make_node("ReduceSum", ["taken"], ["zero_again"], keepdims=1),
        helper.make_node("Add", ["sated", "zero_again"], ["logits"]),
    ]


def build_embedder(
    folder: Path,
    *,
    side: int = 16,
    layout: Literal["NCHW", "NHWC"] = "NCHW",
    takes: int = TensorProto.FLOAT,
    batch: int | None = None,
    any_side: bool = False,
    divided: bool = False,
    weights_beside: bool = False,
    **said: Any,
) -> Path:
    """Write model.onnx and embedding.json into `folder`, which is made, and return it.

    Its first output, `cells`, is what the input is worth, channel by channel, in each of 4 x 4 cells: 48 numbers.
    `tokens` has the same as a sequence of 16 cells; `apart` has no row an image. `divided`: cells are divided by the
    largest of them, which of black is no number. `said` is for embedding.json, which else says the truth and no mean
    and std; a value of None leaves a line out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sides: list[int | str] = ["height", "width"] if any_side else [side, side]
    count: int | str = "batch_size" if batch is None else batch
    nodes = [
        helper.make_node("Cast", ["input"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 1, 2, 3] if layout == "NCHW" else [0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["pooled"], kernel_shape=[side // 4] * 2, strides=[side // 4] * 2),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Mul", ["flat", "ones"], ["weighted"]),
        helper.make_node("ReduceMax", ["weighted"], ["largest"], axes=[1], keepdims=1),
        helper.make_node("Div", ["weighted", "largest"], ["of-largest"]),
        helper.make_node("Identity", ["of-largest" if divided else "weighted"], ["cells"]),
        helper.make_node("Constant", [], ["apart"], value_ints=[0, 3, 16]),
        helper.make_node("Reshape", ["weighted", "apart"], ["channels"]),
        helper.make_node("Transpose", ["channels"], ["tokens"], perm=[0, 2, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info("input", takes, [count, 3, *sides] if layout == "NCHW" else [count, *sides, 3])],
        [
            helper.make_tensor_value_info("cells", TensorProto.FLOAT, [count, 48]),
            helper.make_tensor_value_info("tokens", TensorProto.FLOAT, [count, 16, 3]),
            helper.make_tensor_value_info("apart", TensorProto.INT64, [3]),
        ],
        [numpy_helper.from_array(np.ones(48, np.float32), "ones")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(
        model,
        folder / "model.onnx",
        save_as_external_data=weights_beside,
        location="model.onnx.data" if weights_beside else None,
        size_threshold=0,
    )
    card = {"side": side, "layout": layout, "channels": "rgb", "resize": "squash", "dimensions": 48} | said
    text = json.dumps({name: value for name, value in card.items() if value is not None})
    (folder / "embedding.json").write_text(text, encoding="utf-8")
    return folder
