"""What a captioning model says about a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.extractors.base import ModelExtractor
from imageyard.ray_jobs.models import snapshots
from imageyard.ray_jobs.models.caption_settings import Settings, settled
from imageyard.ray_jobs.models.captioner_table import (
    CAPTIONERS,
    FAMILY_DEFAULTS,
    FAMILY_OF,
    CaptionerEntry,
    Family,
)
from imageyard.ray_jobs.models.table import published

if TYPE_CHECKING:
    import pyarrow as pa

    from imageyard.ray_jobs.models.captioner import TorchCaptioner


class Captioner(ModelExtractor):
    """The words as the model gave them; what is made of them is for those who read them.

    Its identity is the model's short name, how it is asked and the sha256 of its files; where the files lie and how
    many images a run has are not part of it. Words are chosen greedily or by beams, never drawn, so that a rerun on
    the same machine gives the same; between a CPU (float32) and a GPU (bfloat16) they may differ.
    """

    name: ClassVar[str] = "caption"
    version: ClassVar[int] = 1
    deferred: ClassVar[bool] = True
    most_a_shard: ClassVar[int | None] = 32

    model: str
    """The short name."""
    settings: Settings
    digests: tuple[tuple[str, str], ...] = Field(exclude=True)
    """(file name, sha256); `files` says them."""
    source: str = Field(exclude=True)
    """The model as it was asked for, which `load` asks for again on its own machine."""
    folder: Path = Field(exclude=True)
    """The models folder."""

    @classmethod
    def locate(cls, model: str, *, folder: Path, **said: object) -> Captioner:
        """The captioner that `model` means (see `models.snapshots.locate_snapshot`), asked as `said`.

        `said` are fields of `models.caption_settings.Asked`; what is not said is the model's own default. The digests
        of its files are taken now, once a process.

        Raises ModelError: what was looked for, where, and what to do; RecipeError: what was said that cannot be.
        """
        found = snapshots.locate_snapshot(model, CAPTIONERS, folder=folder)
        family = _family(found)
        own = found.entry.defaults if found.entry else None
        return cls(
            model=found.name,
            settings=settled(found.name, family, own or FAMILY_DEFAULTS[family], said),
            digests=tuple(sorted(snapshots.digest(found).items())),
            source=model,
            folder=folder,
        )

    @classmethod
    def columns(cls) -> Sequence[pa.Field]:
        """`text`; `finished`, false where it was cut off; `labels` and `boxes`, flat: see `TorchCaptioner.run`."""
        import pyarrow as pa

        return (
            pa.field("text", pa.string()),
            pa.field("finished", pa.bool_()),
            pa.field("labels", pa.list_(pa.string())),
            pa.field("boxes", pa.list_(pa.float32())),
        )

    def files(self) -> Mapping[str, str]:
        return dict(self.digests)

    def published(self) -> dict[str, str]:
        return published(self.source, CAPTIONERS)

    def load(self, *, threads: int, gpu: bool) -> TorchCaptioner:
        """The loaded model. Raises ModelError if this machine's files are not those that `locate` found."""
        from imageyard.ray_jobs.models.captioner import TorchCaptioner

        found = snapshots.locate_snapshot(self.source, CAPTIONERS, folder=self.folder)
        snapshots.check(found, self.files())
        return TorchCaptioner(found, self.settings, threads=threads, gpu=gpu)


def _family(found: snapshots.Snapshot[CaptionerEntry]) -> Family:
    if found.model_type in FAMILY_OF:
        return FAMILY_OF[found.model_type]
    said = f"model_type {found.model_type!r}" if found.model_type else "no model_type"
    raise ModelError(
        f"{found.name}: {found.folder / snapshots.CONFIG} says {said}, which is no captioner that can be run here; "
        f"there are {', '.join(FAMILY_OF)}"
    )
