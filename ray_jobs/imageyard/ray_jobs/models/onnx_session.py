"""An ONNX graph in ONNX Runtime: batches of one fixed size in, float32 out, the same for an image in any company."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models.contract import Pictures
from imageyard.ray_jobs.models.files import ModelFiles
from imageyard.ray_jobs.models.halving import Halving, out_of_memory
from imageyard.ray_jobs.ordered import ordered

if TYPE_CHECKING:
    import numpy as np

CPU_BATCH, GPU_BATCH = 2, 32
"""Images a run, of a model that leaves the choice: on a CPU larger batches only leave its cache (EfficientNet-Lite0
takes 5.4 ms an image at 2, 6.1 at 8, 7.4 at 32, on one thread of an EPYC); on a GPU not measured."""
SIGNS = (
    "out of memory",
    "failed to allocate memory",
    "is smaller than requested bytes",
    "bad_alloc",
    "bad allocation",
    "alloc_failed",
    "allocation_failed",
)
"""What ONNX Runtime says, in lower case, if memory is short: CUDA, its arena (twice), C++ (twice), cuBLAS and cuDNN."""
LEVELS = 255
LARGEST_PROTOBUF = 2**31 - 1
WHITE = 255
TAKES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(float16)": "float16"}


@dataclass(frozen=True)
class Scale:
    """What a graph wants of a byte b: b * gain - shift, in float32."""

    gain: np.ndarray
    """float32, of a shape that broadcasts to a batch, as that of shift."""
    shift: np.ndarray


def scale_of(contract: Pictures) -> Scale | None:
    """What a graph of `contract` wants of a byte, in its layout; None if it wants the byte itself."""
    import numpy as np

    if contract.mean is None or contract.std is None:
        return None
    mean, std = np.array(contract.mean), np.array(contract.std)
    shape = (1, 3, 1, 1) if contract.layout == "NCHW" else (1, 1, 1, 3)
    gain, shift = 1 / (LEVELS * std), mean / std
    return Scale(gain.reshape(shape).astype(np.float32), shift.reshape(shape).astype(np.float32))


class OnnxSession:
    """A loaded graph; `run` may be called from several threads.

    The graph always gets images in the same number: missing ones are white, and dropped again. On a CPU it uses
    one thread, and `threads` runs go on side by side: how a kernel would divide a sum among threads would show in
    the last digits. So on one machine an image's numbers depend neither on its place, nor its neighbours, nor threads.

    A graph that leaves the number gets half as many from the first run on that does not fit into memory; between
    numbers of images, as between machines, an image's numbers agree to about 1e-6.
    """

    batch: int
    """Images to be given at a time: as many as all threads take."""
    shape: tuple[int | str | None, ...]
    """Of the graph's input."""
    outputs: tuple[str, ...]

    def __init__(
        self,
        files: ModelFiles[Any],
        *,
        threads: int = 1,
        gpu: bool = False,
        batch: int | None = None,
        scale: Scale | None = None,
    ) -> None:
        """Load `files` on `threads` CPU threads or the GPU; `batch` is for graphs that leave the choice.

        Raises ModelError: no ONNX graph, not one input, no GPU.
        """
        lanes = 1 if gpu else threads
        self._files = files
        self._session, self._scale = _loaded(files, threads=threads if gpu else 1, gpu=gpu, scale=scale)
        self._pool = ThreadPoolExecutor(lanes, thread_name_prefix="model") if lanes > 1 else None
        (given,) = self._session.get_inputs()
        if given.type not in TAKES:
            raise ModelError(f"{files.onnx}: its input is a {given.type}; pictures fit into {', '.join(TAKES)}")
        self._input, self._takes = given.name, TAKES[given.type]
        self.shape = tuple(given.shape)
        self.outputs = tuple(value.name for value in self._session.get_outputs())
        self._fixed = self.shape[0] if self.shape and isinstance(self.shape[0], int) else None
        at_once = self._fixed or batch or (GPU_BATCH if gpu else CPU_BATCH)
        self._halving = Halving(at_once, what=files.name, faults=_faults(), sign=_short_of_memory)
        self.batch = at_once * lanes

    @property
    def at_once(self) -> int:
        """Images a run of the graph, from now on."""
        return self._fixed or self._halving.size

    def run(self, images: np.ndarray, *, output: str | None = None) -> np.ndarray:
        """An output of the graph for `images`, uint8 of any number: float32 with a row an image.

        `output` is the name of one of `outputs`; unset, it is the first. Raises MemoryError if even one image, or the
        number that the graph insists on, does not fit into memory.
        """
        import numpy as np

        name = output or self.outputs[0]

        def call(part: np.ndarray) -> list[np.ndarray]:
            if self._fixed is not None:
                return [self._run_fixed(part, name, self._fixed)]
            return self._halving.run(len(part), lambda at, size: self._run(part[at], name, size))

        at_once = self.at_once
        parts = [images[at : at + at_once] for at in range(0, len(images), at_once)]
        return np.concatenate([rows for some in ordered(self._pool, call, parts, ahead=len(parts)) for rows in some])

    def rehearse(self, images: np.ndarray, *, output: str | None = None) -> np.ndarray:
        """`run`, where it may turn out that the graph takes no such images. Raises ModelError if it does not."""
        faults = _faults()
        try:
            return self.run(images, output=output)
        except faults as error:
            raise ModelError(
                f"{self._files.onnx}: fails on an image of shape {images.shape[1:]} ({_line(error)}); "
                "is the side right, and the order of axes?"
            ) from error
        except MemoryError as error:
            raise ModelError(f"{self._files.onnx}: {error}") from error

    def _run_fixed(self, images: np.ndarray, output: str, size: int) -> np.ndarray:
        """One run of a graph that insists on `size` images."""
        caught: tuple[type[Exception], ...] = (MemoryError, RuntimeError, *_faults())
        try:
            return self._run(images, output, size)
        except caught as error:
            if not _short_of_memory(error):
                raise
            raise MemoryError(
                f"{self._files.name}: the {size} images that its graph always takes do not fit into memory "
                f"({_line(error)}); export it with a free batch, take a smaller model, or give the worker more memory"
            ) from error

    def _run(self, images: np.ndarray, output: str, size: int) -> np.ndarray:
        """One run of the graph, filled up to `size`."""
        import numpy as np

        count = len(images)
        if count < size:
            white = np.full((size - count, *images.shape[1:]), WHITE, np.uint8)
            images = np.concatenate([images, white])
        if self._scale is not None:
            images = images.astype(np.float32) * self._scale.gain - self._scale.shift
        if images.dtype != self._takes:
            images = images.astype(self._takes)
        (given,) = self._session.run([output], {self._input: images})
        if np.shape(given)[:1] != (size,):
            said = f"{self._files.onnx}: the output {output!r} has shape {list(np.shape(given))}"
            raise ModelError(f"{said} for {size} images; it must have a row an image")
        return np.asarray(given, dtype=np.float32)[:count]


