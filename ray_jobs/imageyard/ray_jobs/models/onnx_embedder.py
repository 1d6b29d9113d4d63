"""An embedding model in ONNX Runtime: pixels in, one vector of length 1 a picture out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.canonical import Decoded
from imageyard.ray_jobs.models.contract import Contract
from imageyard.ray_jobs.models.directions import direction
from imageyard.ray_jobs.models.files import ModelFiles
from imageyard.ray_jobs.models.onnx_session import OnnxSession, scale_of
from imageyard.ray_jobs.models.pixels import pixels, squared
from imageyard.ray_jobs.models.table import Embedder

if TYPE_CHECKING:
    import numpy as np

    from imageyard.ray_jobs.extractors.base import Row

GREY = 128


class OnnxEmbedder:
    """A loaded embedding model; `run` may be called from several threads.

    An image's vector depends on nothing but the image and the machine: see OnnxSession.
    """

    batch: int
    """Images to be given at a time: as many as all threads take."""

    def __init__(
        self,
        files: ModelFiles[Embedder],
        contract: Contract,
        *,
        threads: int = 1,
        gpu: bool = False,
        batch: int | None = None,
    ) -> None:
        """Load `files` on `threads` CPU threads or the GPU; `batch` is for models that leave the choice.

        Raises ModelError: no ONNX model, one that does not do as `contract` says, no GPU.
        """
        self._name, self._contract = files.name, contract
        self._session = OnnxSession(files, threads=threads, gpu=gpu, batch=batch, scale=scale_of(contract))
        self.batch = self._session.batch
        self._check(files)

    def prepare(self, image: Decoded) -> np.ndarray:
        """uint8 of the contract's shape, with its order of channels and its way to a square. Not to be written to."""
        contract = self._contract
        array = pixels(squared(image.rgb, contract.side, contract.resize), contract.channels)
        return array.transpose(2, 0, 1) if contract.layout == "NCHW" else array

    def run(self, images: Sequence[np.ndarray]) -> list[Row]:
        """One row an image of `images`, each uint8 of shape contract.shape, 1 <= n <= batch of them.

        `vector` is bytes: float16, little-endian, as many as the contract's dimensions, of length 1 as near as
        float16 comes (0.001). A picture that the model gives no direction for has `error` instead.
        """
        import numpy as np

        return [direction(self._name, vector) for vector in self.vectors(np.stack(images))]

    def vectors(self, images: np.ndarray) -> np.ndarray:
        """The model's own vectors of `images`: float32 of shape (n, dimensions), of any length."""
        return self._taken(self._session.run(images, output=self._contract.output))

    def _taken(self, output: np.ndarray) -> np.ndarray:
        if self._contract.take == "first" and output.ndim > 2:
            output = output[:, 0]
        return output.reshape(len(output), -1)

    def _check(self, files: ModelFiles[Embedder]) -> None:
        """Raises ModelError unless the model takes one plain grey image and gives a vector for it as agreed."""
        import numpy as np

        contract, shape, outputs = self._contract, self._session.shape, self._session.outputs
        agreed = len(shape) == 4 and all(
            one == other or not isinstance(one, int) for one, other in zip(shape[1:], contract.shape, strict=True)
        )
        if not agreed:
            raise ModelError(
                f"{files.onnx}: the input has shape {list(shape)}, where {files.card.name} says side {contract.side} "
                f"and layout {contract.layout}; write what the model takes"
            )
        if contract.output not in (None, *outputs):
            raise ModelError(
                f"{files.onnx}: there is no output {contract.output!r}; "
                f"{files.card.name} may name one of {', '.join(outputs)}"
            )
        grey = np.full((1, *contract.shape), GREY, np.uint8)
        output = self._session.rehearse(grey, output=contract.output)
        numbers = self._taken(output).shape[1]
        if numbers != contract.dimensions:
            raise ModelError(
                f"{files.onnx}: the output {contract.output or outputs[0]!r} has shape {list(output.shape)}, "
                f"{numbers} numbers an image, where {files.card.name} says {contract.dimensions} dimensions; "
                f"write {numbers}, take the first of a sequence, or name another output of {', '.join(outputs)}"
            )
