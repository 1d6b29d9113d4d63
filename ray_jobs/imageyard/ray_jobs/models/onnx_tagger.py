"""A tagger of the WD14 contract in ONNX Runtime: pixels in, scores by tag out."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.canonical import Decoded
from imageyard.ray_jobs.models.files import ModelFiles
from imageyard.ray_jobs.ordered import ordered

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from imageyard.ray_jobs.extractors.base import Row

RATING = 9
"""The category code of ratings in selected_tags.csv; 0 is general, 4 character, others are kept as they are."""
DECIMALS = 4
CPU_BATCH, GPU_BATCH = 2, 32
"""Images a run, of a model that leaves the choice: on a CPU larger batches only leave its cache (EfficientNet-Lite0
takes 5.4 ms an image at 2, 6.1 at 8, 7.4 at 32, on one thread of an EPYC); on a GPU not measured."""
LARGEST_PROTOBUF = 2**31 - 1
WHITE, GREY = 255, 128


@dataclass(frozen=True)
class Labels:
    """What each output is called: rows of selected_tags.csv, in their order."""

    tags: tuple[str, ...]
    """Raw names, with underscores."""
    categories: tuple[int, ...]


class OnnxTagger:
    """A loaded tagger; `run` may be called from several threads.

    The session always gets images in the same number: missing ones are white, and dropped again. On a CPU it uses
    one thread, and `threads` runs go on side by side: how a kernel would divide a sum among threads would show in
    the last digits. So on one machine an image's scores depend neither on its place, nor its neighbours, nor threads.
    """

    batch: int
    """Images to be given at a time: as many as all threads take."""

    def __init__(
        self, files: ModelFiles, *, threads: int = 1, gpu: bool = False, floor: float = 0.05, batch: int | None = None
    ) -> None:
        """Load `files` on `threads` CPU threads or the GPU; `batch` is for models that leave the choice.

        Raises ModelError: not an ONNX tagger of this contract, labels that do not fit it, no GPU, a score
        that is no probability.
        """
        import numpy as np

        self._name = files.name
        self._floor = floor
        lanes = 1 if gpu else threads
        self._session, self._takes = _session(files, threads=threads if gpu else 1, gpu=gpu)
        self._pool = ThreadPoolExecutor(lanes, thread_name_prefix="model") if lanes > 1 else None
        (given,) = self._session.get_inputs()
        self._input = given.name
        self._output = self._session.get_outputs()[0].name
        self.side, fixed = _contract(files, given.shape)
        self._at_once = fixed or batch or (GPU_BATCH if gpu else CPU_BATCH)
        self.batch = self._at_once * lanes
        self._labels = read_labels(files.labels)
        self._categories = np.array(self._labels.categories, dtype=np.uint8)
        self._check_scores(files)

    def prepare(self, image: Decoded) -> np.ndarray:
        """uint8 of shape (side, side, 3), BGR: padded to a square with white, an odd pixel right or below; bicubic.

        The array cannot be written to.
        """
        import numpy as np

        squared = _squared(image.rgb, self.side)
        bgr = squared.tobytes("raw", "BGR")  # a tenth of the time of numpy's [:, :, ::-1]
        return np.frombuffer(bgr, np.uint8).reshape(self.side, self.side, 3)

    def run(self, images: np.ndarray) -> list[Row]:
        """One row an image of `images`, uint8 of shape (n, side, side, 3) with 1 <= n <= batch.

        `index`, `tag`, `category` and `score` are aligned lists of every score of at least the floor, and of all
        ratings, by falling score and then by index; scores are rounded to four decimals. A picture that the
        model gives no number for has `error` instead.
        """
        return [self._row(scores) for scores in self.scores(images)]

    def scores(self, images: np.ndarray) -> np.ndarray:
        """The model's own output for `images`: float32 of shape (n, labels)."""
        import numpy as np

        parts = [images[at : at + self._at_once] for at in range(0, len(images), self._at_once)]
        return np.concatenate(list(ordered(self._pool, self._scores, parts, ahead=len(parts))))

    def _scores(self, images: np.ndarray) -> np.ndarray:
        """One run of the session, filled up to the number it always gets."""
        import numpy as np

        count = len(images)
        if count < self._at_once:
            white = np.full((self._at_once - count, *images.shape[1:]), WHITE, np.uint8)
            images = np.concatenate([images, white])
        if images.dtype != self._takes:
            images = images.astype(self._takes)
        outputs = self._session.run([self._output], {self._input: images})
        return np.asarray(outputs[0], dtype=np.float32)[:count]

    def _row(self, scores: np.ndarray) -> Row:
        import numpy as np

        if not np.isfinite(scores).all():
            return {"error": f"not-a-number: {self._name} gave a score that is no number"}
        rounded = np.round(scores.astype(np.float64), DECIMALS)
        kept = np.flatnonzero((rounded >= self._floor) | (self._categories == RATING))
        kept = kept[np.argsort(-rounded[kept], kind="stable")]
        return {
            "index": kept.tolist(),
            "tag": [self._labels.tags[index] for index in kept],
            "category": self._categories[kept].tolist(),
            "score": rounded[kept].tolist(),
        }

    def _check_scores(self, files: ModelFiles) -> None:
        """Raises ModelError unless one plain grey image gets a probability for every label."""
        import numpy as np

        scores = self.scores(np.full((1, self.side, self.side, 3), GREY, np.uint8))
        if scores.ndim != 2 or scores.shape[1] != len(self._labels.tags):
            raise ModelError(
                f"{files.labels}: {len(self._labels.tags)} labels for an output of shape {scores.shape[1:]}; "
                f"take the {files.labels.name} that was published with {files.onnx.name}"
            )
        if not ((scores >= 0) & (scores <= 1)).all():
            raise ModelError(
                f"{files.onnx}: a grey image scores from {scores.min():.3g} to {scores.max():.3g}, not 0 to 1; "
                "the model gives logits, without the sigmoid that WD14 models end with"
            )
        if (scores >= 0.5).all():
            raise ModelError(
                f"{files.onnx}: every tag of a grey image scores 0.5 or more; the sigmoid was applied twice"
            )