def _loaded(files: ModelFiles[Any], *, threads: int, gpu: bool, scale: Scale | None) -> tuple[Any, Scale | None]:
    """An ONNX Runtime session, and what is left of `scale` to do before it."""
    try:
        import onnxruntime as ort

        graph = _taking_bytes(files.onnx, scale)
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
    faults = _faults()
    try:
        session = ort.InferenceSession(graph, options, providers=providers)
    except faults as error:
        said = "; is `layout` right, by which it is scaled?" if scale is not None else ""
        raise ModelError(
            f"{files.onnx}: ONNX Runtime {ort.__version__} cannot load it ({_line(error)}){said}"
        ) from error
    chosen = session.get_providers()[0]
    if gpu and chosen != "CUDAExecutionProvider":
        raise ModelError(
            f"{files.name}: a GPU was asked for, and ONNX Runtime fell back to {chosen}; "
            "check nvidia-smi, and that CUDA 13 and cuDNN 9 are installed: pip install 'imageyard[gpu]'"
        )
    session.disable_fallback()
    return session, scale if isinstance(graph, str) else None


def _faults() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises; its errors have no common parent."""
    from onnxruntime.capi import onnxruntime_pybind11_state as faults

    return (
        faults.EPFail,
        faults.Fail,
        faults.InvalidArgument,
        faults.InvalidGraph,
        faults.InvalidProtobuf,
        faults.NoSuchFile,
        faults.NotImplemented,
        faults.RuntimeException,
    )


def _short_of_memory(error: BaseException) -> bool:
    return out_of_memory(error) or any(sign in str(error).lower() for sign in SIGNS)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _taking_bytes(path: Path, scale: Scale | None) -> bytes | str:
    """The model in `path` with a cast in front, so that uint8 comes in and not four times as much, and with `scale`.

    Bit-equal to doing it before. A model with weights in further files is left as it is: then this is its path.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it ships no types
    from onnx import TensorProto, helper, numpy_helper

    if path.stat().st_size > LARGEST_PROTOBUF:
        return str(path)
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
        raise ModelError(f"{path}: a model of pictures has one input, this one has {len(inputs)} ({names})")
    kind = inputs[0].type.tensor_type.elem_type
    if kind == TensorProto.UINT8 and scale is not None:
        raise ModelError(f"{path}: takes bytes, so it scales them itself; leave mean and std out")
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in graph.initializer):
        return str(path)
    if kind == TensorProto.UINT8:
        return path.read_bytes()
    wanted = inputs[0].name
    bytes_in = f"{wanted}:uint8"
    if scale is None:
        nodes = [helper.make_node("Cast", [bytes_in], [wanted], name=bytes_in, to=kind)]
    else:
        floats, gain, gained, shift, shifted = (
            f"{wanted}:{value}" for value in ("float", "gain", "gained", "shift", "shifted")
        )
        nodes = [
            helper.make_node("Constant", [], [gain], name=gain, value=numpy_helper.from_array(scale.gain)),
            helper.make_node("Constant", [], [shift], name=shift, value=numpy_helper.from_array(scale.shift)),
            helper.make_node("Cast", [bytes_in], [floats], name=bytes_in, to=TensorProto.FLOAT),
            helper.make_node("Mul", [floats, gain], [gained], name=gained),
            helper.make_node("Sub", [gained, shift], [shifted], name=shifted),
            helper.make_node("Cast", [shifted], [wanted], name=shifted + ":cast", to=kind),
        ]
    for at, node in enumerate(nodes):
        graph.node.insert(at, node)
    inputs[0].type.tensor_type.elem_type = TensorProto.UINT8
    inputs[0].name = bytes_in
    return bytes(model.SerializeToString())
