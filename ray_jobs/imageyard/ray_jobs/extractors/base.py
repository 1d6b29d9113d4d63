"""An extractor: frozen parameters of something that reads one image's pixels and returns one row of facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from imageyard.ray_jobs.canonical import PROFILE, Decoded

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Row = dict[str, object]
"""One image's facts by column name; the engine adds `sha256` and `error`."""


class Extractor(BaseModel):
    """What is measured, how, and by which files; equal extractors give equal facts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    version: ClassVar[int]
    deferred: ClassVar[bool] = False
    """Whether it is so slow that only images are measured which a step wants it for when all else is decided."""
    most_a_shard: ClassVar[int | None] = None
    """Images of a shard at most, of an extractor that takes so long that more would be dear to lose."""

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        """The columns of a row; every one is nullable, for an image that could not be measured."""
        raise NotImplementedError

    def files(self) -> Mapping[str, str]:
        """sha256 (hex) of every model file that shapes the result, by file name."""
        return {}

    def provenance(self) -> dict[str, object]:
        """What a version tells of the model that measured; nothing where none did."""
        return {}

    def identity(self) -> str:
        """`<name>-<digest>`: the folder its facts live in.

        The digest covers name, version, parameters, model files and the canonicalisation profile, so a
        change in any of them is another extractor and never mixes with old facts.
        """
        said = {
            "name": self.name,
            "version": self.version,
            "parameters": self.model_dump(mode="json"),
            "files": dict(self.files()),
            "profile": PROFILE,
        }
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class PixelExtractor(Extractor):
    """An extractor that measures one decoded image at a time on the CPU."""

    def measure(self, image: Decoded) -> Row:
        """The facts of `image`; never raises for a picture that decoded."""
        raise NotImplementedError


class ModelExtractor(Extractor):
    """An extractor that runs a model over batches."""

    runs_at_once: ClassVar[int] = 1
    """Threads that call the model's `run` side by side where it has a GPU: with two, one batch is put together, or its
    rows are made, while the other is on the GPU. Only for models whose `run` is thread safe."""

    def published(self) -> dict[str, str]:
        """The repository and the revision that were asked for; nothing for a model that is not of the table."""
        return {}

    def provenance(self) -> dict[str, object]:
        """What was asked for and how it is asked, and by the sha256 of its files what it was."""
        return {**self.published(), "parameters": self.model_dump(mode="json"), "files": dict(self.files())}

    def load(self, *, threads: int, gpu: bool) -> Model:
        """The loaded model, using `threads` CPU threads; raises ModelError, naming file and remedy."""
        raise NotImplementedError


class Model(Protocol):
    """A model loaded once and called often."""

    batch: int
    """The most images of one run, and how many the engine gives while there are as many: a short batch is padded by
    the model itself."""

    def prepare(self, image: Decoded) -> np.ndarray:
        """The model's input for one image: uint8, of a shape that may differ from image to image. Thread safe."""
        ...

    def run(self, images: Sequence[np.ndarray]) -> list[Row]:
        """A row an image of `images`, what `prepare` gave for 1 <= n <= batch of them, in their order; the result
        of one image does not depend on its neighbours."""
        ...