def read_labels(path: Path) -> Labels:
    """The labels in a selected_tags.csv, by the names of its columns. Raises ModelError, naming the line."""
    tags: list[str] = []
    categories: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            missing = {"name", "category"} - set(rows.fieldnames or ())
            if missing:
                raise ModelError(f"{path}: no column {' and no column '.join(sorted(missing))} in its first line")
            for row in rows:
                if not row["category"]:
                    continue
                if not row["category"].isdecimal() or int(row["category"]) > 255:
                    raise ModelError(
                        f"{path}, line {rows.line_num}: category {row['category']!r} is not a number from 0 to 255"
                    )
                tags.append(row["name"])
                categories.append(int(row["category"]))
    except (OSError, UnicodeError, csv.Error) as error:
        raise ModelError(f"{path}: cannot be read ({error}); take the one published with the model") from error
    return Labels(tuple(tags), tuple(categories))


def _squared(rgb: Image.Image, side: int) -> Image.Image:
    from PIL import Image

    longest = max(rgb.size)
    if rgb.width != rgb.height:
        paper = Image.new("RGB", (longest, longest), "white")
        paper.paste(rgb, ((longest - rgb.width) // 2, (longest - rgb.height) // 2))
        rgb = paper
    return rgb if longest == side else rgb.resize((side, side), Image.Resampling.BICUBIC)


def _contract(files: ModelFiles, shape: Sequence[int | str | None]) -> tuple[int, int | None]:
    """The side in pixels and the fixed batch, if any, of an input shape."""
    if len(shape) == 4:
        count, height, width, channels = shape
        if isinstance(height, int) and height == width and channels == 3:
            return height, count if isinstance(count, int) else None
    raise ModelError(
        f"{files.onnx}: the input has shape {list(shape)}, where WD14 models take (images, side, side, 3), "
        "channels last; this model needs another adapter"
    )


def _session(files: ModelFiles, *, threads: int, gpu: bool) -> tuple[Any, np.dtype[Any]]:
    """An ONNX Runtime session, and the numpy type that it takes."""
    import numpy as np

    try:
        import onnxruntime as ort
        from onnxruntime.capi import onnxruntime_pybind11_state as faults

        graph, takes = _taking_bytes(files.onnx)
    except ImportError as error:
        raise ModelError(
            f"{files.name}: {error.name} is not installed; pip install 'imageyard[cpu]', or [gpu], not both"
        ) from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # decoding needs the same cores
    providers: list[Any] = ["CPUExecutionProvider"]
    if gpu:
        if "CUDAExecutionProvider" not in ort.get_available_providers():
            raise ModelError(
                f"{files.name}: a GPU was asked for, and the installed onnxruntime is built without CUDA; "
                "uninstall it, then pip install 'imageyard[gpu]'"
            )
        ort.preload_dlls()
        # The default, an exhaustive search, may choose other kernels in each worker.
        providers = [("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"})]
    try:
        session = ort.InferenceSession(graph, options, providers=providers)
    except (
        faults.EPFail,
        faults.Fail,
        faults.InvalidArgument,
        faults.InvalidGraph,
        faults.InvalidProtobuf,
        faults.NoSuchFile,
        faults.NotImplemented,
        faults.RuntimeException,
    ) as error:
        raise ModelError(f"{files.onnx}: ONNX Runtime {ort.__version__} cannot load it ({error})") from error
    chosen = session.get_providers()[0]
    if gpu and chosen != "CUDAExecutionProvider":
        raise ModelError(
            f"{files.name}: a GPU was asked for, and ONNX Runtime fell back to {chosen}; "
            "check nvidia-smi, and that CUDA 13 and cuDNN 9 are installed: pip install 'imageyard[gpu]'"
        )
    session.disable_fallback()
    return session, np.dtype(takes)


def _taking_bytes(path: Path) -> tuple[bytes | str, str]:
    """The model in `path` with a cast in front, so that uint8 comes in and not four times as much; what it takes.

    Bit-equal to casting before. A model with weights in further files is left as it is, and takes float32.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it ships no types
    from onnx import TensorProto, helper

    if path.stat().st_size > LARGEST_PROTOBUF:
        return str(path), "float32"
    try:
        model = onnx.load_model(path, load_external_data=False)
    except DecodeError as error:
        raise ModelError(
            f"{path}: not an ONNX model; if it is a Git LFS pointer of a few lines, fetch the file itself"
        ) from error
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise ModelError(f"{path}: a tagger has one input, this model has {len(inputs)} ({names})")
    kind = inputs[0].type.tensor_type.elem_type
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in graph.initializer):
        return str(path), "float32"
    if kind == TensorProto.UINT8:
        return path.read_bytes(), "uint8"
    bytes_in = f"{inputs[0].name}:uint8"
    graph.node.insert(0, helper.make_node("Cast", [bytes_in], [inputs[0].name], name=bytes_in, to=kind))
    inputs[0].type.tensor_type.elem_type = TensorProto.UINT8
    inputs[0].name = bytes_in
    return bytes(model.SerializeToString()), "uint8"
