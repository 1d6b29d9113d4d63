"""Taggers of the WD14 contract with the arithmetic of a vision transformer, to be timed: their weights are random."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, PATCH = 448, 16
LABELS, RATINGS, CHARACTERS = 10_861, 4, 2_751
"""As many as wd-vit-tagger-v3 has."""


@dataclass(frozen=True)
class Shape:
    """Of a vision transformer over 784 patches."""

    width: int
    depth: int
    heads: int


VIT_B = Shape(768, 12, 12)
"""That of wd-vit-tagger-v3."""


def build_vit(folder: Path, shape: Shape) -> Path:
    """Write model.onnx and selected_tags.csv into `folder`, which is made, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    made = _Graph(shape)
    graph = helper.make_graph(
        made.nodes,
        "vit",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", LABELS])],
        made.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, folder / "model.onnx")
    with (folder / "selected_tags.csv").open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(["tag_id", "name", "category", "count"])
        for number in range(LABELS):
            category = 9 if number < RATINGS else 4 if number >= LABELS - CHARACTERS else 0
            lines.writerow([number, f"tag_{number}", category, 1000])
    return folder


class _Graph:
    def __init__(self, shape: Shape) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._shape = shape
        self._rng = np.random.default_rng(0)
        width = shape.width
        x = self._node("Div", "input", self._constant(np.array(255, np.float32)))
        x = self._node("Transpose", x, perm=[0, 3, 1, 2])
        x = self._node("Conv", x, self._weights(width, 3, PATCH, PATCH), strides=[PATCH, PATCH])
        x = self._node("Reshape", x, self._whole(0, width, -1))
        x = self._node("Transpose", x, perm=[0, 2, 1])
        for _ in range(shape.depth):
            x = self._node("Add", x, self._attention(self._normed(x)))
            x = self._node("Add", x, self._perceptron(self._normed(x)))
        x = self._node("ReduceMean", self._normed(x), axes=[1], keepdims=0)
        x = self._node("MatMul", x, self._weights(width, LABELS))
        rare = self._rng.normal(-8, 1.5, LABELS).astype(np.float32)  # a score below the floor, for most
        x = self._node("Add", x, self._constant(rare))
        self.nodes.append(helper.make_node("Sigmoid", [x], ["output"]))

    def _node(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"{kind}-{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def _constant(self, values: np.ndarray) -> str:
        name = f"constant-{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def _whole(self, *values: int) -> str:
        return self._constant(np.array(values, np.int64))

    def _weights(self, *shape: int) -> str:
        fan = shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))
        return self._constant((self._rng.standard_normal(shape) / np.sqrt(fan)).astype(np.float32))

    def _normed(self, x: str) -> str:
        width = self._shape.width
        ones, zeros = self._constant(np.ones(width, np.float32)), self._constant(np.zeros(width, np.float32))
        return self._node("LayerNormalization", x, ones, zeros)

    def _attention(self, x: str) -> str:
        width, heads = self._shape.width, self._shape.heads
        apart = self._whole(0, 0, heads, width // heads)
        query, key, value = (
            self._node("Reshape", self._node("MatMul", x, self._weights(width, width)), apart) for _ in range(3)
        )
        query, value = (self._node("Transpose", given, perm=[0, 2, 1, 3]) for given in (query, value))
        key = self._node("Transpose", key, perm=[0, 2, 3, 1])
        scores = self._node("Mul", self._node("MatMul", query, key), self._constant(np.array(0.1, np.float32)))
        seen = self._node("MatMul", self._node("Softmax", scores, axis=-1), value)
        joined = self._node("Reshape", self._node("Transpose", seen, perm=[0, 2, 1, 3]), self._whole(0, 0, width))
        return self._node("MatMul", joined, self._weights(width, width))

    def _perceptron(self, x: str) -> str:
        width = self._shape.width
        x = self._node("MatMul", x, self._weights(width, 4 * width))
        x = self._node("Mul", x, self._node("Sigmoid", x))
        return self._node("MatMul", x, self._weights(4 * width, width))
