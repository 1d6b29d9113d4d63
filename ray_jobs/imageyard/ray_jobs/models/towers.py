"""Image towers of transformers as embedding models: which class, which of its outputs, how many numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from imageyard.manifests.errors import ModelError
from imageyard.ray_jobs.models.snapshots import CONFIG, Snapshot
from imageyard.ray_jobs.models.table import Origin


@dataclass(frozen=True)
class Tower:
    """A class of transformers that makes one vector of a picture."""

    class_name: str
    take: Literal["image_embeds", "pooler_output", "class_token"]
    """CLIP: after the projection, where texts lie too. SigLIP: the attention pool. DINO: the class token after its
    last norm, which it calls pooled. ViT: the class token, because its pool is of a head that few checkpoints have."""
    width: tuple[str, ...]
    """Where config.json says how many numbers a vector has."""
    default: int
    """How many it has where config.json leaves that out, because it is the class's own."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """For `from_pretrained`."""


_CLIP, _SIGLIP = "CLIPVisionModelWithProjection", "SiglipVisionModel"
TOWERS: Mapping[str, Tower] = {
    "clip": Tower(_CLIP, "image_embeds", ("projection_dim",), 512),
    "clip_vision_model": Tower(_CLIP, "image_embeds", ("projection_dim",), 512),
    "siglip": Tower(_SIGLIP, "pooler_output", ("vision_config", "hidden_size"), 768),
    "siglip_vision_model": Tower(_SIGLIP, "pooler_output", ("hidden_size",), 768),
    "dinov2": Tower("Dinov2Model", "pooler_output", ("hidden_size",), 768),
    "dinov2_with_registers": Tower("Dinov2WithRegistersModel", "pooler_output", ("hidden_size",), 768),
    "dinov3_vit": Tower("DINOv3ViTModel", "pooler_output", ("hidden_size",), 384),
    "vit": Tower("ViTModel", "class_token", ("hidden_size",), 768, {"add_pooling_layer": False}),
}
"""By the `model_type` of a folder's config.json."""


@dataclass(frozen=True)
class TowerEntry(Origin):
    """One embedding model as transformers has it."""


# SigLIP 2 of one size is a SigLIP by its classes; its variants of any size (NaFlex) are not among TOWERS.
TOWER_ENTRIES: tuple[TowerEntry, ...] = (
    TowerEntry("clip-vit-l-14", "openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41"),
    TowerEntry("siglip-so400m", "google/siglip-so400m-patch14-384", "9fdffc58afc957d1a03a25b10dba0329ab15c2a3"),
    TowerEntry("siglip2-base", "google/siglip2-base-patch16-224", "75de2d55ec2d0b4efc50b3e9ad70dba96a7b2fa2"),
    TowerEntry("dinov2-base", "facebook/dinov2-base", "f9e44c814b77203eaa57a6bdbbd535f21ede1415"),
)


class TowerContract(BaseModel):
    """What an image tower gives; what it takes, its preprocessor_config.json says, which is among its files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tower: str
    """The `model_type`, one of TOWERS."""
    dimensions: int = Field(ge=2, le=16384)
    """Numbers in a vector."""


def contract_of(snapshot: Snapshot[TowerEntry]) -> TowerContract:
    """The contract of `snapshot`. Raises ModelError if it is no image tower that is known."""
    tower = TOWERS.get(snapshot.model_type)
    place = snapshot.folder / CONFIG
    if tower is None:
        said = f"model_type {snapshot.model_type!r}" if snapshot.model_type else "no model_type"
        raise ModelError(
            f"{snapshot.name}: {place} says {said}, which is no embedding model that can be run here; there are "
            f"{', '.join(TOWERS)}, and ONNX graphs with an embedding.json"
        )
    found: Any = snapshot.config
    for name in tower.width:
        found = found.get(name) if isinstance(found, dict) else None
    width = tower.default if found is None else found
    if not isinstance(width, int) or not 2 <= width <= 16384:
        raise ModelError(f"{place}: {'.'.join(tower.width)} is {width!r}, no number of dimensions; fetch it again")
    return TowerContract(tower=snapshot.model_type, dimensions=width)
