"""One vector a picture, by an embedding model: pictures of like things point the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from imageyard.ray_jobs.extractors.base import ModelExtractor
from imageyard.ray_jobs.models import files
from imageyard.ray_jobs.models.contract import Contract, read_contract

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from imageyard.ray_jobs.models.onnx_embedder import OnnxEmbedder


class Embedding(ModelExtractor):
    """What a picture looks like, for the semantic tier of duplicates: a high cosine is a likeness and no copy.

    Its identity is the model's short name, its contract and the sha256 of its files; where the files lie and how
    many images a run has are not part of it: batches always have one size, and between sizes or machines vectors
    agree to about 1e-6 before they are rounded to float16.
    """

    name: ClassVar[str] = "embedding"
    version: ClassVar[int] = 1
    runs_at_once: ClassVar[int] = 2

    model: str
    """The short name."""
    contract: Contract
    digests: tuple[tuple[str, str], ...] = Field(exclude=True)
    """(file name, sha256); `files` says them."""
    source: str = Field(exclude=True)
    """The model as it was asked for, which `load` asks for again on its own machine."""
    folder: Path = Field(exclude=True)
    """The models folder."""

    @classmethod
    def locate(cls, model: str, *, folder: Path) -> Embedding:
        """The extractor that `model` means, with the digests of its files taken now.

        `model` is a folder with model.onnx and embedding.json, or a name of the table: see `models.files.locate_any`.
        Raises ModelError: what was looked for, where, and what to do.
        """
        found = files.locate_any(model, files.EMBEDDER, folder=folder)
        known = found.entry.contract if found.entry else None
        contract = known if known is not None and not found.card.is_file() else read_contract(found.card)
        digests = tuple(sorted(files.digest(found).items()))
        return cls(model=found.name, contract=contract, digests=digests, source=model, folder=folder)

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        """`vector`: `dimensions` numbers, float16, little-endian, of length 1 as near as float16 comes (0.001).

        Two bytes a number and nothing else; all vectors of one extractor have the same number of bytes. The column
        is of binary without a fixed width, because the width is the model's. `vectors` reads it.
        """
        import pyarrow as pa

        return (pa.field("vector", pa.binary()),)

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return self.contract.dimensions

    def files(self) -> Mapping[str, str]:
        return dict(self.digests)

    def load(self, *, threads: int, gpu: bool) -> OnnxEmbedder:
        """The loaded model. Raises ModelError if this machine's files are not those that `locate` found."""
        from imageyard.ray_jobs.models.onnx_embedder import OnnxEmbedder

        found = files.locate_any(self.source, files.EMBEDDER, folder=self.folder)
        files.check(found, self.files())
        return OnnxEmbedder(found, self.contract, threads=threads, gpu=gpu)


def vectors(stored: Sequence[bytes]) -> np.ndarray:
    """Values of the column `vector` as float32 of shape (n, dimensions), each of length 1 to about 1e-7.

    So `vectors(a) @ vectors(b).T` are cosines.
    """
    import numpy as np

    dimensions = len(stored[0]) // 2 if stored else 0
    found: np.ndarray = np.frombuffer(b"".join(stored), "<f2").astype(np.float32).reshape(len(stored), dimensions)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found
