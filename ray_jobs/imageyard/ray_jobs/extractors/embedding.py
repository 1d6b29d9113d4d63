"""One vector a picture, by an embedding model: pictures of like things point the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from imageyard.ray_jobs.extractors.base import ModelExtractor
from imageyard.ray_jobs.models import files, snapshots, table
from imageyard.ray_jobs.models.contract import Contract, read_contract
from imageyard.ray_jobs.models.towers import TOWER_ENTRIES, TowerContract, contract_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from imageyard.ray_jobs.models.onnx_embedder import OnnxEmbedder
    from imageyard.ray_jobs.models.torch_embedder import TorchEmbedder


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
    contract: Contract | TowerContract
    """Of an ONNX graph; or of an image tower of transformers."""
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
        Or it is a folder of an image tower as `save_pretrained` writes it, without a model.onnx, or a name of
        `models.towers`: see `models.snapshots.locate_snapshot`. What lies in a folder decides, whatever its name.
        Raises ModelError: what was looked for, where, and what to do.
        """
        if _is_tower(model, folder):
            tower = snapshots.locate_snapshot(model, TOWER_ENTRIES, folder=folder)
            return cls(
                model=tower.name,
                contract=contract_of(tower),
                digests=tuple(sorted(snapshots.digest(tower).items())),
                source=model,
                folder=folder,
            )
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

    def published(self) -> dict[str, str]:
        return table.published(self.source, (*table.EMBEDDERS, *TOWER_ENTRIES))

    def load(self, *, threads: int, gpu: bool) -> OnnxEmbedder | TorchEmbedder:
        """The loaded model. Raises ModelError if this machine's files are not those that `locate` found."""
        if isinstance(self.contract, TowerContract):
            from imageyard.ray_jobs.models.torch_embedder import TorchEmbedder

            tower = snapshots.locate_snapshot(self.source, TOWER_ENTRIES, folder=self.folder)
            snapshots.check(tower, self.files())
            return TorchEmbedder(tower, self.contract, threads=threads, gpu=gpu)
        from imageyard.ray_jobs.models.onnx_embedder import OnnxEmbedder

        found = files.locate_any(self.source, files.EMBEDDER, folder=self.folder)
        files.check(found, self.files())
        return OnnxEmbedder(found, self.contract, threads=threads, gpu=gpu)


def _is_tower(model: str, folder: Path) -> bool:
    """Whether `model` means an image tower, and not an ONNX graph."""
    if "://" in model:
        from imageyard.ray_jobs.models.bucket import mirrored

        # Two small files say what kind of model lies there.
        about = mirrored(model, folder, wanted=(snapshots.CONFIG, files.CONTRACT))
        return snapshots.is_snapshot(about) and not (about / files.CONTRACT).is_file()
    is_path = model.startswith((".", "~")) or "/" in model or "\\" in model
    place = Path(model).expanduser() if is_path else folder / model
    if model and place.is_dir():
        return snapshots.is_snapshot(place) and not (place / files.ONNX).is_file()
    return table.named(model.partition("@")[0], TOWER_ENTRIES) is not None


def vectors(stored: Sequence[bytes]) -> np.ndarray:
    """Values of the column `vector` as float32 of shape (n, dimensions), each of length 1 to about 1e-7.

    So `vectors(a) @ vectors(b).T` are cosines.
    """
    import numpy as np

    dimensions = len(stored[0]) // 2 if stored else 0
    found: np.ndarray = np.frombuffer(b"".join(stored), "<f2").astype(np.float32).reshape(len(stored), dimensions)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found
