"""A tagger in ONNX Runtime: pixels in, scores by tag out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.canonical import Decoded
from imageyard.ray_jobs.models.contract import TAGGER_EXAMPLE, TaggerContract
from imageyard.ray_jobs.models.files import TAGGER_CONTRACT, ModelFiles, tagger_contract
from imageyard.ray_jobs.models.onnx_session import OnnxSession, scale_of
from imageyard.ray_jobs.models.pixels import pixels, squared
from imageyard.ray_jobs.models.table import WD14, Entry
from imageyard.ray_jobs.models.tag_tables import read_labels
from imageyard.ray_jobs.tag_categories import RATING

if TYPE_CHECKING:
    import numpy as np

    from imageyard.ray_jobs.extractors.base import Row

DECIMALS = 4
GREY = 128


class OnnxTagger:
    """A loaded tagger; `run` may be called from several threads.

    An image's scores depend on nothing but the image and the machine: see OnnxSession.
    """

    batch: int
    """Images to be given at a time: as many as all threads take."""

    def __init__(
        self,
        files: ModelFiles[Entry],
        *,
        threads: int = 1,
        gpu: bool = False,
        floor: float = 0.05,
        batch: int | None = None,
        contract: TaggerContract | None = None,
    ) -> None:
        """Load `files` on `threads` CPU threads or the GPU; `batch` is for models that leave the choice.

        `contract` unset, it is that of the files. Raises ModelError: not an ONNX tagger of this contract, labels that
        do not fit it, no GPU, a score that is no probability.
        """
        import numpy as np

        self._name = files.name
        self._floor = floor
        self._contract = contract or tagger_contract(files)
        scale = scale_of(self._contract)
        self._session = OnnxSession(files, threads=threads, gpu=gpu, batch=batch, scale=scale)
        self.side = _side(files, self._contract, self._session.shape)
        self._output = _output(files, self._contract, self._session.outputs)
        self.batch = self._session.batch
        self._labels = read_labels(files.card, self._contract.labels)
        self._categories = np.array(self._labels.categories, dtype=np.uint8)
        self._check_scores(files)

    def prepare(self, image: Decoded) -> np.ndarray:
        """uint8 of shape (side, side, 3), or (3, side, side) for NCHW; the contract's pixels.

        For WD14 BGR: padded to a square with white, an odd pixel right or below; bicubic. Not to be written to.
        """
        contract = self._contract
        square = squared(image.rgb, self.side, contract.resize, resample=contract.resample, exact=True)
        array = pixels(square, contract.channels)
        return array.transpose(2, 0, 1) if contract.layout == "NCHW" else array

    def run(self, images: Sequence[np.ndarray]) -> list[Row]:
        """One row an image of `images`, each as `prepare` gives it, 1 <= n <= batch of them.

        `index`, `tag`, `category` and `score` are aligned lists of every score of at least the floor, and of all
        ratings, by falling score and then by index; scores are rounded to four decimals. A picture that the
        model gives no number for has `error` instead.
        """
        import numpy as np

        return [self._row(scores) for scores in self.scores(np.stack(images))]

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Probabilities for `images`, as the model or the sigmoid after it gives them: float32 of shape (n, labels)."""
        return self._probable(self._session.run(images, output=self._output))

    def _probable(self, given: np.ndarray) -> np.ndarray:
        return sigmoid(given) if self._contract.logits else given

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

    def _check_scores(self, files: ModelFiles[Entry]) -> None:
        """Raises ModelError unless one plain grey image gets a probability for every label."""
        import numpy as np

        shape = (3, self.side, self.side) if self._contract.layout == "NCHW" else (self.side, self.side, 3)
        given = self._session.rehearse(np.full((1, *shape), GREY, np.uint8), output=self._output)
        if given.ndim != 2 or given.shape[1] != len(self._labels.tags):
            raise ModelError(
                f"{files.card}: {len(self._labels.tags)} labels for an output of shape {given.shape[1:]}; "
                f"take the {files.card.name} that was published with {files.onnx.name}"
            )
        scores = self._probable(given)
        if not ((scores >= 0) & (scores <= 1)).all():
            raise ModelError(
                f"{files.onnx}: a grey image scores from {scores.min():.3g} to {scores.max():.3g}, not 0 to 1; "
                "the model gives logits, without the sigmoid that WD14 models end with; "
                f'say so with "logits": true in a {TAGGER_CONTRACT} beside it'
            )
        if (scores >= 0.5).all():
            said = "; it gives probabilities, so leave `logits` out" if self._contract.logits else ""
            raise ModelError(
                f"{files.onnx}: every tag of a grey image scores 0.5 or more; the sigmoid was applied twice{said}"
            )


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), float32; computed in float64, without an overflow for any number."""
    import numpy as np

    small = np.exp(-np.abs(logits.astype(np.float64)))
    return (np.where(logits >= 0, 1.0, small) / (1.0 + small)).astype(np.float32)


def _output(files: ModelFiles[Entry], contract: TaggerContract, outputs: Sequence[str]) -> str:
    """The name of the output that has the scores."""
    wanted = contract.output or 0
    if isinstance(wanted, str) and wanted in outputs:
        return wanted
    if isinstance(wanted, int) and 0 <= wanted < len(outputs):
        return outputs[wanted]
    raise ModelError(
        f"{files.onnx}: there is no output {wanted!r}; the {TAGGER_CONTRACT} beside it may name one of "
        f"{', '.join(outputs)}, or its place from 0"
    )


def _side(files: ModelFiles[Entry], contract: TaggerContract, shape: Sequence[int | str | None]) -> int:
    """The side in pixels of an input shape."""
    if len(shape) == 4:
        channels, height, width = (
            (shape[1], shape[2], shape[3]) if contract.layout == "NCHW" else (shape[3], *shape[1:3])
        )
        sides = {side for side in (height, width, contract.side) if isinstance(side, int)}
        if len(sides) == 1 and (channels == 3 or not isinstance(channels, int)):
            return sides.pop()
    side = contract.side or "side"
    agreed = f"(images, 3, {side}, {side})" if contract.layout == "NCHW" else f"(images, {side}, {side}, 3)"
    whose = "WD14 models take" if contract == WD14 else "its contract says"
    where = "first" if contract.layout == "NCHW" else "last"
    raise ModelError(
        f"{files.onnx}: the input has shape {list(shape)}, where {whose} {agreed}, channels {where}; "
        f"say what this model takes in a {TAGGER_CONTRACT} beside it, such as {TAGGER_EXAMPLE}"
    )
