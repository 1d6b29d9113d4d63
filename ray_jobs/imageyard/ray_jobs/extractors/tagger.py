"""Tag scores of a picture, by a tagger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.extractors.base import ModelExtractor
from imageyard.ray_jobs.models import files, table
from imageyard.ray_jobs.models.contract import WD14_PIXELS, TaggerContract

if TYPE_CHECKING:
    import pyarrow as pa

    from imageyard.ray_jobs.models.onnx_tagger import OnnxTagger


class Tagger(ModelExtractor):
    """Every score from `floor` up, and all ratings; thresholds are for those who read them.

    Its identity is the model's short name, floor, pixels, contract and the sha256 of its files; where the files lie
    and how many images a run has are not part of it, because they do not change a score: batches always have one
    size, and between sizes or machines scores agree to about 1e-6 before they are rounded to four decimals.
    """

    name: ClassVar[str] = "tags"
    version: ClassVar[int] = 1
    runs_at_once: ClassVar[int] = 2

    model: str
    """The short name."""
    floor: float = Field(default=0.05, ge=0, le=1)
    preprocess: str = WD14_PIXELS
    contract: TaggerContract | None = Field(default=None, exclude_if=lambda contract: contract is None)
    """None for WD14's; then the identity is what it was when there was no other."""
    digests: tuple[tuple[str, str], ...] = Field(exclude=True)
    """(file name, sha256); `files` says them."""
    source: str = Field(exclude=True)
    """The model as it was asked for, which `load` asks for again on its own machine."""
    folder: Path = Field(exclude=True)
    """The models folder."""
    thresholds: tuple[tuple[str, float], ...] = Field(default=(), exclude=True)
    """What a tagger.json says of them, by name of category; they shape no score."""

    @classmethod
    def locate(cls, model: str, *, folder: Path) -> Tagger:
        """The tagger that `model` means (see `models.files.locate`), with the digests of its files taken now.

        Raises ModelError: what was looked for, where, and what to do.
        """
        found = files.locate(model, folder=folder)
        said = files.tagger_card(found.onnx.parent)
        contract = files.tagger_contract(found)
        return cls(
            model=found.name,
            preprocess=contract.pixels,
            contract=None if contract == table.WD14 else contract,
            digests=tuple(sorted(files.digest(found).items())),
            source=model,
            folder=folder,
            thresholds=tuple(sorted(said.thresholds.items())) if said else (),
        )

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        """Aligned lists, by falling score: `index` among the model's labels, raw `tag`, `category` code, `score`."""
        import pyarrow as pa

        return (
            pa.field("index", pa.list_(pa.int32())),
            pa.field("tag", pa.list_(pa.string())),
            pa.field("category", pa.list_(pa.uint8())),
            pa.field("score", pa.list_(pa.float32())),
        )

    @property
    def default_thresholds(self) -> Mapping[str, float]:
        """The model's own, by name of category (see `tag_categories`); always general's and character's."""
        entry = table.find(self.model)
        own = (entry.general, entry.character) if entry else (table.GENERAL, table.CHARACTER)
        return {"general": own[0], "character": own[1], **dict(self.thresholds)}

    @property
    def has_rating(self) -> bool:
        """Whether scores of category 9 say something about the picture."""
        entry = table.find(self.model)
        return entry.rating if entry else True

    def files(self) -> Mapping[str, str]:
        return dict(self.digests)

    def published(self) -> dict[str, str]:
        return table.published(self.source, table.TAGGERS)

    def load(self, *, threads: int, gpu: bool) -> OnnxTagger:
        """The loaded model. Raises ModelError if this machine's files are not those that `locate` found."""
        from imageyard.ray_jobs.models.onnx_tagger import OnnxTagger

        found = files.locate(self.source, folder=self.folder)
        here = files.digest(found)
        for name, digest in self.files().items():
            if here.get(name) != digest:
                raise ModelError(
                    f"{self.model}: {found.onnx.with_name(name)} has sha256 {here.get(name, 'none: it is missing')}, "
                    f"where the job was planned with {digest}; put the same file on every machine"
                )
        contract = self.contract or table.WD14
        return OnnxTagger(found, threads=threads, gpu=gpu, floor=self.floor, contract=contract)
