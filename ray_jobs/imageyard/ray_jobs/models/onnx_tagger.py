"""A tagger of the WD14 contract in ONNX Runtime: pixels in, scores by tag out."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.canonical import Decoded
from imageyard.ray_jobs.models.files import ModelFiles
from imageyard.ray_jobs.models.onnx_session import OnnxSession
from imageyard.ray_jobs.models.pixels import pixels, squared
from imageyard.ray_jobs.models.table import Entry

if TYPE_CHECKING:
    import numpy as np

    from imageyard.ray_jobs.extractors.base import Row

RATING = 9
"""The category code of ratings in selected_tags.csv; 0 is general, 4 character, others are kept as they are."""
DECIMALS = 4
GREY = 128


@dataclass(frozen=True)
class Labels:
    """What each output is called: rows of selected_tags.csv, in their order."""

    tags: tuple[str, ...]
    """Raw names, with underscores."""
    categories: tuple[int, ...]


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
    ) -> None:
        """Load `files` on `threads` CPU threads or the GPU; `batch` is for models that leave the choice.

        Raises ModelError: not an ONNX tagger of this contract, labels that do not fit it, no GPU, a score
        that is no probability.
        """
        import numpy as np

        self._name = files.name
        self._floor = floor
        self._session = OnnxSession(files, threads=threads, gpu=gpu, batch=batch)
        self.side = _side(files, self._session.shape)
        self.batch = self._session.batch
        self._labels = read_labels(files.card)
        self._categories = np.array(self._labels.categories, dtype=np.uint8)
        self._check_scores(files)

    def prepare(self, image: Decoded) -> np.ndarray:
        """uint8 of shape (side, side, 3), BGR: padded to a square with white, an odd pixel right or below; bicubic.

        The array cannot be written to.
        """
        return pixels(squared(image.rgb, self.side, "pad"), "bgr")

    def run(self, images: Sequence[np.ndarray]) -> list[Row]:
        """One row an image of `images`, each uint8 of shape (side, side, 3), 1 <= n <= batch of them.

        `index`, `tag`, `category` and `score` are aligned lists of every score of at least the floor, and of all
        ratings, by falling score and then by index; scores are rounded to four decimals. A picture that the
        model gives no number for has `error` instead.
        """
        import numpy as np

        return [self._row(scores) for scores in self.scores(np.stack(images))]

    def scores(self, images: np.ndarray) -> np.ndarray:
        """The model's own output for `images`: float32 of shape (n, labels)."""
        return self._session.run(images)

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

        scores = self._session.rehearse(np.full((1, self.side, self.side, 3), GREY, np.uint8))
        if scores.ndim != 2 or scores.shape[1] != len(self._labels.tags):
            raise ModelError(
                f"{files.card}: {len(self._labels.tags)} labels for an output of shape {scores.shape[1:]}; "
                f"take the {files.card.name} that was published with {files.onnx.name}"
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


def _side(files: ModelFiles[Entry], shape: Sequence[int | str | None]) -> int:
    """The side in pixels of an input shape."""
    if len(shape) == 4:
        _, height, width, channels = shape
        if isinstance(height, int) and height == width and channels == 3:
            return height
    raise ModelError(
        f"{files.onnx}: the input has shape {list(shape)}, where WD14 models take (images, side, side, 3), "
        "channels last; this model needs another adapter"
    )
